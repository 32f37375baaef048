// Areas in which each setting has one value: sshd, sysctl, kernel parameters, modules, audit, LSMs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "ingot/codec/report.hpp"
#include "settings.hpp"

namespace ingot::check {
namespace {

template <typename Decode>
auto decoded_part(const AreaJudge& judge, const std::string& name, Decode decode)
    -> decltype(decode(std::string_view{})) {
  return TRY_IN(name, decode(TRY(judge.part(name))));
}

/// As its decoder would have read it.
std::string one_space(std::string_view text) {
  std::string out;
  for (std::size_t at = text.find_first_not_of(" \t"); at < text.size(); at = text.find_first_not_of(" \t", at)) {
    const auto end = std::min(text.find_first_of(" \t", at), text.size());
    out.append(out.empty() ? "" : " ").append(text.substr(at, end - at));
    at = end;
  }
  return out;
}

Rows owned(std::vector<Setting>& rows) {
  Rows out;
  for (auto& row : rows) out.push_back(&row);
  return out;
}

/// Letters that stand for a module that nobody signed or that was forced in
/// (Documentation/admin-guide/tainted-kernels.rst).
bool is_foreign(const codec::LoadedModule& module) { return module.taint.find_first_of("EFR") != std::string::npos; }
/// Not built as a part of the kernel.
bool is_out_of_tree(const codec::LoadedModule& module) { return module.taint.find('O') != std::string::npos; }

}  // namespace

void judge_sshd(AreaJudge& judge, const Rows& rows) {
  const auto observed = judge.take(decoded_part(judge, "sshd", codec::decode_sshd_settings));
  if (!observed) return;
  // Read as sshd's own output is, so that older names and white space do not count.
  std::vector<Setting> wanted;
  for (const auto* row : rows) {
    wanted.push_back(*row);
    std::transform(row->name.begin(), row->name.end(), wanted.back().name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    const auto read = codec::decode_sshd_settings(fmt::format("{} {}", wanted.back().name, row->value));
    if (read && read->contains(wanted.back().name)) wanted.back().value = read->at(wanted.back().name);
  }
  judge.compare_values(owned(wanted), *observed);
}

void judge_sysctl(AreaJudge& judge, const Rows& rows) {
  const auto observed = judge.take(decoded_part(judge, "sysctl", codec::decode_sysctls));
  if (!observed) return;
  std::vector<Setting> wanted;
  for (const auto* row : rows) wanted.push_back(*row), wanted.back().value = one_space(row->value);
  judge.compare_values(owned(wanted), *observed);
}

void judge_kernel_parameters(AreaJudge& judge, const Rows& rows) {
  const auto text = judge.take(judge.part("cmdline"));
  if (!text) return;
  std::map<std::string, std::vector<std::string>> observed, wanted;
  for (const auto& one : codec::decode_kernel_parameters(*text))
    observed[one.key].push_back(one.has_value ? fmt::format("{}={}", one.key, one.value) : one.key);
  const auto parameter = [](const Setting& row) {
    return row.value.empty() || row.name.find('=') != row.name.npos ? row.name
                                                                    : fmt::format("{}={}", row.name, row.value);
  };
  const auto key = [&](const Setting& row) { return parameter(row).substr(0, parameter(row).find('=')); };
  for (const auto* row : rows) wanted[key(*row)].push_back(parameter(*row));
  std::set<std::string> judged;
  for (const auto* row : rows) {
    // Of a parameter that occurs twice the kernel takes the last, most take it all: any difference counts, once.
    const auto& found = observed[key(*row)];
    if (found == wanted[key(*row)] || !judged.insert(key(*row)).second) continue;
    if (found.empty())
      judge.missing(*row, "nothing");
    else
      judge.differs(*row, fmt::format("{}", fmt::join(found, " ")));
  }
}

void judge_modules(AreaJudge& judge, const Rows& rows) {
  const auto loaded = judge.take(decoded_part(judge, "modules", codec::decode_modules));
  const auto configuration = judge.take(judge.part("modprobe"));
  if (!loaded || !configuration) return;
  const auto blocked = codec::decode_blocked_modules(*configuration);
  std::set<std::string> names, allowed, out_of_tree;
  for (const auto& module : *loaded) names.insert(module.name);
  for (const auto* row : rows) {
    const auto name = codec::module_name(row->name);
    if (row->value == "allowed") {
      allowed.insert(name);
    } else if (row->value == "out-of-tree") {
      out_of_tree.insert(name);
    } else if (names.contains(name)) {
      judge.differs(*row, "loaded");
    } else if (std::find(blocked.begin(), blocked.end(), name) == blocked.end()) {
      judge.differs(*row, "kept out by nothing");
    }
  }
  for (const auto& module : *loaded) {
    if (is_foreign(module))
      judge.unexpected(module.name, fmt::format("loaded, tainting the kernel with {}", module.taint),
                       "a module is loaded that is not signed, or was forced in or out");
    else if (is_out_of_tree(module) && !out_of_tree.contains(module.name))
      judge.unexpected(module.name, fmt::format("loaded, tainting the kernel with {}", module.taint),
                       "a module is loaded that is neither of the kernel nor one that the image brings");
    else if (!allowed.empty() && !allowed.contains(module.name) && !out_of_tree.contains(module.name))
      judge.unexpected(module.name, "loaded", "a module is loaded that the profile does not name");
  }
}

void judge_audit_status(AreaJudge& judge, const Rows& rows) {
  if (const auto observed = judge.take(decoded_part(judge, "audit_status", codec::decode_audit_status)))
    judge.compare_values(rows, *observed);
}

void judge_security_modules(AreaJudge& judge, const Rows& rows) {
  std::map<std::string, std::string> values;
  Facts facts;
  bool policies_reported = false;
  Rows of_values, of_facts, of_shim;
  for (const auto* row : rows) {
    if (is_shim_row(*row)) {
      of_shim.push_back(row);
    } else if (row->name.starts_with("ipe ")) {
      of_facts.push_back(row);
    } else {
      of_values.push_back(row);
    }
  }
  for (const auto* row : of_values) {
    if (row->name == "lockdown") {
      if (auto chosen = judge.take(decoded_part(judge, "lockdown", codec::decode_choice)))
        judge.compare_values({row}, {{row->name, *chosen}});
    } else if (auto text = judge.take(judge.part(row->name))) {
      judge.compare_values({row}, {{row->name, std::string(text->substr(0, text->find('\n')))}});
    }
  }
  judge_shim(judge, of_shim);
  if (of_facts.empty()) return;
  if (auto reported = judge.take(decoded_part(judge, "ipe", codec::decode_facts))) {
    policies_reported = true;
    for (auto& [name, list] : *reported) facts["ipe " + name] = std::move(list);
  }
  if (!policies_reported) return;
  judge.compare_facts(of_facts, facts);
  for (const auto& fact : facts) {
    const auto& name = fact.first;
    const auto& list = fact.second;
    const bool named =
        std::any_of(of_facts.begin(), of_facts.end(), [&](const Setting* row) { return row->name == name; });
    if (!named && name.starts_with("ipe policy "))
      judge.unexpected(name, fmt::format("{}", fmt::join(list, ", ")),
                       "IPE has a policy that the profile does not bring");
  }
}

}  // namespace ingot::check
