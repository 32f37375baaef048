#include "ingot/codec/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"
#include "report_text.hpp"

namespace ingot::codec {
namespace {

constexpr std::string_view digest_domain{"ingot-report/1\0", 15};

/// "no" and "prohibit-password" have older names, and which one `sshd -T` prints is sshd's affair.
constexpr std::string_view old_root_login = "without-password", new_root_login = "prohibit-password";

std::string one_space(std::string_view text) { return joined(words(text)); }

constexpr std::size_t complaint_cap_bytes = 400;
/// POSIX.1-2017, "Exit Status for Commands": a shell adds this to the number of a signal. Few tools end with more.
constexpr unsigned signalled = 128, signal_count = 64;

}  // namespace

Digest report_digest(const NodeReport& report) {
  Writer out;
  out.text(digest_domain);
  for (const auto& [name, text] : report.parts)
    for (const std::string_view field : {std::string_view(name), std::string_view(text)})
      out.u32be(static_cast<std::uint32_t>(field.size())).text(field);
  return crypto::sha256(out.view());
}

std::string report_text(Bytes raw) {
  std::string out;
  out.reserve(raw.size());
  for (const auto byte : raw) {
    if (byte == '\n' || byte == '\t' || (byte >= 0x20 && byte < 0x7F))
      out.push_back(static_cast<char>(byte));
    else
      out += fmt::format("\\x{:02x}", byte);
  }
  return out;
}

Result<Bytes> decode_tool_answer(Bytes answer) {
  const auto text = as_text(answer);
  const auto nul = text.find('\0');
  const auto cut_off = [&] {
    return fail(ErrorCode::malformed, fmt::format("it is cut off after {} bytes", answer.size()),
                "the journal says what became of the tool");
  };
  if (nul == text.npos) return cut_off();
  constexpr std::string_view word = "exit ";
  const auto end = text.substr(nul + 1);
  const auto line = end.substr(0, end.find('\n'));
  if (line.size() == end.size()) return cut_off();
  unsigned status = 0;
  const auto* digits = line.data() + std::min(word.size(), line.size());
  const auto number = std::from_chars(digits, line.data() + line.size(), status);
  if (!line.starts_with(word) || number.ec != std::errc{} || number.ptr != line.data() + line.size() || status > 255 ||
      end.find('\0') != end.npos)
    return malformed_line("the end of a tool's answer", report_text(as_bytes(line)));
  if (status == 0) return answer.first(nul);
  auto said = end.substr(line.size() + 1).substr(0, complaint_cap_bytes);
  while (!said.empty() && (said.back() == '\n' || said.back() == '\r')) said.remove_suffix(1);
  const bool by_signal = status > signalled && status <= signalled + signal_count;
  return fail(ErrorCode::tool_failed, fmt::format("the tool ended with {}{}: {}", by_signal ? "signal " : "",
                                                  by_signal ? status - signalled : status, said));
}

Result<std::map<std::string, std::string>> decode_sshd_settings(std::string_view text) {
  std::map<std::string, std::string> settings;
  for (const auto line : lines(text)) {
    const auto space = line.find(' ');
    const auto keyword = line.substr(0, space);
    if (keyword.empty() || !std::all_of(keyword.begin(), keyword.end(), is_lower_or_digit))
      return malformed_line("a keyword of sshd -T", line);
    auto value = space == line.npos ? std::string{} : one_space(line.substr(space + 1));
    if (keyword == "permitrootlogin" && value == old_root_login) value = new_root_login;
    auto [place, added] = settings.try_emplace(std::string(keyword), value);
    if (!added) place->second += " " + value;
  }
  return settings;
}

Result<std::map<std::string, std::string>> decode_sysctls(std::string_view text) {
  std::map<std::string, std::string> values;
  for (const auto line : lines(text)) {
    const auto sign = line.find(" =");
    if (sign == line.npos || sign == 0) return malformed_line("\"name = value\"", line);
    values[std::string(line.substr(0, sign))] = one_space(line.substr(sign + 2));
  }
  return values;
}

std::vector<KernelParameter> decode_kernel_parameters(std::string_view text) {
  std::vector<KernelParameter> parameters;
  std::string one;
  bool quoted = false;
  const auto take = [&] {
    if (one.empty()) return;
    const auto sign = one.find('=');
    parameters.push_back({one.substr(0, sign), sign == one.npos ? "" : one.substr(sign + 1), sign != one.npos});
    one.clear();
  };
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == ' ' || c == '\n' || c == '\t'))
      take();
    else
      one.push_back(c);
  }
  take();
  return parameters;
}

std::string module_name(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

Result<std::vector<LoadedModule>> decode_modules(std::string_view text) {
  std::vector<LoadedModule> modules;
  for (const auto line : lines(text)) {
    const auto fields = words(line);
    if (fields.size() < 6) return malformed_line("a line of /proc/modules", line);
    // "name size users dependents state address", then "(TAINT)" where there is any
    std::string taint;
    if (fields.size() > 6 && fields.back().size() > 2 && fields.back().front() == '(')
      taint = std::string(fields.back().substr(1, fields.back().size() - 2));
    modules.push_back({module_name(fields.front()), std::move(taint)});
  }
  return modules;
}

std::vector<std::string> decode_blocked_modules(std::string_view text) {
  std::set<std::string> blocked;
  for (const auto line : lines(text)) {
    const auto fields = words(line);
    if (fields.size() < 3 || fields[0] != "install") continue;
    const auto program = fields[2].substr(fields[2].rfind('/') + 1);
    if (program == "false" || program == "true") blocked.insert(module_name(fields[1]));
  }
  return {blocked.begin(), blocked.end()};
}

Result<std::map<std::string, std::string>> decode_audit_status(std::string_view text) {
  std::map<std::string, std::string> status;
  for (const auto line : lines(text)) {
    const auto fields = words(line);
    if (fields.size() < 2) return malformed_line("\"field value\"", line);
    status[std::string(fields.front())] = joined({fields.begin() + 1, fields.end()});
  }
  return status;
}

Result<std::vector<ReportedMount>> decode_mounts(std::string_view text) {
  std::vector<ReportedMount> mounts;
  for (const auto line : lines(text)) {
    const auto fields = words(line);
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    // "id parent major:minor root point options [optional...] - type source super-options"
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) return malformed_line("a line of mountinfo", line);
    ReportedMount mount{std::string(fields[4]), {}};
    for (const auto list : {fields[5], dash[3]})
      for (const auto option : split(list, ',')) mount.options.emplace_back(option);
    mount.options.push_back(fmt::format("type={}", dash[1]));
    mount.options.push_back(fmt::format("source={}", dash[2]));
    std::erase_if(mounts, [&](const ReportedMount& below) { return below.point == mount.point; });
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

Result<std::map<std::string, ReportedUnit>> decode_units(std::string_view text) {
  std::map<std::string, ReportedUnit> units;
  std::string name;
  ReportedUnit unit;
  const auto take = [&] {
    if (!name.empty()) units[name] = unit;
    name.clear();
    unit = {};
  };
  // An empty line ends a block: lines() would hide it.
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty()) {
      take();
      continue;
    }
    const auto sign = line.find('=');
    if (sign == line.npos) return malformed_line("\"Property=value\"", line);
    const auto property = line.substr(0, sign);
    const std::string value(line.substr(sign + 1));
    if (property == "Id") name = value;
    if (property == "LoadState") unit.load = value;
    if (property == "ActiveState") unit.active = value;
    if (property == "UnitFileState") unit.file_state = value;
    if (property == "FragmentPath") unit.fragment = value;
    if (property == "DropInPaths")
      for (const auto path : words(value)) unit.drop_ins.emplace_back(path);
  }
  take();
  return units;
}

Result<void> add_unit_files(std::string_view text, std::map<std::string, ReportedUnit>& units) {
  for (const auto line : lines(text)) {
    const auto fields = words(line);
    if (fields.size() < 2) return malformed_line("\"unit state preset\"", line);
    auto& unit = units[std::string(fields[0])];
    if (unit.file_state.empty()) unit.file_state = fields[1];
  }
  return {};
}

Result<std::map<std::string, std::vector<std::string>>> decode_facts(std::string_view text) {
  std::map<std::string, std::vector<std::string>> facts;
  for (const auto line : lines(text)) {
    const auto fields = split(line, '\t');
    if (fields.front().empty() || fields.size() < 2) return malformed_line("a name and facts", line);
    const auto [place, added] = facts.try_emplace(std::string(fields.front()));
    if (!added) return malformed_line("a name that is not there yet", line);
    for (std::size_t i = 1; i < fields.size(); ++i) place->second.emplace_back(fields[i]);
  }
  return facts;
}

Result<std::vector<ReportedVolume>> decode_volumes(std::string_view text) {
  std::vector<ReportedVolume> volumes;
  for (const auto& [device, facts] : TRY(decode_facts(text))) {
    ReportedVolume volume;
    volume.device = device;
    std::string_view header;
    for (const std::string_view fact : facts) {
      const auto name = fact.substr(0, fact.find(' '));
      const auto value = fact.substr(std::min(name.size() + 1, fact.size()));
      if (name == "label") volume.label = value;
      if (name == "uuid") volume.uuid = value;
      if (name == "mapped") volume.mapped.append(volume.mapped.empty() ? "" : ",").append(value);
      if (name == "header") header = value;
    }
    volume.header = TRY_IN(device, decode_luks_json(header));
    volumes.push_back(std::move(volume));
  }
  return volumes;
}

Result<ReportedRevocation> decode_revocation(std::string_view text) {
  ReportedRevocation out;
  for (const auto line : lines(text)) {
    const auto name = line.substr(0, line.find(' '));
    const auto value = line.substr(std::min(name.size() + 1, line.size()));
    std::uint64_t counter = 0;
    const auto* end = value.data() + value.size();
    const auto number = std::from_chars(value.data(), end, counter);
    auto bytes = parse_hex(std::string(value));
    if (name == "counter" && number.ec == std::errc{} && number.ptr == end)
      out.counter = counter;
    else if (name == "index" && bytes && !bytes->empty())
      out.index = *std::move(bytes);
    else if (name == "key" && bytes && !bytes->empty())
      out.policy_key_pem = std::string(as_text(*bytes));
    else
      return malformed_line("a counter, an index or a key", line);
  }
  return out;
}

Result<std::string> decode_choice(std::string_view text) {
  const auto open = text.find('['), close = text.find(']');
  if (open == text.npos || close == text.npos || close < open)
    return fail(ErrorCode::malformed, "no word in brackets among the choices");
  return std::string(text.substr(open + 1, close - open - 1));
}

}  // namespace ingot::codec
