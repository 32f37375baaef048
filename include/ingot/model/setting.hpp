// What a node is configured to do, as values that somebody can ask a running node for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// Whom to ask for a value on a running node; each is one part of a node's report (model/report.hpp). Closed set; text
/// form in base/model.cpp.
enum class SettingArea {
  sshd,              ///< `sshd -T`: keyword in lower case
  sysctl,            ///< /proc/sys: name with dots
  kernel_parameter,  ///< /proc/cmdline: "key" or "key=value"
  module,            ///< modprobe configuration: a module that must not load, or one of [modules]
  audit_status,      ///< `auditctl -s`: field
  audit_rule,        ///< `auditctl -l`: one rule in the form that auditctl prints
  firewall,          ///< `nft -j list ruleset`: one chain's policy or one rule
  unit,              ///< systemd: a unit and its state ("active", "masked", "absent")
  account,           ///< /etc/passwd: a user who may log in
  socket,            ///< a listening socket: "tcp 0.0.0.0:443"
  mount,             ///< a mount point and its options; "swap": what the kernel swaps to
  security_module,   ///< lockdown, IPE, LSM list
  volume,            ///< an encrypted volume: its header, by the partition's label
  file,              ///< a file's owner and mode, or its digest
};
std::string to_text(SettingArea area);
std::optional<SettingArea> parse_setting_area(std::string_view text);

/// One row of what a profile delivers, recorded in the baseline.
struct Setting {
  SettingArea area{};
  std::string name;     ///< as the area names it: "passwordauthentication", "kernel.kptr_restrict"
  std::string value;    ///< in the form in which the node reports it
  std::string file;     ///< of the image that produces it, "/etc/ssh/sshd_config.d/10-ingot.conf"; empty: none
  std::string source;   ///< who asks for it: "CIS Debian 13 5.1.12", "KSPP"; several are separated by ", "
  std::string relaxed;  ///< why the profile departs from the table; empty: it does not
  bool operator==(const Setting&) const = default;
};

}  // namespace ingot
