// PKCS#11 URIs. RFC 7512. Internal to signer/.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ingot/base/result.hpp"

namespace ingot::signer {

struct Pkcs11Uri {
  using Attribute = std::pair<std::string, std::string>;
  std::vector<Attribute> path;  ///< names and values as they are written, values still percent-encoded
  std::string module_path;      ///< decoded; empty when not named
  std::string pin_file;         ///< pin-source, decoded, without "file:"; empty when not named

  /// The decoded value of a path attribute; empty when not named.
  [[nodiscard]] std::string value(std::string_view name) const;
  /// Without the query: what is left names one key, and holds no secret.
  [[nodiscard]] std::string text() const;
  /// What of it names the token, with the module: the same for all its keys.
  [[nodiscard]] std::string token_text() const;
  /// In plain words: "token site, object db".
  [[nodiscard]] std::string place() const;
};

inline bool is_pkcs11_uri(std::string_view reference) { return reference.starts_with("pkcs11:"); }

/// Errors: malformed for what RFC 7512 does not allow; usage for a URI that names no token or no key (a PIN must not be
/// tried on whatever is plugged in), that holds a PIN (others see the arguments of a process), or that names what we
/// can't follow.
Result<Pkcs11Uri> parse_pkcs11_uri(std::string_view text);

}  // namespace ingot::signer
