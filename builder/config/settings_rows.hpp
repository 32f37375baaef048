// The settings table by subject. Internal to config/: everybody else sees ingot/builder/settings.hpp.
#pragma once

#include <span>

#include "ingot/builder/settings.hpp"

namespace ingot::builder::detail {

inline constexpr std::string_view sshd_config = "/etc/ssh/sshd_config";
/// Behind everything that packages bring: of one key in several files the last one counts (sysctl.d(5)).
inline constexpr std::string_view sysctl_file = "/etc/sysctl.d/zz-ingot.conf";
/// Applied last of all by ingot-modules-off.service.
inline constexpr std::string_view modules_disabled_file = "/usr/lib/ingot/modules-disabled.conf";
inline constexpr std::string_view audit_rules_file = "/etc/audit/audit.rules";
inline constexpr std::string_view modprobe_file = "/etc/modprobe.d/ingot.conf";

std::span<const SettingRow> sshd_rows();
std::span<const SettingRow> sysctl_rows();
std::span<const SettingRow> network_sysctl_rows();
std::span<const SettingRow> kernel_parameter_rows();
std::span<const SettingRow> module_rows();
std::span<const SettingRow> audit_rows();
std::span<const SettingRow> mount_rows();

}  // namespace ingot::builder::detail
