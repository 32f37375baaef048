// What the judges of the areas have in common. Internal to check/.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/check/settings.hpp"

namespace ingot::check {

using Rows = std::vector<const Setting*>;
using Facts = std::map<std::string, std::vector<std::string>>;

/// Findings about one area.
class AreaJudge {
 public:
  AreaJudge(SettingArea area, const NodeReport& report, std::vector<Finding>& findings)
      : area_(area), report_(report), findings_(findings) {}

  /// The part's text; an error says why there is none.
  [[nodiscard]] Result<std::string_view> part(const std::string& name) const;
  /// What a decoder made of the part; when it is not there or not what it should be: a finding, and nothing.
  template <typename T>
  std::optional<T> take(Result<T> decoded) {
    if (decoded) return *std::move(decoded);
    unreadable(decoded.error());
    return std::nullopt;
  }
  void differs(const Setting& row, const std::string& observed);
  void missing(const Setting& row, const std::string& observed);
  void unexpected(const std::string& name, const std::string& observed, const std::string& cause);
  /// One value each: `observed` of the row's name is the row's value.
  void compare_values(const Rows& rows, const std::map<std::string, std::string>& observed);
  /// Several facts each: those that the row's value lists ("uid 0, password locked") are among the observed ones.
  void compare_facts(const Rows& rows, const Facts& observed);

 private:
  void unreadable(const Error& error);
  SettingArea area_;
  const NodeReport& report_;
  std::vector<Finding>& findings_;
};

// One for each area, in settings_*.cpp.
void judge_sshd(AreaJudge& judge, const Rows& rows);
void judge_sysctl(AreaJudge& judge, const Rows& rows);
void judge_kernel_parameters(AreaJudge& judge, const Rows& rows);
void judge_modules(AreaJudge& judge, const Rows& rows);
void judge_audit_status(AreaJudge& judge, const Rows& rows);
void judge_audit_rules(AreaJudge& judge, const Rows& rows);
void judge_firewall(AreaJudge& judge, const Rows& rows);
void judge_units(AreaJudge& judge, const Rows& rows);
void judge_accounts(AreaJudge& judge, const Rows& rows);
void judge_sockets(AreaJudge& judge, const Rows& rows);
void judge_mounts(AreaJudge& judge, const Rows& rows);
void judge_security_modules(AreaJudge& judge, const Rows& rows);
/// Rows of the security modules that are about shim's variables, and what is found about these.
bool is_shim_row(const Setting& row);
void judge_shim(AreaJudge& judge, const Rows& rows);
void judge_volumes(AreaJudge& judge, const Rows& rows);
void judge_files(AreaJudge& judge, const Rows& rows);

/// The facts that a value lists, without the white space around them.
std::vector<std::string> listed(std::string_view value);

}  // namespace ingot::check
