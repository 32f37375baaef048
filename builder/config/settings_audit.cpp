// Audit rules as rules files have them, in the order of fields that OpenSCAP's content looks for; the verifier brings
// them and what auditctl(8) lists into one form. Rows of one name are one subject, dropped together. Sources: the
// sample rules that come with auditd (10-base-config, 30-stig, 30-ospp, 42-injection, 43-module-load, 71-networking),
// whose text is not ours to copy, and CIS Debian Linux 13 Benchmark, "Configure auditd Rules". What they lack: accept4,
// sendto, sendmsg and sendmmsg, for a connection needs no connect(2). Rules for privileged programs are made from the
// tree (audit.cpp).
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view oscap = "OpenSCAP CIS, OpenSCAP ANSSI";

constexpr SettingRow rule(std::string_view name, std::string_view value, std::string_view source = "CIS",
                          std::string_view cost = "") {
  return {SettingArea::audit_rule, name, value, audit_rules_file, source, oscap, cost};
}
constexpr SettingRow status(std::string_view name, std::string_view value, std::string_view cost = "") {
  return {SettingArea::audit_status, name, value, audit_rules_file, "CIS, ANSSI-BP-028 R73", oscap, cost};
}

constexpr std::string_view traffic_cost = "a record for each TCP connection and each UDP packet to a new address";

constexpr SettingRow rows[] = {
    status("backlog_limit", "8192"),
    status("failure", "1"),
    status("enabled", "2", "rules change with the image alone"),

    rule("time-change", "-a always,exit -F arch=b64 -S adjtimex,settimeofday,clock_adjtime -F key=time-change"),
    rule("time-change", "-a always,exit -F arch=b32 -S stime,settimeofday,adjtimex -F key=time-change"),
    rule("time-change", "-a always,exit -F arch=b64 -S clock_settime -F a0=0x0 -F key=time-change"),
    rule("time-change", "-a always,exit -F arch=b32 -S clock_settime -F a0=0x0 -F key=time-change"),
    rule("time-change", "-w /etc/localtime -p wa -k time-change"),
    rule("identity", "-w /etc/group -p wa -k identity"),
    rule("identity", "-w /etc/passwd -p wa -k identity"),
    rule("identity", "-w /etc/gshadow -p wa -k identity"),
    rule("identity", "-w /etc/shadow -p wa -k identity"),
    rule("identity", "-w /etc/security/opasswd -p wa -k identity"),
    rule("identity", "-w /etc/nsswitch.conf -p wa -k identity"),
    rule("identity", "-w /etc/pam.conf -p wa -k identity"),
    rule("identity", "-w /etc/pam.d/ -p wa -k identity"),
    rule("scope", "-w /etc/sudoers -p wa -k scope"),
    rule("scope", "-w /etc/sudoers.d/ -p wa -k scope"),
    rule("system-locale", "-a always,exit -F arch=b64 -S sethostname,setdomainname -F key=system-locale"),
    rule("system-locale", "-a always,exit -F arch=b32 -S sethostname,setdomainname -F key=system-locale"),
    rule("system-locale",
         "-a always,exit -F arch=b64 -S sethostname,setdomainname -F auid>=1000 -F auid!=unset -F key=system-locale"),
    rule("system-locale",
         "-a always,exit -F arch=b32 -S sethostname,setdomainname -F auid>=1000 -F auid!=unset -F key=system-locale"),
    rule("system-locale", "-w /etc/issue -p wa -k system-locale"),
    rule("system-locale", "-w /etc/issue.net -p wa -k system-locale"),
    rule("system-locale", "-w /etc/hosts -p wa -k system-locale"),
    rule("system-locale", "-w /etc/hostname -p wa -k system-locale"),
    rule("system-locale", "-w /etc/networks -p wa -k system-locale"),
    rule("system-locale", "-w /etc/network/ -p wa -k system-locale"),
    rule("system-locale", "-w /etc/NetworkManager -p wa -k system-locale"),
    rule("MAC-policy", "-w /etc/apparmor -p wa -k MAC-policy"),
    rule("MAC-policy", "-w /etc/apparmor.d -p wa -k MAC-policy"),
    rule("logins", "-w /var/log/lastlog -p wa -k logins"),
    rule("logins", "-w /var/run/faillock -p wa -k logins"),
    rule("session", "-w /var/run/utmp -p wa -k session"),
    rule("session", "-w /var/log/wtmp -p wa -k session"),
    rule("session", "-w /var/log/btmp -p wa -k session"),
    rule("sudo_log_file", "-w /var/log/sudo.log -p wa -k sudo_log_file"),
    // A noexec file system refuses before IPE is asked, and says nothing. The first rule that fits gives the key.
    rule("execution-refused", "-a always,exit -F arch=b64 -S execve,execveat -F exit=-EACCES -F key=execution-refused",
         "ANSSI-BP-028 R73"),
    rule("user_emulation", "-a always,exit -F arch=b64 -S execve -C euid!=uid -F auid!=unset -F key=user_emulation"),
    rule("user_emulation", "-a always,exit -F arch=b32 -S execve -C euid!=uid -F auid!=unset -F key=user_emulation"),
    rule("root-commands",
         "-a always,exit -F arch=b64 -S execve,execveat -F euid=0 -F auid>=1000 -F auid!=unset -F key=root-commands",
         "ANSSI-BP-028 R73", "a record for each program that a person starts as root"),
    rule("perm_mod",
         "-a always,exit -F arch=b64 -S chmod,fchmod,fchmodat,fchmodat2 -F auid>=1000 -F auid!=unset -F key=perm_mod"),
    rule("perm_mod",
         "-a always,exit -F arch=b32 -S chmod,fchmod,fchmodat,fchmodat2 -F auid>=1000 -F auid!=unset -F key=perm_mod"),
    rule("perm_mod",
         "-a always,exit -F arch=b64 -S chown,fchown,lchown,fchownat -F auid>=1000 -F auid!=unset -F key=perm_mod"),
    rule("perm_mod",
         "-a always,exit -F arch=b32 -S chown,fchown,lchown,fchownat -F auid>=1000 -F auid!=unset -F key=perm_mod"),
    rule("perm_mod",
         "-a always,exit -F arch=b64 -S setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr -F "
         "auid>=1000 -F auid!=unset -F key=perm_mod"),
    rule("perm_mod",
         "-a always,exit -F arch=b32 -S setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr -F "
         "auid>=1000 -F auid!=unset -F key=perm_mod"),
    rule("access",
         "-a always,exit -F arch=b64 -S creat,open,openat,truncate,ftruncate,open_by_handle_at -F exit=-EACCES -F "
         "auid>=1000 -F auid!=unset -F key=access"),
    rule("access",
         "-a always,exit -F arch=b64 -S creat,open,openat,truncate,ftruncate,open_by_handle_at -F exit=-EPERM -F "
         "auid>=1000 -F auid!=unset -F key=access"),
    rule("access",
         "-a always,exit -F arch=b32 -S creat,open,openat,truncate,ftruncate,open_by_handle_at -F exit=-EACCES -F "
         "auid>=1000 -F auid!=unset -F key=access"),
    rule("access",
         "-a always,exit -F arch=b32 -S creat,open,openat,truncate,ftruncate,open_by_handle_at -F exit=-EPERM -F "
         "auid>=1000 -F auid!=unset -F key=access"),
    rule(
        "delete",
        "-a always,exit -F arch=b64 -S rename,unlink,unlinkat,renameat,renameat2,rmdir -F auid>=1000 -F auid!=unset -F "
        "key=delete"),
    rule(
        "delete",
        "-a always,exit -F arch=b32 -S rename,unlink,unlinkat,renameat,renameat2,rmdir -F auid>=1000 -F auid!=unset -F "
        "key=delete"),
    rule("mounts",
         "-a always,exit -F arch=b64 -S mount,umount2,move_mount,fsmount -F auid>=1000 -F auid!=unset -F key=mounts"),
    rule("mounts", "-a always,exit -F arch=b32 -S mount,umount2 -F auid>=1000 -F auid!=unset -F key=mounts"),
    rule("kernel_modules",
         "-a always,exit -F arch=b64 -S init_module,finit_module,delete_module,create_module,query_module -F "
         "key=kernel_modules"),
    rule("kernel_modules",
         "-a always,exit -F arch=b32 -S init_module,finit_module,delete_module,create_module,query_module -F "
         "key=kernel_modules"),
    rule("kernel_modules",
         "-a always,exit -F path=/usr/bin/kmod -F perm=x -F auid>=1000 -F auid!=unset -F key=kernel_modules"),
    rule("perm_chng", "-a always,exit -F path=/usr/bin/chcon -F perm=x -F auid>=1000 -F auid!=unset -F key=perm_chng"),
    rule("perm_chng", "-a always,exit -F path=/usr/bin/chacl -F perm=x -F auid>=1000 -F auid!=unset -F key=perm_chng"),
    rule("perm_chng",
         "-a always,exit -F path=/usr/bin/setfacl -F perm=x -F auid>=1000 -F auid!=unset -F key=perm_chng"),
    rule("usermod", "-a always,exit -F path=/usr/sbin/usermod -F perm=x -F auid>=1000 -F auid!=unset -F key=usermod"),
    rule("kexec", "-a always,exit -F arch=b64 -S kexec_load,kexec_file_load -F key=kexec", "ANSSI-BP-028 R73"),
    rule("tracing", "-a always,exit -F arch=b64 -S ptrace -F a0=0x4 -F key=code-injection", "auditd's 42-injection"),
    rule("tracing", "-a always,exit -F arch=b64 -S ptrace -F a0=0x5 -F key=data-injection", "auditd's 42-injection"),
    rule("tracing", "-a always,exit -F arch=b64 -S ptrace -F a0=0x6 -F key=register-injection",
         "auditd's 42-injection"),
    rule("tracing", "-a always,exit -F arch=b64 -S process_vm_writev,pidfd_getfd -F key=tracing",
         "auditd's 42-injection"),
    rule("bpf", "-a always,exit -F arch=b64 -S bpf,perf_event_open -F auid>=1000 -F auid!=unset -F key=bpf",
         "ANSSI-BP-028 R73"),
    rule("network", "-a always,exit -F arch=b64 -S connect,sendto,sendmsg,sendmmsg -F saddr_fam=2 -F key=network",
         "auditd's 71-networking and what it lacks", traffic_cost),
    rule("network", "-a always,exit -F arch=b64 -S connect,sendto,sendmsg,sendmmsg -F saddr_fam=10 -F key=network",
         "auditd's 71-networking and what it lacks", traffic_cost),
    rule("network", "-a always,exit -F arch=b64 -S accept,accept4 -F success=1 -F key=network",
         "auditd's 71-networking and what it lacks", traffic_cost),
};

}  // namespace

std::span<const SettingRow> audit_rows() { return rows; }

}  // namespace ingot::builder::detail
