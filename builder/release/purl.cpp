#include "purl.hpp"

#include <fmt/format.h>

#include <cctype>

namespace ingot::builder {
namespace {

/// Package URL specification, "Rules for each purl component": everything but unreserved characters is percent-encoded.
std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

}  // namespace

std::string debian_purl(std::string_view name, std::string_view version, std::string_view architecture,
                        std::string_view distribution) {
  return fmt::format("pkg:deb/debian/{}@{}?arch={}{}{}", percent_encoded(name), percent_encoded(version),
                     percent_encoded(architecture),
                     distribution.empty() ? "" : "&distro=", percent_encoded(distribution));
}

}  // namespace ingot::builder
