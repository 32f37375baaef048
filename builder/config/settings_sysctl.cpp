// /proc/sys: the kernel and file systems. Sources: KSPP "Recommended Settings"; ANSSI-BP-028 v2.0 R9 (kernel), R11
// (Yama), R14 (file systems); CIS Debian Linux 13 Benchmark; Linux, Documentation/admin-guide/sysctl.
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view khc = "kernel-hardening-checker";
constexpr std::string_view khc_anssi = "kernel-hardening-checker, OpenSCAP ANSSI";
constexpr std::string_view all_judges = "kernel-hardening-checker, OpenSCAP ANSSI, OpenSCAP CIS, lynis";

constexpr SettingRow sysctl(std::string_view name, std::string_view value, std::string_view source,
                            std::string_view judge, std::string_view cost = "", Variant variant = Variant::every_node) {
  return {SettingArea::sysctl, name, value, sysctl_file, source, judge, cost, variant};
}

constexpr SettingRow rows[] = {
    sysctl("kernel.dmesg_restrict", "1", "KSPP, CIS, ANSSI-BP-028 R9", all_judges),
    sysctl("kernel.kptr_restrict", "2", "KSPP, ANSSI-BP-028 R9", all_judges,
           "kernel addresses are hidden from root, too"),
    sysctl("kernel.perf_event_paranoid", "3", "KSPP, ANSSI-BP-028 R9 (2)", all_judges,
           "profilers work as root only; Debian's kernel knows level 3"),
    sysctl("kernel.perf_cpu_time_max_percent", "1", "ANSSI-BP-028 R9", "OpenSCAP ANSSI", "coarser profiles"),
    sysctl("kernel.perf_event_max_sample_rate", "1", "ANSSI-BP-028 R9", "OpenSCAP ANSSI", "coarser profiles"),
    sysctl("kernel.unprivileged_bpf_disabled", "1", "KSPP, ANSSI-BP-028 R9", all_judges),
    sysctl("net.core.bpf_jit_harden", "2", "KSPP, ANSSI-BP-028 R12", all_judges, "slower BPF programs"),
    sysctl("kernel.yama.ptrace_scope", "3", "KSPP, CIS (1), ANSSI-BP-028 R11 (1)", all_judges,
           "no debugger attaches to anything until the next boot"),
    sysctl("kernel.kexec_load_disabled", "1", "KSPP, ANSSI-BP-028 R9", khc, "no kdump"),
    sysctl("kernel.sysrq", "0", "KSPP, ANSSI-BP-028 R9", all_judges, "a hung node is reset by its BMC"),
    sysctl("kernel.io_uring_disabled", "2", "KSPP: io_uring passes by the audit rules of system calls", khc,
           "programs fall back to epoll or read/write"),
    sysctl("kernel.randomize_va_space", "2", "KSPP, CIS, ANSSI-BP-028 R9", all_judges),
    sysctl("kernel.pid_max", "65536", "ANSSI-BP-028 R9", "OpenSCAP ANSSI", "at most 65,535 threads",
           Variant::without_gpu),
    sysctl("kernel.panic_on_oops", "1", "ANSSI-BP-028 R9", "OpenSCAP ANSSI", "a kernel fault restarts the node"),
    sysctl("kernel.panic", "30", "ANSSI-BP-028 R9 with a restart: the node is verified again", ""),
    sysctl("kernel.oops_limit", "100", "KSPP", khc),
    sysctl("kernel.warn_limit", "100", "KSPP", khc, "a kernel that keeps warning restarts the node"),
    sysctl("kernel.core_pattern", "|/bin/false", "CIS, ANSSI-BP-028 R14: no core dumps", "OpenSCAP CIS, OpenSCAP ANSSI",
           "no memory of crashed programs to look at"),
    sysctl("kernel.core_uses_pid", "1", "lynis", "lynis"),
    sysctl("fs.suid_dumpable", "0", "KSPP, CIS, ANSSI-BP-028 R14", all_judges),
    sysctl("fs.protected_symlinks", "1", "KSPP, CIS, ANSSI-BP-028 R14", all_judges),
    sysctl("fs.protected_hardlinks", "1", "KSPP, CIS, ANSSI-BP-028 R14", all_judges),
    sysctl("fs.protected_fifos", "2", "KSPP, ANSSI-BP-028 R14", all_judges),
    sysctl("fs.protected_regular", "2", "KSPP, ANSSI-BP-028 R14", all_judges),
    sysctl("dev.tty.ldisc_autoload", "0", "KSPP", khc),
    sysctl("dev.tty.legacy_tiocsti", "0", "KSPP", khc),
    sysctl("vm.unprivileged_userfaultfd", "0", "KSPP", khc),
    sysctl("vm.mmap_min_addr", "65536", "KSPP, ANSSI-BP-028 R9", khc_anssi),
    sysctl("vm.mmap_rnd_bits", "32", "kernel-hardening-checker", khc),
    sysctl("vm.mmap_rnd_compat_bits", "16", "kernel-hardening-checker", khc),
    sysctl("user.max_user_namespaces", "0", "KSPP, CIS, ANSSI-BP-028 R9", all_judges,
           "no rootless containers, no unit with PrivateUsers=", Variant::without_gpu),
    sysctl("kernel.unprivileged_userns_clone", "0", "KSPP, Debian", khc, "only root makes containers",
           Variant::with_gpu),
    {SettingArea::sysctl, "kernel.modules_disabled", "1", modules_disabled_file, "KSPP, ANSSI-BP-028 R10", khc_anssi,
     "a driver or protocol that nobody used until the boot was over is not there", Variant::without_gpu},
};

}  // namespace

std::span<const SettingRow> sysctl_rows() { return rows; }

}  // namespace ingot::builder::detail
