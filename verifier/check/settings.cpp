#include "settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingot/codec/report.hpp"

namespace ingot::check {
namespace {

struct AreaRow {
  SettingArea area;
  void (*judge)(AreaJudge&, const Rows&);
  bool without_rows;  ///< judged although the baseline has no row of the area: what nobody expects is a finding
};
constexpr AreaRow areas[] = {{SettingArea::sshd, judge_sshd, false},
                             {SettingArea::sysctl, judge_sysctl, false},
                             {SettingArea::kernel_parameter, judge_kernel_parameters, false},
                             {SettingArea::module, judge_modules, false},
                             {SettingArea::audit_status, judge_audit_status, false},
                             {SettingArea::audit_rule, judge_audit_rules, false},
                             {SettingArea::firewall, judge_firewall, false},
                             {SettingArea::unit, judge_units, true},
                             {SettingArea::account, judge_accounts, true},
                             {SettingArea::socket, judge_sockets, true},
                             {SettingArea::mount, judge_mounts, false},
                             {SettingArea::security_module, judge_security_modules, false},
                             {SettingArea::volume, judge_volumes, false},
                             {SettingArea::file, judge_files, false}};

constexpr const char* own_word = "the node's own word, which no TPM vouches for";

std::string subject_of(SettingArea area, const std::string& name) { return fmt::format("{}: {}", to_text(area), name); }

std::string cause_of(const Setting& row, const std::string& what) {
  return fmt::format("{}{}{}; {}", what, row.file.empty() ? "" : fmt::format("; {} of the image sets it", row.file),
                     row.source.empty() ? "" : fmt::format(" ({})", row.source), own_word);
}

}  // namespace

std::vector<std::string> listed(std::string_view value) {
  std::vector<std::string> out;
  while (!value.empty()) {
    const auto comma = std::min(value.find(','), value.size());
    const auto first = value.find_first_not_of(' ');
    if (first < comma) {
      auto one = value.substr(first, comma - first);
      while (one.back() == ' ') one.remove_suffix(1);
      out.emplace_back(one);
    }
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  return out;
}

Result<std::string_view> AreaJudge::part(const std::string& name) const {
  const auto found = report_.parts.find(name);
  const auto reason = report_.parts.find(name + std::string(codec::report_error_suffix));
  if (found != report_.parts.end() && found->second.size() <= codec::report_part_cap_bytes) return found->second;
  if (found != report_.parts.end()) return fail(ErrorCode::limit, fmt::format("its part \"{}\" is too large", name));
  return fail(ErrorCode::missing,
              fmt::format("it has no part \"{}\"{}{}", name, reason == report_.parts.end() ? "" : ": ",
                          reason == report_.parts.end() ? "" : reason->second));
}

void AreaJudge::unreadable(const Error& error) {
  findings_.push_back({FindingKind::setting_missing, to_text(area_), "a report of what is in force", describe(error),
                       fmt::format("what the node does not report cannot be judged; {}", own_word), Remedy::investigate,
                       std::nullopt, area_});
}

void AreaJudge::differs(const Setting& row, const std::string& observed) {
  findings_.push_back({FindingKind::setting_differs, subject_of(area_, row.name), row.value, observed,
                       cause_of(row, fmt::format("{} is {}, the profile says {}", row.name, observed, row.value)),
                       Remedy::redeploy, std::nullopt, area_});
}

void AreaJudge::missing(const Setting& row, const std::string& observed) {
  findings_.push_back({FindingKind::setting_missing, subject_of(area_, row.name),
                       row.value.empty() ? row.name : row.value, observed,
                       cause_of(row, fmt::format("{}, which the profile sets, is not there", row.name)),
                       Remedy::redeploy, std::nullopt, area_});
}

void AreaJudge::unexpected(const std::string& name, const std::string& observed, const std::string& cause) {
  findings_.push_back({FindingKind::setting_unexpected, subject_of(area_, name), "nothing of the kind", observed,
                       fmt::format("{}; {}", cause, own_word), Remedy::investigate, std::nullopt, area_});
}

void AreaJudge::compare_values(const Rows& rows, const std::map<std::string, std::string>& observed) {
  for (const auto* row : rows) {
    const auto found = observed.find(row->name);
    if (found == observed.end())
      missing(*row, "nothing");
    else if (found->second != row->value)
      differs(*row, found->second);
  }
}

void AreaJudge::compare_facts(const Rows& rows, const Facts& observed) {
  for (const auto* row : rows) {
    const auto found = observed.find(row->name);
    if (found == observed.end()) {
      missing(*row, "nothing");
      continue;
    }
    const auto wanted = listed(row->value);
    const auto holds = [&](const std::string& fact) {
      return std::find(found->second.begin(), found->second.end(), fact) != found->second.end();
    };
    if (!std::all_of(wanted.begin(), wanted.end(), holds))
      differs(*row, fmt::format("{}", fmt::join(found->second, ", ")));
  }
}

std::vector<Finding> check_settings(const std::vector<Setting>& expected, const NodeReport& report) {
  std::vector<Finding> findings;
  for (const auto& area : areas) {
    Rows rows;
    for (const auto& setting : expected)
      if (setting.area == area.area) rows.push_back(&setting);
    if (rows.empty() && !area.without_rows) continue;
    AreaJudge judge(area.area, report, findings);
    const auto first = findings.size();
    area.judge(judge, rows);
    std::stable_sort(findings.begin() + static_cast<std::ptrdiff_t>(first), findings.end(),
                     [](const Finding& a, const Finding& b) { return a.subject < b.subject; });
  }
  return findings;
}

}  // namespace ingot::check
