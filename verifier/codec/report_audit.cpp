// Audit rules: auditctl(8). What auditctl prints is not what was written for it: it orders system calls by number,
// writes keys as fields, turns rules over one path into watches and symbolic values into numbers.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "ingot/codec/report.hpp"
#include "report_text.hpp"

namespace ingot::codec {
namespace {

constexpr std::string_view all_permissions = "rwxa";

struct AuditRule {
  std::string action;  ///< "always,exit"
  std::set<std::string> calls;
  std::set<std::string> fields;  ///< but for arch, key, path and perm
  std::string arch, path, perm;
  std::set<std::string> keys;
};

/// In the order in which auditctl prints them.
std::string permissions(std::string_view letters) {
  std::string out;
  for (const char one : all_permissions)
    if (letters.find(one) != letters.npos) out.push_back(one);
  return out;
}

/// "/etc/" and "/etc" are one watch.
std::string without_slash(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

bool is_argument(std::string_view name) {
  return name.size() == 2 && name[0] == 'a' && name[1] >= '0' && name[1] <= '3';
}

/// Numbers in one notation; the user id that nobody has in words.
std::string canonical_value(std::string_view name, std::string_view value) {
  if (name.ends_with("id") && (value == "-1" || value == "4294967295")) return "unset";
  if (!is_argument(name)) return std::string(value);
  const bool hex = value.starts_with("0x");
  const bool octal = !hex && value.size() > 1 && value.front() == '0';
  const auto digits = value.substr(hex ? 2 : 0);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number,
                                            hex     ? 16
                                            : octal ? 8
                                                    : 10);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::string(value);
  return fmt::format("0x{:x}", number);
}

void add_field(AuditRule& rule, std::string_view field) {
  const auto start = field.find_first_of("=!<>&");
  if (start == field.npos) return void(rule.fields.emplace(field));
  const auto end = field.find_first_not_of("=!<>&", start);
  const auto name = field.substr(0, start), sign = field.substr(start, end - start);
  const auto value = end == field.npos ? std::string_view{} : field.substr(end);
  if (sign == "=") {
    if (name == "arch") return void(rule.arch = value);
    if (name == "key") return void(rule.keys.emplace(value));
    if (name == "perm") return void(rule.perm = permissions(value));
    if (name == "path" || name == "dir") return void(rule.path = without_slash(value));
  }
  rule.fields.insert(fmt::format("-F {}{}{}", name, sign, canonical_value(name, value)));
}

/// "exit,always" is "always,exit".
std::string canonical_action(std::string_view text) {
  auto parts = split(text, ',');
  const auto is_action = [](std::string_view word) {
    return word == "always" || word == "never" || word == "possible";
  };
  if (parts.size() == 2 && is_action(parts[1])) std::swap(parts[0], parts[1]);
  return parts.size() == 2 ? fmt::format("{},{}", parts[0], parts[1]) : std::string(text);
}

/// Two fields that are compared, in the order of their names: the kernel keeps no other.
std::string canonical_comparison(std::string_view text) {
  const auto start = text.find_first_of("=!");
  const auto end = text.find_first_not_of("=!", start);
  if (start == text.npos || end == text.npos) return fmt::format("-C {}", text);
  auto left = text.substr(0, start), right = text.substr(end);
  const auto sign = text.substr(start, end - start);
  if (right < left) std::swap(left, right);
  return fmt::format("-C {}{}{}", left, sign, right);
}

bool add_option(AuditRule& rule, std::string_view option, std::string_view value) {
  if (option == "-a" || option == "-A")
    rule.action = canonical_action(value);
  else if (option == "-w")
    rule.path = without_slash(value);
  else if (option == "-p")
    rule.perm = permissions(value);
  else if (option == "-k")
    rule.keys.emplace(value);
  else if (option == "-F")
    add_field(rule, value);
  else if (option == "-C")
    rule.fields.insert(canonical_comparison(value));
  else if (option == "-S")
    for (const auto call : split(value, ',')) rule.calls.emplace(call);
  else
    return false;
  return true;
}

std::string text_of(const AuditRule& rule) {
  std::string out;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) out += fmt::format("{}{}{}", out.empty() ? "" : " ", name, value);
  };
  // Nothing but a path and how it is touched: what -w makes.
  const bool is_watch = !rule.path.empty() && rule.arch.empty() && rule.calls.empty() && rule.fields.empty() &&
                        (rule.action.empty() || rule.action == "always,exit");
  const std::string_view perm = rule.perm.empty() && is_watch ? all_permissions : std::string_view(rule.perm);
  if (is_watch) {
    add("-w ", rule.path);
    add("-p ", perm);
  } else {
    add("-a ", rule.action.empty() ? "always,exit" : rule.action);
    add("-F arch=", rule.arch);
    for (auto at = rule.calls.begin(); at != rule.calls.end(); ++at) {
      out += at == rule.calls.begin() ? " -S " : ",";
      out += *at;
    }
    add("-F path=", rule.path);
    add("-F perm=", perm);
    for (const auto& field : rule.fields) add("", field);
  }
  for (const auto& key : rule.keys) add(is_watch ? "-k " : "-F key=", key);
  return out;
}

}  // namespace

std::string canonical_audit_rule(std::string_view text) {
  const auto parts = words(text);
  AuditRule rule;
  for (std::size_t i = 0; i + 1 < parts.size(); i += 2)
    if (!add_option(rule, parts[i], parts[i + 1])) return joined(parts);
  if (parts.size() % 2 != 0) return joined(parts);
  rule.calls.erase("all");
  return text_of(rule);
}

Result<std::vector<std::string>> decode_audit_rules(std::string_view text) {
  std::vector<std::string> rules;
  for (const auto line : lines(text)) {
    if (line == "No rules") continue;
    if (!line.starts_with('-')) return malformed_line("a rule of auditctl", line);
    rules.push_back(canonical_audit_rule(line));
  }
  return rules;
}

}  // namespace ingot::codec
