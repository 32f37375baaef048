// The table of settings: what every node is configured to do, who asks for it, who sees it, and what it costs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ingot/model/profile.hpp"
#include "ingot/model/setting.hpp"

namespace ingot::builder {

/// Which nodes a row is for. Some settings cost GPU, RDMA or container work more than they bring.
enum class Variant { every_node, without_gpu, with_gpu };

struct SettingRow {
  SettingArea area{};
  std::string_view name;    ///< as the area names it, see Setting
  std::string_view value;   ///< in the form in which the running node reports it
  std::string_view file;    ///< of the image that delivers it; empty: the kernel command line
  std::string_view source;  ///< who asks for it; several are separated by ", "
  std::string_view judge;   ///< whose verdict it changes; several are separated by ", "
  std::string_view cost;    ///< empty: none that anybody noticed
  Variant variant = Variant::every_node;
};

/// Every row, of all areas, in the order in which files list them.
const std::vector<SettingRow>& setting_rows();

/// What [hardening.relax] puts before the name of a socket that may listen; it is no row.
inline constexpr std::string_view socket_prefix = "socket.";
/// What [hardening.relax] calls a row: "sysctl.kernel.kptr_restrict".
std::string row_name(const SettingRow& row);
/// The row of that name; null when there is none.
const SettingRow* find_setting_row(std::string_view name);

/// The rows of one area as the profile wants them: its variant, with its relaxations, without what it drops.
std::vector<Setting> chosen_settings(const Hardening& hardening, SettingArea area);

}  // namespace ingot::builder
