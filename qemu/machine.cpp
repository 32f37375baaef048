#include "machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/codec/firmware.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;

/// QEMU maps CODE directly below 4 GiB and VARS below CODE. OVMF is linked for one total size, a power of two.
Result<void> check_flash(const MachineFiles& files) {
  std::error_code ec;
  const auto code = fs::file_size(files.firmware, ec);
  const auto vars = ec ? 0 : fs::file_size(files.vars, ec);
  if (ec) return fail(io_error("firmware and variable store", ec.value()));
  const auto total = code + vars;
  if (code % 4096 != 0 || vars % 4096 != 0) return fail(ErrorCode::malformed, "firmware and variable store are not whole 4096-byte blocks", "give CODE.fd and VARS.fd of one build");
  if ((total & (total - 1)) != 0)
    return fail(ErrorCode::malformed, fmt::format("the variable store ({} bytes) does not belong to this firmware ({} bytes)", vars, code),
                "build with --vars-template set to the empty VARS.fd of that firmware, or give a matching --vars");
  return {};
}

Result<bool> needs_smm(const std::string& firmware) {
  const auto bytes = TRY(read_file(firmware, codec::firmware_size_cap_bytes));
  return codec::requires_smm(TRY_IN(firmware, codec::decode_firmware(bytes)));
}

/// Commas separate options in QEMU's syntax; a doubled one is a comma.
std::string quoted(std::string path) {
  for (std::size_t at = 0; (at = path.find(',', at)) != std::string::npos; at += 2) path.insert(at, 1, ',');
  return path;
}

/// TCG works everywhere; /dev/kvm may open and then kill guests, so KVM is the user's word.
std::vector<std::string> accelerator() {
  const char* wanted = std::getenv("INGOT_RIG_ACCEL");
  if (wanted != nullptr && std::string_view(wanted) == "kvm") return {"-accel", "kvm", "-cpu", "host"};
  return {"-accel", "tcg,thread=multi", "-cpu", "max"};
}

}  // namespace

Result<std::vector<std::string>> machine_command(const BootRequest& request, const MachineFiles& files) {
  TRY(check_flash(files));
  const bool smm = TRY(needs_smm(files.firmware));
  std::vector<std::string> argv = {"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-M", smm ? "q35,smm=on" : "q35,smm=off"};
  const auto add = [&](std::initializer_list<std::string> words) { argv.insert(argv.end(), words); };
  const auto accel = accelerator();
  argv.insert(argv.end(), accel.begin(), accel.end());
  add({"-smp", fmt::format("{}", request.shape.cpus), "-m", fmt::format("{}M", request.shape.memory_mib)});
  if (smm) add({"-global", "driver=cfi.pflash01,property=secure,value=on"});
  add({"-drive", fmt::format("if=pflash,format=raw,unit=0,readonly=on,file={}", quoted(files.firmware))});
  add({"-drive", fmt::format("if=pflash,format=raw,unit=1,file={}", quoted(files.vars))});
  add({"-drive", fmt::format("if=none,id=disk0,format={},file={}{}", files.disk_is_overlay ? "qcow2" : "raw", quoted(files.disk),
                             files.disk_is_overlay ? "" : ",snapshot=on")});
  add({"-device", "virtio-blk-pci,drive=disk0,bootindex=1,addr=0x3"});
  add({"-chardev", fmt::format("socket,id=tpm,path={}", quoted(files.tpm_socket)), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"});
  add({"-device", "virtio-serial-pci,addr=0x4"});
  add({"-chardev", fmt::format("socket,id=evidence,path={},server=on,wait=off", quoted(files.evidence_socket))});
  add({"-device", "virtserialport,chardev=evidence,name=org.ingot.evidence"});
  add({"-device", "virtio-rng-pci,addr=0x5"});
  // A card with its option ROM and nothing on the other end of its cable.
  if (request.shape.nic) add({"-netdev", "hubport,id=net0,hubid=0", "-device", "virtio-net-pci,netdev=net0,mac=52:54:00:69:6e:67,addr=0x6"});
  if (!files.second_disk.empty())
    add({"-drive", fmt::format("if=none,id=disk1,format=raw,file={}", quoted(files.second_disk)), "-device", "virtio-blk-pci,drive=disk1,addr=0x7"});
  for (const auto& credential : request.smbios_credentials) add({"-smbios", "type=11,value=" + quoted(credential)});
  add({"-display", "none", "-vga", "none", "-serial", "file:" + files.serial, "-monitor", "none", "-no-reboot"});
  return argv;
}

}  // namespace ingot::rig
