#include "ingot/builder/settings.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "settings_rows.hpp"

namespace ingot::builder {
namespace {

bool is_for(Variant variant, const Hardening& hardening) {
  switch (variant) {
    case Variant::every_node:
      return true;
    case Variant::without_gpu:
      return !hardening.gpu;
    case Variant::with_gpu:
      return hardening.gpu;
  }
  return false;
}

Setting as_setting(const SettingRow& row) {
  return {row.area, std::string(row.name), std::string(row.value), std::string(row.file), std::string(row.source), ""};
}

/// Of the rows of one name, which differ in their variant, the one that this profile is about.
bool is_meant(const SettingRow& row, const Hardening& hardening) {
  if (is_for(row.variant, hardening)) return true;
  return std::none_of(setting_rows().begin(), setting_rows().end(), [&](const SettingRow& other) {
    return other.area == row.area && other.name == row.name && is_for(other.variant, hardening);
  });
}

}  // namespace

const std::vector<SettingRow>& setting_rows() {
  static const std::vector<SettingRow> rows = [] {
    std::vector<SettingRow> all;
    for (const auto part : {detail::kernel_parameter_rows(), detail::sysctl_rows(), detail::network_sysctl_rows(),
                            detail::module_rows(), detail::mount_rows(), detail::audit_rows(), detail::sshd_rows()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  return rows;
}

std::string row_name(const SettingRow& row) { return fmt::format("{}.{}", to_text(row.area), row.name); }

const SettingRow* find_setting_row(std::string_view name) {
  const auto& rows = setting_rows();
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const SettingRow& row) { return row_name(row) == name; });
  return found == rows.end() ? nullptr : &*found;
}

std::vector<Setting> chosen_settings(const Hardening& hardening, SettingArea area) {
  std::vector<Setting> chosen;
  for (const auto& row : setting_rows()) {
    if (row.area != area) continue;
    auto setting = as_setting(row);
    const auto relaxed = hardening.relaxed.find(row_name(row));
    if (relaxed != hardening.relaxed.end()) {
      if (!relaxed->second.value || !is_meant(row, hardening)) continue;
      setting.value = *relaxed->second.value;
      setting.relaxed = relaxed->second.why;
    } else if (!is_for(row.variant, hardening)) {
      continue;
    }
    chosen.push_back(std::move(setting));
  }
  return chosen;
}

}  // namespace ingot::builder
