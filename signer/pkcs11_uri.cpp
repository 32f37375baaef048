#include "pkcs11_uri.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "ingot/base/bytes.hpp"

namespace ingot::signer {
namespace {

constexpr std::size_t uri_cap_bytes = 4096;
constexpr std::array<std::string_view, 6> token_names = {"token",        "serial", "slot-id",
                                                         "manufacturer", "model",  "slot-description"};
constexpr std::array<std::string_view, 3> key_names = {"object", "id", "type"};

template <typename List>
bool is_one_of(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

/// RFC 7512, "PKCS #11 URI Scheme Definition": pk11-pchar and pk11-qchar, without what separates attributes.
bool is_plain(char c) {
  const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alphanumeric || std::string_view("-._~:[]@!$'()*+,=/|").find(c) != std::string_view::npos;
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!is_plain(text[i])) return std::nullopt;
      out.push_back(text[i]);
      continue;
    }
    const auto byte = parse_hex(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1) return std::nullopt;
    out.push_back(static_cast<char>(byte->front()));
    i += 2;
  }
  return out;
}

/// "name=value" between separators, each name once.
Result<std::vector<Pkcs11Uri::Attribute>> split(std::string_view text, char separator) {
  std::vector<Pkcs11Uri::Attribute> out;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const auto equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0 || !decode(part.substr(equals + 1)))
      return fail(ErrorCode::malformed,
                  fmt::format("\"{}\" in a PKCS#11 URI has no value, or one that is not encoded",
                              part.substr(0, equals)),  // never the value: it may be a PIN
                  "percent-encode spaces and other special characters (RFC 7512)");
    const std::string name(part.substr(0, equals));
    if (std::any_of(out.begin(), out.end(), [&](const auto& one) { return one.first == name; }))
      return fail(ErrorCode::malformed, fmt::format("a PKCS#11 URI names \"{}\" twice", name));
    out.emplace_back(name, part.substr(equals + 1));
  }
  return out;
}

Result<void> take_query(Pkcs11Uri& uri, const Pkcs11Uri::Attribute& attribute) {
  const auto& [name, encoded] = attribute;
  const auto value = decode(encoded).value_or("");
  if (name == "module-path") {
    uri.module_path = value;
    return {};
  }
  if (name == "pin-source") {
    uri.pin_file = value.starts_with("file:") ? value.substr(5) : value;
    if (uri.pin_file.starts_with("//")) uri.pin_file.erase(0, 2);  // file:///path
    if (uri.pin_file.starts_with('/')) return {};
    return fail(ErrorCode::usage, "a pin-source that is not the absolute path of a file",
                "write pin-source=file:/PATH");
  }
  if (name == "pin-value")
    return fail(ErrorCode::usage, "a PIN in a PKCS#11 URI can be read by everybody who sees the process",
                "put it into a file (pin-source=file:/PATH, --pin-file) or a descriptor (--pin-fd)");
  return fail(ErrorCode::usage, fmt::format("a PKCS#11 URI with \"{}\" in its query", name),
              "module-path and pin-source are understood");
}

}  // namespace

std::string Pkcs11Uri::value(std::string_view name) const {
  for (const auto& [one, encoded] : path)
    if (one == name) return decode(encoded).value_or("");
  return {};
}

std::string Pkcs11Uri::text() const {
  std::string out = "pkcs11:";
  for (const auto& [name, encoded] : path) out += fmt::format("{}{}={}", out.back() == ':' ? "" : ";", name, encoded);
  return out;
}

std::string Pkcs11Uri::token_text() const {
  std::string out = module_path;
  for (const auto name : token_names)
    if (const auto one = value(name); !one.empty()) out += fmt::format(";{}={}", name, one);
  return out;
}

std::string Pkcs11Uri::place() const {
  std::string out;
  for (const auto& [name, encoded] : path)
    if (name != "type")
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, name == "id" ? encoded : value(name));
  return out;
}

Result<Pkcs11Uri> parse_pkcs11_uri(std::string_view text) {
  if (text.size() > uri_cap_bytes) return fail(ErrorCode::limit, "a PKCS#11 URI of more than 4 KiB");
  if (!is_pkcs11_uri(text)) return fail(ErrorCode::malformed, "a PKCS#11 URI starts with \"pkcs11:\"");
  text.remove_prefix(std::string_view("pkcs11:").size());
  const auto question = text.find('?');
  Pkcs11Uri uri;
  uri.path = TRY(split(text.substr(0, question), ';'));
  if (question != std::string_view::npos)
    for (const auto& attribute : TRY(split(text.substr(question + 1), '&'))) TRY(take_query(uri, attribute));
  for (const auto& [name, encoded] : uri.path)
    if (!is_one_of(token_names, name) && !is_one_of(key_names, name))
      return fail(ErrorCode::usage, fmt::format("a PKCS#11 URI with \"{}\"", name),
                  "token, serial, slot-id, manufacturer, model, object, id and type are understood");
  if (const auto type = uri.value("type"); !type.empty() && type != "private")
    return fail(ErrorCode::usage, fmt::format("a PKCS#11 URI of type \"{}\"", type), "signing needs type=private");
  if (uri.value("token").empty() && uri.value("serial").empty() && uri.value("slot-id").empty())
    return fail(ErrorCode::usage, "a PKCS#11 URI that names no token: a PIN is not tried on whatever is plugged in",
                "add token=LABEL, serial= or slot-id=");
  if (uri.value("object").empty() && uri.value("id").empty())
    return fail(ErrorCode::usage, "a PKCS#11 URI that names no key", "add object=LABEL or id=%XX");
  return uri;
}

}  // namespace ingot::signer
