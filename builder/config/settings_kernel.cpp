// The kernel command line, sealed in the signed UKI. Sources: KSPP "Recommended Settings"; ANSSI-BP-028 v2.0 R8
// (memory) and R23 (lockdown); Linux, Documentation/admin-guide/kernel-parameters.txt; systemd kernel-command-line(7).
// What Debian's kernel does anyway (vsyscall=none, tsx=off) is left to it, unless a judge reads the command line alone.
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view khc = "kernel-hardening-checker";
constexpr std::string_view oscap = "kernel-hardening-checker, OpenSCAP ANSSI";

constexpr SettingRow parameter(std::string_view name, std::string_view value, std::string_view source,
                               std::string_view judge, std::string_view cost = "",
                               Variant variant = Variant::every_node) {
  return {SettingArea::kernel_parameter, name, value, "", source, judge, cost, variant};
}

constexpr SettingRow rows[] = {
    parameter("module.sig_enforce", "1", "KSPP", khc, "modules need a signature that the kernel knows"),
    parameter("lockdown", "confidentiality", "KSPP, ANSSI-BP-028 R23", khc,
              "no kprobes, perf of the kernel or BPF sensors that read its memory", Variant::without_gpu),
    parameter("lockdown", "integrity", "KSPP, ANSSI-BP-028 R23: GPU tools read what confidentiality hides", khc, "",
              Variant::with_gpu),
    parameter("slab_nomerge", "", "KSPP, ANSSI-BP-028 R8", oscap, "a few MiB of memory"),
    parameter("init_on_alloc", "1", "KSPP", khc, "about 1 %"),
    parameter("init_on_free", "1", "KSPP, ANSSI-BP-028 R8", khc, "3 to 5 %, more for large buffers",
              Variant::without_gpu),
    parameter("page_alloc.shuffle", "1", "KSPP, ANSSI-BP-028 R8", oscap),
    parameter("randomize_kstack_offset", "1", "KSPP", khc),
    parameter("hash_pointers", "always", "KSPP", khc, "kernels before 6.14 hash them anyway and pass over the name"),
    parameter("hardened_usercopy", "1", "KSPP", khc),
    parameter("kfence.sample_interval", "100", "KSPP", khc, "2 MiB of memory"),
    parameter("pti", "on", "KSPP, ANSSI-BP-028 R8", oscap, "system calls of processors without Meltdown, too"),
    parameter("mitigations", "auto,nosmt", "KSPP, ANSSI-BP-028 R8", oscap,
              "processors whose threads can read each other's memory lose SMT"),
    parameter("nosmt", "", "KSPP", khc, "half the hardware threads", Variant::without_gpu),
    parameter("vsyscall", "none", "KSPP", khc),
    parameter("ia32_emulation", "0", "KSPP", khc, "no 32-bit programs"),
    parameter("debugfs", "off", "KSPP", khc, "drivers' debug files are not there"),
    parameter("proc_mem.force_override", "never", "kernel-hardening-checker", khc,
              "debuggers cannot write read-only pages"),
    parameter("bdev_allow_write_mounted", "0", "kernel-hardening-checker", khc, "no writing under a mounted disk"),
    parameter("iommu", "force", "KSPP, ANSSI-BP-028 R7", oscap),
    parameter("iommu.passthrough", "0", "KSPP", khc),
    parameter("intel_iommu", "on", "KSPP", khc),
    parameter("iommu.strict", "1", "KSPP", khc, "slower DMA", Variant::without_gpu),
    parameter("efi", "disable_early_pci_dma", "KSPP", khc),
    parameter("audit", "1", "CIS", "OpenSCAP CIS"),
    parameter("audit_backlog_limit", "8192", "CIS", "OpenSCAP CIS", "memory of up to 8,192 records"),
    parameter("random.trust_bootloader", "off", "KSPP", khc),
    parameter("random.trust_cpu", "off", "ANSSI-BP-028 R8 (rng_core.default_quality), KSPP", khc,
              "the first random numbers of a boot wait for interrupts' noise"),
    parameter("systemd.import_credentials", "no", "whoever owns the BMC could hand in keys through SMBIOS", ""),
    parameter("systemd.ssh_auto", "no", "systemd-ssh-generator(8) would offer SSH over AF_VSOCK", ""),
};

}  // namespace

std::span<const SettingRow> kernel_parameter_rows() { return rows; }

}  // namespace ingot::builder::detail
