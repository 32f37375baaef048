// What an initrd is made of, as tables.
#pragma once

#include <array>
#include <string_view>

namespace ingot::builder::detail {

/// Files without which the initrd cannot bring up a verity root: a tree that lacks one is refused.
inline constexpr std::array required_files = {
    std::string_view("/usr/lib/systemd/systemd"),
    std::string_view("/usr/lib/systemd/systemd-journald"),
    std::string_view("/usr/lib/systemd/systemd-udevd"),
    std::string_view("/usr/lib/systemd/systemd-veritysetup"),
    std::string_view("/usr/lib/systemd/systemd-volatile-root"),
    std::string_view("/usr/lib/systemd/system-generators/systemd-veritysetup-generator"),
    std::string_view("/usr/lib/systemd/system-generators/systemd-fstab-generator"),
    std::string_view("/usr/bin/systemctl"),
    std::string_view("/usr/bin/udevadm"),
    std::string_view("/usr/bin/mount"),
    std::string_view("/usr/bin/kmod"),
    std::string_view("/usr/bin/cat"),
    std::string_view("/usr/bin/echo"),
    std::string_view("/usr/sbin/modprobe"),
    std::string_view("/usr/sbin/dmsetup"),
    std::string_view("/etc/passwd"),
    std::string_view("/etc/group"),
};

/// Files taken where the tree has them: they depend on the release of systemd and on what the base installs. No shell,
/// no sulogin, no systemd-debug-generator: nothing here can hand anybody a prompt.
inline constexpr std::array optional_files = {
    std::string_view("/usr/lib/systemd/systemd-executor"),
    std::string_view("/usr/lib/systemd/systemd-shutdown"),
    std::string_view("/usr/lib/systemd/systemd-modules-load"),
    std::string_view("/usr/lib/systemd/systemd-fsck"),
    std::string_view("/usr/lib/systemd/systemd-makefs"),
    std::string_view("/usr/lib/systemd/systemd-growfs"),
    std::string_view("/usr/lib/systemd/systemd-cryptsetup"),
    std::string_view("/usr/lib/systemd/systemd-pcrextend"),
    std::string_view("/usr/lib/systemd/systemd-pcrphase"),
    std::string_view("/usr/lib/systemd/systemd-tpm2-setup"),
    std::string_view("/usr/lib/systemd/systemd-sysroot-fstab-check"),
    std::string_view("/usr/lib/systemd/system-generators/systemd-cryptsetup-generator"),
    std::string_view("/usr/lib/systemd/system-generators/systemd-gpt-auto-generator"),
    std::string_view("/usr/lib/systemd/system-generators/systemd-tpm2-generator"),
    std::string_view("/usr/bin/systemd-repart"),
    std::string_view("/usr/sbin/mkfs.ext4"),
    std::string_view("/etc/mke2fs.conf"),
    std::string_view("/usr/bin/systemd-tmpfiles"),
    std::string_view("/usr/bin/systemd-cryptsetup"),
    std::string_view("/usr/bin/journalctl"),
    std::string_view("/usr/bin/umount"),
    std::string_view("/usr/lib/udev/ata_id"),
    std::string_view("/usr/lib/udev/scsi_id"),
    std::string_view("/usr/lib/udev/rules.d/50-udev-default.rules"),
    std::string_view("/usr/lib/udev/rules.d/55-dm.rules"),
    std::string_view("/usr/lib/udev/rules.d/60-block.rules"),
    std::string_view("/usr/lib/udev/rules.d/60-persistent-storage.rules"),
    std::string_view("/usr/lib/udev/rules.d/60-persistent-storage-dm.rules"),
    std::string_view("/usr/lib/udev/rules.d/60-serial.rules"),
    std::string_view("/usr/lib/udev/rules.d/71-seat.rules"),
    std::string_view("/usr/lib/udev/rules.d/80-drivers.rules"),
    std::string_view("/usr/lib/udev/rules.d/95-dm-notify.rules"),
    std::string_view("/usr/lib/udev/rules.d/99-systemd.rules"),
    std::string_view("/usr/lib/tmpfiles.d/20-systemd-stub.conf"),
    std::string_view("/usr/lib/tmpfiles.d/static-nodes-permissions.conf"),
    std::string_view("/usr/lib/tmpfiles.d/systemd.conf"),
};

/// Libraries that programs load by name at run time, which no DT_NEEDED tells: module compression, TPM, LUKS, the
/// thread support that libc itself loads. Matched by prefix: the number behind ".so." changes with the release.
inline constexpr std::array loaded_libraries = {
    std::string_view("libkmod.so."),
    std::string_view("liblzma.so."),
    std::string_view("libzstd.so."),
    std::string_view("libcryptsetup.so."),
    std::string_view("libgcc_s.so."),
    std::string_view("libtss2-esys.so."),
    std::string_view("libtss2-mu.so."),
    std::string_view("libtss2-rc.so."),
    std::string_view("libtss2-tcti-device.so."),
};
/// libcryptsetup's plug-in for keys that a TPM seals.
inline constexpr std::string_view tpm2_token_plugin = "cryptsetup/libcryptsetup-token-systemd-tpm2.so";

/// Units taken where the tree has them, with their drop-ins and the .wants and .requires links among them.
inline constexpr std::array units = {
    std::string_view("basic.target"),
    std::string_view("blockdev@.target"),
    std::string_view("cryptsetup.target"),
    std::string_view("cryptsetup-pre.target"),
    std::string_view("emergency.target"),
    std::string_view("exit.target"),
    std::string_view("final.target"),
    std::string_view("halt.target"),
    std::string_view("initrd.target"),
    std::string_view("initrd-cleanup.service"),
    std::string_view("initrd-fs.target"),
    std::string_view("initrd-parse-etc.service"),
    std::string_view("initrd-root-device.target"),
    std::string_view("initrd-root-fs.target"),
    std::string_view("initrd-switch-root.service"),
    std::string_view("initrd-switch-root.target"),
    std::string_view("initrd-udevadm-cleanup-db.service"),
    std::string_view("initrd-usr-fs.target"),
    std::string_view("kmod-static-nodes.service"),
    std::string_view("local-fs.target"),
    std::string_view("local-fs-pre.target"),
    std::string_view("modprobe@.service"),
    std::string_view("network.target"),
    std::string_view("paths.target"),
    std::string_view("poweroff.target"),
    std::string_view("reboot.target"),
    std::string_view("remote-cryptsetup.target"),
    std::string_view("remote-fs.target"),
    std::string_view("remote-fs-pre.target"),
    std::string_view("remote-veritysetup.target"),
    std::string_view("shutdown.target"),
    std::string_view("slices.target"),
    std::string_view("sockets.target"),
    std::string_view("swap.target"),
    std::string_view("sysinit.target"),
    std::string_view("sys-kernel-config.mount"),
    std::string_view("systemd-fsck@.service"),
    std::string_view("systemd-fsck-root.service"),
    std::string_view("systemd-growfs@.service"),
    std::string_view("systemd-growfs-root.service"),
    std::string_view("systemd-halt.service"),
    std::string_view("systemd-journald.service"),
    std::string_view("systemd-journald.socket"),
    std::string_view("systemd-journald-dev-log.socket"),
    std::string_view("systemd-modules-load.service"),
    std::string_view("systemd-pcrextend@.service"),
    std::string_view("systemd-pcrextend.socket"),
    std::string_view("systemd-pcrphase-initrd.service"),
    std::string_view("systemd-poweroff.service"),
    std::string_view("systemd-reboot.service"),
    std::string_view("systemd-repart.service"),
    std::string_view("systemd-tmpfiles-setup.service"),
    std::string_view("systemd-tmpfiles-setup-dev.service"),
    std::string_view("systemd-tmpfiles-setup-dev-early.service"),
    std::string_view("systemd-tpm2-setup-early.service"),
    std::string_view("systemd-udevd.service"),
    std::string_view("systemd-udevd-control.socket"),
    std::string_view("systemd-udevd-kernel.socket"),
    std::string_view("systemd-udev-settle.service"),
    std::string_view("systemd-udev-trigger.service"),
    std::string_view("systemd-volatile-root.service"),
    std::string_view("system-systemd\\x2dcryptsetup.slice"),
    std::string_view("system-systemd\\x2dveritysetup.slice"),
    std::string_view("timers.target"),
    std::string_view("tpm2.target"),
    std::string_view("umount.target"),
    std::string_view("veritysetup.target"),
    std::string_view("veritysetup-pre.target"),
};

/// Without these (as files or built in) no verity root comes up.
inline constexpr std::array required_modules = {std::string_view("dm_mod"), std::string_view("dm_verity")};

/// Taken where the kernel has them as files.
inline constexpr std::array optional_modules = {
    // file systems
    std::string_view("squashfs"),
    std::string_view("erofs"),
    std::string_view("overlay"),
    std::string_view("ext4"),
    std::string_view("vfat"),
    std::string_view("nls_ascii"),
    std::string_view("nls_cp437"),
    std::string_view("nls_iso8859_1"),
    std::string_view("nls_utf8"),
    std::string_view("efivarfs"),
    std::string_view("configfs"),
    std::string_view("autofs4"),
    std::string_view("loop"),
    // device mapper and its ciphers
    std::string_view("dm_crypt"),
    std::string_view("aesni_intel"),
    std::string_view("xts"),
    std::string_view("cbc"),
    std::string_view("sha256_ssse3"),
    std::string_view("sha512_ssse3"),
    std::string_view("crc32c_intel"),
    // disks of machines and of hypervisors
    std::string_view("nvme"),
    std::string_view("vmd"),
    std::string_view("ahci"),
    std::string_view("sd_mod"),
    std::string_view("megaraid_sas"),
    std::string_view("mpt3sas"),
    std::string_view("smartpqi"),
    std::string_view("virtio_pci"),
    std::string_view("virtio_blk"),
    std::string_view("virtio_scsi"),
    std::string_view("virtio_console"),
    std::string_view("virtio_rng"),
    std::string_view("hv_storvsc"),
    std::string_view("xen_blkfront"),
    std::string_view("vmw_pvscsi"),
    // TPM and firmware tables
    std::string_view("tpm_crb"),
    std::string_view("tpm_tis"),
    std::string_view("dmi_sysfs"),
    std::string_view("qemu_fw_cfg"),
};

/// depmod's files that libkmod reads at run time.
inline constexpr std::array module_indexes = {
    std::string_view("modules.alias.bin"),         std::string_view("modules.builtin"),
    std::string_view("modules.builtin.alias.bin"), std::string_view("modules.builtin.bin"),
    std::string_view("modules.builtin.modinfo"),   std::string_view("modules.dep.bin"),
    std::string_view("modules.devname"),           std::string_view("modules.order"),
    std::string_view("modules.softdep"),           std::string_view("modules.symbols.bin"),
    std::string_view("modules.weakdep"),
};

/// Units that would ask a person or hand out a shell.
inline constexpr std::array masked_units = {
    std::string_view("rescue.service"),
    std::string_view("rescue.target"),
    std::string_view("debug-shell.service"),
};

/// Instead of systemd's emergency shell: say why, then power off. A node that cannot prove its root must not wait for
/// somebody at the console.
inline constexpr std::string_view emergency_unit =
    "[Unit]\n"
    "Description=Boot failed: this image has no emergency shell, the node powers off\n"
    "DefaultDependencies=no\n"
    "SuccessAction=poweroff-force\n"
    "FailureAction=poweroff-force\n"
    "\n"
    "[Service]\n"
    "Type=oneshot\n"
    "StandardOutput=journal+console\n"
    "StandardError=journal+console\n"
    "ExecStart=-/usr/bin/echo \"ingot: the initrd could not bring up the root file system and the volumes. The last warnings were:\"\n"
    "ExecStart=-/usr/bin/journalctl --boot --priority=warning --lines=40 --no-pager --output=cat\n"
    "ExecStart=-/usr/bin/echo \"ingot: this image has no emergency shell. Powering off; redeploy the node.\"\n";

}  // namespace ingot::builder::detail
