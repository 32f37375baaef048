#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingot/builder/settings.hpp"
#include "layer.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::size_t text_cap_bytes = 1024;

/// Printable ASCII: a value is one line of a configuration file.
bool is_plain(std::string_view text) {
  return text.size() <= text_cap_bytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

Result<void> check_row(const Located<std::string>& name) {
  if (find_setting_row(name.value) != nullptr) return {};
  std::vector<std::string> names;
  for (const auto& row : setting_rows()) names.push_back(row_name(row));
  const auto close = nearest(name.value, {names.begin(), names.end()});
  return wrong(name.at, fmt::format("\"{}\" is no row of the settings table", name.value),
               close.empty() ? "`ingot settings PROFILE` lists them" : fmt::format("did you mean \"{}\"?", close));
}

/// Rows that are there or not, without a value that could be another one.
bool has_value(SettingArea area) {
  return area == SettingArea::sysctl || area == SettingArea::sshd || area == SettingArea::kernel_parameter ||
         area == SettingArea::mount || area == SettingArea::audit_status;
}

/// Whether at least one way of AuthenticationMethods (sshd_config(5)) asks for nothing but keys: no account has a
/// password.
bool takes_keys(std::string_view methods) {
  for (auto rest = methods; !rest.empty();) {
    const auto way = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), way.size() + 1));
    if (way == "any" || way == "publickey" || way == "publickey,publickey") return true;
  }
  return false;
}

/// Whether sshd would let nobody in with this value.
bool locks_out(const SettingRow& row, std::string_view value) {
  if (row.area != SettingArea::sshd) return false;
  if (row.name == "authenticationmethods") return !takes_keys(value);
  // Without PAM sshd refuses accounts whose password is locked (auth.c, allowed_user), and all of ours are.
  if (row.name == "pubkeyauthentication" || row.name == "usepam") return value == "no";
  return (row.name == "maxauthtries" || row.name == "maxsessions") && value == "0";
}

Result<std::string> read_value(const SettingRow& row, const Located<std::string>& value) {
  if (!has_value(row.area))
    return wrong(value.at, fmt::format("{} has no value that could be another one", row_name(row)),
                 "write drop = true to leave it out");
  if (!is_plain(value.value) || (value.value.empty() && row.area != SettingArea::kernel_parameter))
    return wrong(value.at, fmt::format("value of {} is not a line of printable ASCII", row_name(row)));
  if (row.area == SettingArea::kernel_parameter && value.value.find_first_of(" \"") != std::string::npos)
    return wrong(value.at, fmt::format("value of {} has a blank or a quote in it", row_name(row)));
  if (value.value == row.value)
    return wrong(value.at, fmt::format("{} is \"{}\" anyway", row_name(row), value.value), "take the relaxation away");
  if (locks_out(row, value.value))
    return wrong(value.at, fmt::format("with {} = \"{}\" everybody is locked out", row_name(row), value.value),
                 "take the relaxation away: people log in with keys and certificates, and no account has a password");
  return value.value;
}

Result<std::string> read_why(const std::string& name, const TableReader& entry) {
  const auto why = TRY(entry.text("why"));
  if (!why || why->value.find_first_not_of(' ') == std::string::npos || !is_plain(why->value))
    return wrong(why ? why->at : entry.at(), fmt::format("{} is relaxed without a reason", name),
                 "add why = \"...\", one line that everybody who reads the baseline will see");
  return why->value;
}

/// "tcp 127.0.0.1:9400", "udp *:5000-5010", "tcp [::1]:80": as a node's report names sockets
/// (verifier/codec/report.md).
bool is_socket(std::string_view text) {
  const auto colon = text.rfind(':');
  if (!(text.starts_with("tcp ") || text.starts_with("udp ")) || colon == text.npos || colon < 4) return false;
  const auto host = text.substr(4, colon - 4);
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const auto bare = in_brackets ? host.substr(1, host.size() - 2) : host;
  const auto address = IpAddress::parse(bare);
  if (host != "*" && (!address || (address->family == IpFamily::v6) != in_brackets || to_text(*address) != bare))
    return false;
  const auto ports = FlowPort::parse(fmt::format("{}/{}", text.substr(0, 3), text.substr(colon + 1)));
  return ports && ports->first > 0;
}

/// A socket is no row of the table: what listens follows from the site and the profile's other keys
/// (config/listening.cpp). What more may listen is said here.
Result<Relaxation> read_socket(const Located<std::string>& name, const TableReader& entry) {
  if (!is_socket(std::string_view(name.value).substr(socket_prefix.size())))
    return wrong(name.at, fmt::format("\"{}\" names no socket", name.value),
                 "write \"socket.tcp 127.0.0.1:9400\" or \"socket.udp *:5000-5010\"; * is any address");
  TRY(entry.only({"value", "why"}));
  auto why = TRY(read_why(name.value, entry));
  const auto value = TRY(entry.text("value"));
  if (!value || value->value != "allowed")
    return wrong(value ? value->at : entry.at(), fmt::format("{} needs value = \"allowed\"", name.value));
  return Relaxation{value->value, std::move(why)};
}

Result<Relaxation> read_relaxation(const SettingRow& row, const TableReader& entry) {
  TRY(entry.only({"value", "drop", "why"}));
  auto why = TRY(read_why(row_name(row), entry));
  const auto value = TRY(entry.text("value"));
  const auto drop = TRY(entry.boolean("drop"));
  const bool drops = drop && drop->value;
  if (value.has_value() == drops)
    return wrong(entry.at(), fmt::format("{} needs either a value or drop = true", row_name(row)));
  if (drops) return Relaxation{std::nullopt, std::move(why)};
  auto text = TRY(read_value(row, *value));
  return Relaxation{std::move(text), std::move(why)};
}

std::string parameter_text(const Setting& setting) {
  return setting.value.empty() ? setting.name : fmt::format("{}={}", setting.name, setting.value);
}

}  // namespace

Result<void> apply_hardening(Draft& draft, const TableReader& table) {
  TRY(table.only({"gpu", "relax"}));
  auto& hardening = draft.profile.hardening;
  if (const auto gpu = TRY(table.boolean("gpu"))) hardening.gpu = gpu->value;
  const auto relax = TRY(table.table("relax"));
  if (!relax) return {};
  for (const auto& [key, node] : relax->raw()) {
    const Located<std::string> name{std::string(key.str()), location(key.source(), relax->file())};
    const bool is_of_sockets = name.value.starts_with(socket_prefix);
    if (!is_of_sockets) TRY(check_row(name));
    const auto* entry = node.as_table();
    if (entry == nullptr)
      return wrong(location(node.source(), relax->file()), fmt::format("\"{}\" is not a table", name.value),
                   "write { value = \"...\", why = \"...\" } or { drop = true, why = \"...\" }");
    const TableReader reader(*entry, relax->file(), fmt::format("\"{}\"", name.value));
    hardening.relaxed.insert_or_assign(
        name.value,
        TRY(is_of_sockets ? read_socket(name, reader) : read_relaxation(*find_setting_row(name.value), reader)));
  }
  return {};
}

Result<void> finish_hardening(Draft& draft) {
  auto& line = draft.profile.kernel.command_line;
  std::vector<std::string> whole;
  for (const auto& setting : chosen_settings(draft.profile.hardening, SettingArea::kernel_parameter))
    whole.push_back(parameter_text(setting));
  whole.insert(whole.end(), line.begin(), line.end());
  if (fmt::format("{}", fmt::join(whole, " ")).size() > command_line_cap_bytes)
    return wrong(draft.end, fmt::format("the kernel command line is longer than {} bytes", command_line_cap_bytes));
  line = std::move(whole);
  return {};
}

}  // namespace ingot::builder::detail
