#include "ingot/rig/firmware_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "flash.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/crypto/hash.hpp"
#include "machine.hpp"
#include "run_folder.hpp"
#include "swtpm.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t log_cap_bytes = 16u << 20;
constexpr std::uint64_t disk_bytes = 1u << 20;
constexpr std::chrono::milliseconds poll_step{100};

/// PFP 1.06, "EV_SEPARATOR": the digest of four zeroes.
bool closes_pcr_0(const Extension& extension) {
  static const auto separator = crypto::hash_banks(Buffer(4, 0));
  return extension.pcr == 0 && extension.digests == separator;
}

}  // namespace

Result<std::string> firmware_run_environment() {
  const auto version = TRY(builder::run_checked({.argv = {"qemu-system-x86_64", "--version"}}));
  std::string text(as_text(version.output));
  for (const auto& word : accelerator()) text += word + " ";
  const auto processors = read_file("/proc/cpuinfo", log_cap_bytes);
  if (processors && text.find("host") != std::string::npos) {
    const auto list = as_text(*processors);
    const auto model = list.find("model name");
    if (model != std::string_view::npos) text += list.substr(model, list.find('\n', model) - model);
  }
  return text;
}

Result<std::string> run_firmware(const FirmwareRequest& request, builder::Progress& progress) {
  const std::string firmware = request.firmware.empty() ? default_firmware : request.firmware;
  progress.step("firmware", fmt::format("{}, {} MiB, {} vCPUs", fs::path(firmware).filename().string(),
                                        request.shape.memory_mib, request.shape.cpus));
  for (const auto& needed : {request.vars, firmware}) {
    std::error_code ec;
    if (!fs::exists(needed, ec)) return fail(ErrorCode::missing, fmt::format("no file {}", needed));
  }
  const auto run = TRY(builder::TemporaryFolder::create(run_parent(), "ingot-rig-"));
  const auto file = [&](std::string_view name) { return run.path() + "/" + std::string(name); };
  MachineFiles files;
  files.flash = TRY(prepare_flash(firmware, request.vars, file("vars"), run.path()));
  files.disk = file("disk.raw");
  TRY(write_blank_disk(files.disk, disk_bytes));
  files.evidence_socket = file("evidence");
  files.serial = file("serial");
  if (request.shape.second_disk) TRY(write_blank_disk(files.second_disk = file("second.raw"), disk_bytes));
  const std::string log = file("tpm-commands.log");
  const auto tpm = TRY(SoftwareTpm::start(file("tpm-state"), run.path(), log));
  files.tpm_socket = tpm.socket();
  auto shape = request.shape;
  shape.http_boot = false;
  auto machine = TRY(builder::Background::start({.argv = machine_command(shape, {}, files)}, file("qemu.log")));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(request.timeout_seconds);
  for (;;) {
    const auto ended = machine.poll();
    const auto text = TRY(read_file(log, log_cap_bytes));
    const auto extensions = TRY(read_extensions(as_text(text)));
    if (std::any_of(extensions.begin(), extensions.end(), closes_pcr_0)) {
      machine.stop();
      return std::string(as_text(text));
    }
    if (ended)
      return fail(ErrorCode::tool_failed, fmt::format("QEMU ended with {}: {}", *ended,
                                                      as_text(TRY(read_file(file("qemu.log"), log_cap_bytes)))));
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(ErrorCode::timeout,
                  fmt::format("the firmware did not close PCR 0 in {:.0f} s", request.timeout_seconds),
                  "is it a firmware with TPM 2.0 support for this kind of machine (q35)?");
    std::this_thread::sleep_for(poll_step);
  }
}

}  // namespace ingot::rig
