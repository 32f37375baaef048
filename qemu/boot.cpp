#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <filesystem>

#include "channel.hpp"
#include "console.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/evidence.hpp"
#include "machine.hpp"
#include "swtpm.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t console_cap_bytes = 16u << 20;
constexpr std::uint64_t second_disk_bytes = 64u << 20;

Result<void> copy(const std::string& from, const std::string& to) {
  std::error_code ec;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, ec);
  if (ec) return fail(io_error(fmt::format("copying {}", from), ec.value()));
  fs::permissions(to, fs::perms::owner_read | fs::perms::owner_write, ec);
  return {};
}

/// A node that lives on: its variables, TPM and disk changes are kept in its folder.
Result<void> prepare_node(const BootRequest& request, MachineFiles& files, std::string& tpm_state) {
  std::error_code ec;
  fs::create_directories(request.node_state, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", request.node_state), ec.value()));
  const std::string node = fs::absolute(request.node_state, ec).string();
  tpm_state = node + "/tpm";
  files.vars = node + "/VARS.fd";
  files.disk = node + "/disk.qcow2";
  files.disk_is_overlay = true;
  if (!fs::exists(files.vars, ec)) TRY(copy(request.vars, files.vars));
  if (!fs::exists(files.disk, ec))
    TRY(builder::run_checked({.argv = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", fs::absolute(request.disk, ec).string(), files.disk}}));
  return {};
}

Result<MachineFiles> prepare(const BootRequest& request, const std::string& run, std::string& tpm_state) {
  MachineFiles files;
  files.firmware = request.firmware.empty() ? default_firmware : request.firmware;
  files.evidence_socket = run + "/evidence";
  files.serial = run + "/serial";
  for (const auto& needed : {request.disk, request.vars, files.firmware}) {
    std::error_code ec;
    if (!fs::exists(needed, ec)) return fail(ErrorCode::missing, fmt::format("no file {}", needed), "give the output folder of a finished build");
  }
  if (!request.node_state.empty()) {
    TRY(prepare_node(request, files, tpm_state));
  } else {
    tpm_state = run + "/state";
    files.vars = run + "/VARS.fd";
    files.disk = request.disk;
    TRY(copy(request.vars, files.vars));
  }
  if (request.shape.second_disk) {
    files.second_disk = run + "/second.raw";
    auto disk = TRY(OutputFile::create(files.second_disk));
    TRY(disk.truncate(second_disk_bytes));
    TRY(disk.commit());
  }
  return files;
}

std::string console_text(const std::string& path) {
  const auto text = read_file(path, console_cap_bytes);
  return text ? std::string(as_text(*text)) : std::string{};
}

/// Waits for evidence, for the console to tell of an end, for QEMU to end, or for the time to be over.
Result<BootOutcome> watch(const BootRequest& request, EvidenceChannel& channel, builder::Background& machine, const std::string& serial, builder::Progress& progress) {
  BootOutcome outcome;
  const auto started = Clock::now();
  for (;;) {
    const auto received = TRY(channel.poll(200));
    outcome.seconds = std::chrono::duration<double>(Clock::now() - started).count();
    if (received) {
      outcome.evidence = TRY_IN("the agent's evidence", codec::decode_evidence(*received));
      outcome.end = BootEnd::evidence;
      return outcome;
    }
    progress.at(static_cast<std::uint64_t>(outcome.seconds), static_cast<std::uint64_t>(request.timeout_seconds));
    const bool ended = machine.poll().has_value();
    if (const auto told = read_console(console_text(serial))) {
      outcome.end = told->end;
      outcome.reason = told->line;
      return outcome;
    }
    if (ended) {
      outcome.end = BootEnd::panicked;
      outcome.reason = "the machine ended without evidence";
      return outcome;
    }
    if (outcome.seconds >= request.timeout_seconds) return outcome;
  }
}

}  // namespace

Result<BootOutcome> boot(const BootRequest& request, builder::Progress& progress) {
  progress.step("boot", fmt::format("{} MiB, {} vCPUs, {}", request.shape.memory_mib, request.shape.cpus, fs::path(request.disk).filename().string()));
  const auto run = TRY(builder::TemporaryFolder::create(fs::temp_directory_path().string(), "ingot-rig-"));
  std::string tpm_state;
  const auto files_prepared = TRY(prepare(request, run.path(), tpm_state));
  auto tpm = TRY(SoftwareTpm::start(tpm_state, run.path()));
  MachineFiles files = files_prepared;
  files.tpm_socket = tpm.socket();
  const std::string qemu_log = run.path() + "/qemu.log";
  auto machine = TRY(builder::Background::start({.argv = TRY(machine_command(request, files))}, qemu_log));
  auto channel = EvidenceChannel::connect(files.evidence_socket, request.nonce);
  if (!channel) {
    const auto log = read_file(qemu_log, 1u << 20);
    return fail(ErrorCode::tool_failed, fmt::format("QEMU did not start: {}", log ? std::string(as_text(*log)) : describe(channel.error())));
  }
  auto watched = watch(request, *channel, machine, files.serial, progress);
  const std::string console = console_text(files.serial);
  if (!request.serial_log.empty()) TRY(write_file(request.serial_log, as_bytes(console)));
  auto outcome = TRY(std::move(watched));
  outcome.serial_tail = console_tail(console, 20);
  if (request.read_tpm_afterwards && outcome.end == BootEnd::evidence) {
    // Killed, not asked to leave: QEMU would shut the TPM down and its PCRs would be gone.
    ::kill(machine.pid(), SIGKILL);
    machine.stop();
    outcome.swtpm_pcrs = TRY(tpm.read_pcrs());
  }
  machine.stop();
  return outcome;
}

}  // namespace ingot::rig
