// Kernel modules that no role needs and that must not load, not even when a program asks for a protocol or plugs a file
// system in: `install NAME /bin/false` (modprobe.d(5)). Names as /proc/modules has them.
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr SettingRow blocked(std::string_view name, std::string_view source, std::string_view judge,
                             std::string_view cost = "", Variant variant = Variant::every_node) {
  return {SettingArea::module, name, "blocked", modprobe_file, source, judge, cost, variant};
}

constexpr std::string_view cis = "CIS, ANSSI-BP-028 R10";
constexpr std::string_view scap = "OpenSCAP CIS, lynis";
constexpr std::string_view rare = "KSPP: code that few use and many fuzz";

constexpr SettingRow rows[] = {
    blocked("cramfs", cis, scap),
    blocked("freevxfs", cis, scap),
    blocked("hfs", cis, scap),
    blocked("hfsplus", cis, scap),
    blocked("jffs2", cis, scap),
    blocked("udf", cis, scap),
    blocked("overlay", cis, scap, "no containers", Variant::without_gpu),
    blocked("usb_storage", cis, scap, "no USB disks"),
    blocked("firewire_core", cis, scap, "no FireWire"),
    blocked("firewire_ohci", cis, scap, "no FireWire"),
    blocked("firewire_sbp2", cis, scap, "no FireWire"),
    blocked("dccp", cis, scap),
    blocked("dccp_ipv4", cis, scap),
    blocked("dccp_ipv6", cis, scap),
    blocked("sctp", cis, scap),
    blocked("rds", cis, scap),
    blocked("rds_rdma", cis, scap),
    blocked("rds_tcp", cis, scap),
    blocked("tipc", cis, scap),
    blocked("atm", cis, scap),
    blocked("can", cis, scap),
    blocked("af_802154", rare, ""),
    blocked("appletalk", rare, ""),
    blocked("ax25", rare, ""),
    blocked("netrom", rare, ""),
    blocked("rose", rare, ""),
    blocked("x25", rare, ""),
    blocked("phonet", rare, ""),
    blocked("n_gsm", rare, ""),
    blocked("n_hdlc", rare, ""),
    blocked("slcan", rare, ""),
    blocked("bluetooth", rare, ""),
    blocked("btusb", rare, ""),
    blocked("vivid", rare, ""),
    blocked("floppy", rare, ""),
    blocked("adfs", rare, ""),
    blocked("affs", rare, ""),
    blocked("befs", rare, ""),
    blocked("efs", rare, ""),
    blocked("hpfs", rare, ""),
    blocked("minix", rare, ""),
    blocked("nilfs2", rare, ""),
    blocked("ntfs3", rare, ""),
    blocked("omfs", rare, ""),
    blocked("qnx4", rare, ""),
    blocked("qnx6", rare, ""),
    blocked("romfs", rare, ""),
    blocked("sysv", rare, ""),
    blocked("ufs", rare, ""),
    blocked("ksmbd", rare, "", "no SMB server in the kernel"),
};

}  // namespace

std::span<const SettingRow> module_rows() { return rows; }

}  // namespace ingot::builder::detail
