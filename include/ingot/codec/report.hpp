// A node's report of what is in force, taken apart. Untrusted: each decoder takes any text, refuses what does not
// follow its form, and says so. Parts and forms: verifier/codec/report.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"
#include "ingot/codec/luks_header.hpp"
#include "ingot/model/digest.hpp"
#include "ingot/model/report.hpp"

namespace ingot::codec {

inline constexpr std::size_t report_part_count_cap = 128;
/// Of one part; an agent reports a longer one as absent.
inline constexpr std::size_t report_part_cap_bytes = 8u << 20;
/// Appended to a part's name: why the part is not there.
inline constexpr std::string_view report_error_suffix = ".error";

/// A tool of the node that the agent asks has a socket of its own here, named after its part of the report
/// (builder/config/report.cpp). What comes through it: standard output, NUL, "exit STATUS" LF, standard error. Programs
/// that print strings never print a NUL, and only a tool that has ended is followed by one.
inline constexpr std::string_view report_socket_folder = "/run/ingot-report";
/// Of everything that follows a tool's standard output.
inline constexpr std::size_t tool_end_cap_bytes = 64u << 10;
/// The standard output of a tool that has ended well. Errors: cut off or not of this form (malformed), the tool ended
/// with another status than 0 (tool_failed, with the beginning of what it said).
Result<Bytes> decode_tool_answer(Bytes answer);

/// SHA-256 over "ingot-report/1" NUL and each part in order: name and text, each behind its length (u32 big-endian).
Digest report_digest(const NodeReport& report);

/// Any bytes as a text that JSON keeps as it is: line feed, tabulator and printable ASCII; every other byte, and the
/// backslash of what could be read as one, as "\xNN".
std::string report_text(Bytes raw);

/// `sshd -T`: keyword (lower case) to value. Values of a keyword on several lines are joined by a space, in order.
Result<std::map<std::string, std::string>> decode_sshd_settings(std::string_view text);

/// "name = value" lines; the white space inside a value is one space each.
Result<std::map<std::string, std::string>> decode_sysctls(std::string_view text);

/// /proc/cmdline: parameters in order, quotes kept (Documentation/admin-guide/kernel-parameters.rst).
struct KernelParameter {
  std::string key;
  std::string value;
  bool has_value = false;
  bool operator==(const KernelParameter&) const = default;
};
std::vector<KernelParameter> decode_kernel_parameters(std::string_view text);

/// /proc/modules: name and the taint letters behind it ("OE"), empty when there are none.
struct LoadedModule {
  std::string name;
  std::string taint;
  bool operator==(const LoadedModule&) const = default;
};
Result<std::vector<LoadedModule>> decode_modules(std::string_view text);
/// Modules that modprobe's configuration keeps from loading by name: "install NAME /bin/false" or "/bin/true".
/// Dashes of names are underscores, as in /proc/modules.
std::vector<std::string> decode_blocked_modules(std::string_view text);
/// "usb-storage" -> "usb_storage".
std::string module_name(std::string_view name);

/// `auditctl -s`: field to value.
Result<std::map<std::string, std::string>> decode_audit_status(std::string_view text);
/// `auditctl -l`: each rule in its canonical form. "No rules" is an empty list.
Result<std::vector<std::string>> decode_audit_rules(std::string_view text);
/// One rule as written for auditctl or as auditctl prints it, in one form for both: list and action in one order,
/// system calls and fields sorted, key as a field, a watch ("-w") as the system call rule that it is.
std::string canonical_audit_rule(std::string_view rule);

/// /proc/net/{tcp,tcp6,udp,udp6}: sockets that take what comes: "tcp 0.0.0.0:22", "udp [::]:4789". Sorted, each once.
/// `protocol` is the part's name.
Result<std::vector<std::string>> decode_listening_sockets(std::string_view protocol, std::string_view text);

/// /proc/PID/mountinfo (Documentation/filesystems/proc.rst, 3.5). Of mounts over one another the last one counts.
struct ReportedMount {
  std::string point;
  std::vector<std::string> options;  ///< of the mount and of its super block, and "type=TYPE", "source=SOURCE"
  bool operator==(const ReportedMount&) const = default;
};
Result<std::vector<ReportedMount>> decode_mounts(std::string_view text);

/// `systemctl show`: blocks of "Property=value" lines, parted by an empty line.
struct ReportedUnit {
  std::string load;        ///< "loaded", "not-found", "masked"
  std::string active;      ///< "active", "inactive", "failed"
  std::string file_state;  ///< "enabled", "static", "masked", "transient"; empty: no unit file
  std::string fragment;    ///< path of its file
  std::vector<std::string> drop_ins;
  bool operator==(const ReportedUnit&) const = default;
};
Result<std::map<std::string, ReportedUnit>> decode_units(std::string_view text);
/// `systemctl list-unit-files`: name and state of each, added to units that are not loaded.
Result<void> add_unit_files(std::string_view text, std::map<std::string, ReportedUnit>& units);

/// Lines of tab-separated fields that the agent writes itself: the first is the name, the others are facts about it
/// ("uid 0", "password locked"). Parts accounts, groups, ipe, shim, swaps and files.
Result<std::map<std::string, std::vector<std::string>>> decode_facts(std::string_view text);

/// Part shim: the variables below this GUID, which are shim's where there is a shim, and anybody's where there is none.
inline constexpr Guid shim_lock_guid = make_guid("605dab50-e046-4300-abb6-3dd810dd8b23");

/// Part volumes: each LUKS2 volume that the node has, in use or not.
struct ReportedVolume {
  std::string device;
  std::string label;  ///< of the partition; may be empty
  std::string uuid;
  std::string mapped;  ///< name under which it is open, several parted by a comma; empty: it is closed
  LuksHeader header;
  bool operator==(const ReportedVolume&) const = default;
};
Result<std::vector<ReportedVolume>> decode_volumes(std::string_view text);

/// Part revocation: what the TPM keeps of the releases that the node has booted (measure/revocation.hpp).
struct ReportedRevocation {
  std::optional<std::uint64_t> counter;
  Buffer index;                ///< TPMS_NV_PUBLIC; empty: there is none
  std::string policy_key_pem;  ///< of the UKI that was started, as it says; empty: unknown
  bool operator==(const ReportedRevocation&) const = default;
};
Result<ReportedRevocation> decode_revocation(std::string_view text);

/// "none [integrity] confidentiality": the chosen word.
Result<std::string> decode_choice(std::string_view text);

}  // namespace ingot::codec
