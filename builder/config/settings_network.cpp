// /proc/sys/net: what one host must not do for others, and must not believe. Sources: CIS Debian Linux 13 Benchmark,
// "Network Kernel Parameters"; ANSSI-BP-028 v2.0 R12 (IPv4), R13 (IPv6); Linux, Documentation/networking/ip-sysctl.rst.
// "default" is for interfaces that are yet to come, "all" for those that are there.
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view judges = "kernel-hardening-checker, OpenSCAP CIS, OpenSCAP ANSSI, lynis";
constexpr std::string_view cis = "CIS, ANSSI-BP-028 R12";
constexpr std::string_view cis6 = "CIS, ANSSI-BP-028 R13";

constexpr SettingRow net(std::string_view name, std::string_view value, std::string_view source,
                         std::string_view cost = "") {
  return {SettingArea::sysctl, name, value, sysctl_file, source, judges, cost};
}

constexpr SettingRow rows[] = {
    net("net.ipv4.ip_forward", "0", cis, "not a router"),
    net("net.ipv4.conf.all.forwarding", "0", cis, "not a router"),
    net("net.ipv4.conf.default.forwarding", "0", cis, "not a router"),
    net("net.ipv6.conf.all.forwarding", "0", cis, "not a router"),
    net("net.ipv6.conf.default.forwarding", "0", cis, "not a router"),
    net("net.ipv4.conf.all.send_redirects", "0", cis),
    net("net.ipv4.conf.default.send_redirects", "0", cis),
    net("net.ipv4.conf.all.accept_redirects", "0", cis),
    net("net.ipv4.conf.default.accept_redirects", "0", cis),
    net("net.ipv4.conf.all.secure_redirects", "0", cis),
    net("net.ipv4.conf.default.secure_redirects", "0", cis),
    net("net.ipv4.conf.all.shared_media", "0", "ANSSI-BP-028 R12"),
    net("net.ipv4.conf.default.shared_media", "0", "ANSSI-BP-028 R12"),
    net("net.ipv6.conf.all.accept_redirects", "0", cis6),
    net("net.ipv6.conf.default.accept_redirects", "0", cis6),
    net("net.ipv4.conf.all.accept_source_route", "0", cis),
    net("net.ipv4.conf.default.accept_source_route", "0", cis),
    net("net.ipv6.conf.all.accept_source_route", "0", cis6),
    net("net.ipv6.conf.default.accept_source_route", "0", cis6),
    net("net.ipv4.conf.all.rp_filter", "1", cis, "no asymmetric routes"),
    net("net.ipv4.conf.default.rp_filter", "1", cis, "no asymmetric routes"),
    net("net.ipv4.conf.all.log_martians", "1", "CIS", "a line of the kernel log for each odd packet, rate-limited"),
    net("net.ipv4.conf.default.log_martians", "1", "CIS", "a line of the kernel log for each odd packet, rate-limited"),
    net("net.ipv4.conf.all.accept_local", "0", "ANSSI-BP-028 R12"),
    net("net.ipv4.conf.default.accept_local", "0", "ANSSI-BP-028 R12"),
    net("net.ipv4.conf.all.route_localnet", "0", "ANSSI-BP-028 R12"),
    net("net.ipv4.conf.default.route_localnet", "0", "ANSSI-BP-028 R12"),
    net("net.ipv4.conf.all.proxy_arp", "0", "ANSSI-BP-028 R12"),
    net("net.ipv4.conf.default.proxy_arp", "0", "ANSSI-BP-028 R12"),
    net("net.ipv4.conf.all.bootp_relay", "0", "lynis"),
    net("net.ipv4.conf.default.bootp_relay", "0", "lynis"),
    net("net.ipv4.conf.all.arp_filter", "1", "ANSSI-BP-028 R12"),
    net("net.ipv4.conf.all.arp_ignore", "2", "ANSSI-BP-028 R12"),
    net("net.ipv4.conf.all.drop_gratuitous_arp", "1", "ANSSI-BP-028 R12",
        "a fail-over that announces itself by gratuitous ARP waits for the cache to expire"),
    net("net.ipv4.icmp_echo_ignore_broadcasts", "1", cis),
    net("net.ipv4.icmp_ignore_bogus_error_responses", "1", cis),
    net("net.ipv4.tcp_syncookies", "1", cis),
    net("net.ipv4.tcp_rfc1337", "1", "ANSSI-BP-028 R12"),
    net("net.ipv4.ip_local_port_range", "32768 65535", "ANSSI-BP-028 R12"),
    net("net.ipv6.conf.all.accept_ra", "0", cis6, "IPv6 addresses and routes come from the site file alone"),
    net("net.ipv6.conf.default.accept_ra", "0", cis6, "IPv6 addresses and routes come from the site file alone"),
    net("net.ipv6.conf.all.router_solicitations", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.default.router_solicitations", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.all.accept_ra_rtr_pref", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.default.accept_ra_rtr_pref", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.all.accept_ra_pinfo", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.default.accept_ra_pinfo", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.all.accept_ra_defrtr", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.default.accept_ra_defrtr", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.all.autoconf", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.default.autoconf", "0", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.all.max_addresses", "1", "ANSSI-BP-028 R13"),
    net("net.ipv6.conf.default.max_addresses", "1", "ANSSI-BP-028 R13"),
    {SettingArea::sysctl, "net.netfilter.nf_conntrack_acct", "1", sysctl_file, "Ingot: the firewall tells of transfers",
     "", ""},
};

}  // namespace

std::span<const SettingRow> network_sysctl_rows() { return rows; }

}  // namespace ingot::builder::detail
