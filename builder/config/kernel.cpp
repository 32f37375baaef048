// sysctl.d(5), modprobe.d(5), and the kernel command line's rows for the baseline: the line itself is already part of
// the profile (profile/hardening.cpp).
#include <algorithm>
#include <iterator>

#include "parts.hpp"
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

/// Set when everything else has started, because from then on no module loads any more.
constexpr std::string_view modules_off_unit = R"([Unit]
Description=No kernel module loads from here on
Documentation=https://docs.kernel.org/admin-guide/sysctl/kernel.html
# Behind everything that brings modules in: network, firewall, services.
After=multi-user.target nftables.service systemd-modules-load.service systemd-udev-settle.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/systemd/systemd-sysctl /usr/lib/ingot/modules-disabled.conf

[Install]
WantedBy=multi-user.target
)";

std::string render_sysctls(const std::vector<Setting>& settings) {
  std::string text(made_by);
  for (const auto& setting : settings)
    if (setting.file == sysctl_file) text += fmt::format("{} = {}\n", setting.name, setting.value);
  return text;
}

/// The kernel tells these to nobody without CAP_SYS_ADMIN (Linux, net/core/sysctl_net_core.c,
/// "proc_dointvec_minmax_bpf_restricted"), which a node's agent has not.
bool is_kept_from_agents(std::string_view sysctl) { return sysctl.starts_with("net.core.bpf_jit_"); }

std::string render_modules(const std::vector<Setting>& settings) {
  std::string text(made_by);
  for (const auto& setting : settings) {
    text += fmt::format("install {0} /bin/false\nblacklist {0}\n", setting.name);
    // modprobe takes - and _ for the same (modprobe.d(5)); who only reads the file wants the module's file name.
    auto file = setting.name;
    std::replace(file.begin(), file.end(), '_', '-');
    if (file != setting.name) text += fmt::format("install {} /bin/false\n", file);
  }
  return text;
}

}  // namespace

Result<ConfigPart> render_kernel(const Profile& profile) {
  ConfigPart part;
  part.settings = chosen_settings(profile.hardening, SettingArea::kernel_parameter);
  const auto sysctls = chosen_settings(profile.hardening, SettingArea::sysctl);
  add_file(part, std::string(sysctl_file), render_sysctls(sysctls));
  for (const auto& setting : sysctls) {
    // Debian's own word on the same, which would lose anyhow.
    if (setting.name == "kernel.core_pattern") part.removed.emplace_back("/usr/lib/sysctl.d/10-coredump-debian.conf");
    if (setting.name == "kernel.pid_max") part.removed.emplace_back("/usr/lib/sysctl.d/50-pid-max.conf");
    if (setting.file != modules_disabled_file) continue;
    add_file(part, std::string(modules_disabled_file), fmt::format("{} = {}\n", setting.name, setting.value));
    add_file(part, "/usr/lib/systemd/system/ingot-modules-off.service", modules_off_unit);
    want_unit(part, "ingot-modules-off.service", "multi-user.target", setting.source);
  }
  const auto modules = chosen_settings(profile.hardening, SettingArea::module);
  add_file(part, std::string(modprobe_file), render_modules(modules));
  std::copy_if(sysctls.begin(), sysctls.end(), std::back_inserter(part.settings),
               [](const Setting& setting) { return !is_kept_from_agents(setting.name); });
  part.settings.insert(part.settings.end(), modules.begin(), modules.end());
  return part;
}

}  // namespace ingot::builder::detail
