#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <filesystem>

#include "channel.hpp"
#include "console.hpp"
#include "http_server.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/evidence.hpp"
#include "machine.hpp"
#include "node.hpp"
#include "run_folder.hpp"
#include "swtpm.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t console_cap_bytes = 16u << 20;
constexpr std::uint64_t log_cap_bytes = 1u << 20;
constexpr std::uint64_t second_disk_bytes = 64u << 20;
constexpr std::size_t tail_lines = 20;
constexpr int poll_ms = 200;

std::string text_of(const std::string& path, std::uint64_t cap_bytes) {
  const auto text = read_file(path, cap_bytes);
  return text ? std::string(as_text(*text)) : std::string{};
}

Result<MachineFiles> prepare(const BootRequest& request, const std::string& run, NodeFiles& node) {
  const std::string firmware = request.firmware.empty() ? default_firmware : request.firmware;
  for (const auto& needed : {request.shape.http_boot ? request.uki : request.disk, request.vars, firmware}) {
    std::error_code ec;
    if (!fs::exists(needed, ec))
      return fail(ErrorCode::missing, fmt::format("no file {}", needed), "give the output folder of a finished build");
  }
  if (request.shape.http_boot && !request.node_state.empty())
    return fail(ErrorCode::usage, "a node that is kept has a disk; a boot over HTTP has none");
  node = request.node_state.empty() ? fresh_node(request.disk, run) : TRY(kept_node(request.node_state, request.disk));
  MachineFiles files;
  files.flash = TRY(prepare_flash(firmware, request.vars, node.vars, run));
  files.disk = node.disk;
  files.disk_is_overlay = node.disk_is_overlay;
  files.evidence_socket = run + "/evidence";
  // QEMU writes it where it is to stay, so that somebody can look while the machine runs.
  files.serial = request.serial_log.empty() ? run + "/serial" : fs::absolute(request.serial_log).string();
  if (request.shape.second_disk) {
    files.second_disk = run + "/second.raw";
    TRY(write_blank_disk(files.second_disk, second_disk_bytes));
  }
  return files;
}

/// The UKI alone, under the name that the machine asks for.
Result<HttpServer> serve_uki(const std::string& uki, const std::string& run) {
  std::error_code ec;
  const std::string folder = run + "/http";
  fs::create_directory(folder, ec);
  if (!ec) fs::create_symlink(fs::absolute(uki), folder + "/uki.efi", ec);
  if (ec) return fail(io_error(fmt::format("preparing {}", folder), ec.value()));
  return HttpServer::start(folder, run);
}

/// One boot that is under way.
struct Running {
  EvidenceChannel channel;
  builder::Background machine;
  std::string serial;
  std::string log;
};

Result<Running> power_on(const BootRequest& request, const MachineFiles& files, const std::string& run) {
  const std::string log = run + "/qemu.log";
  auto machine =
      TRY(builder::Background::start({.argv = machine_command(request.shape, request.smbios_credentials, files)}, log));
  auto channel = EvidenceChannel::connect(files.evidence_socket, request.nonce, request.node_id,
                                          [&] { return !machine.poll().has_value(); });
  if (!channel)
    return fail(ErrorCode::tool_failed, fmt::format("QEMU did not start: {}", text_of(log, log_cap_bytes)),
                describe(channel.error()));
  return Running{*std::move(channel), std::move(machine), files.serial, log};
}

/// What evidence or console say at this moment; nothing while the boot is under way.
Result<std::optional<BootOutcome>> look(Running& running) {
  // The order counts: evidence that arrives just before the machine ends must still be found.
  const auto exit_code = running.machine.poll();
  const auto received = TRY(running.channel.poll(poll_ms));
  BootOutcome outcome;
  if (received) {
    outcome.evidence = TRY_IN("the agent's evidence", codec::decode_evidence(*received));
    outcome.end = BootEnd::evidence;
    return outcome;
  }
  if (const auto told = read_console(text_of(running.serial, console_cap_bytes))) {
    outcome.end = told->end;
    outcome.reason = told->line;
    return outcome;
  }
  if (!exit_code || running.channel.is_open()) return std::optional<BootOutcome>{};
  if (*exit_code != 0)
    return fail(ErrorCode::tool_failed,
                fmt::format("QEMU ended with {}: {}", *exit_code, text_of(running.log, log_cap_bytes)));
  outcome.end = BootEnd::panicked;
  outcome.reason = "the machine switched itself off without evidence";
  return outcome;
}

/// QEMU 7.2's TCG now and then makes Linux stumble early (an int3 that was being patched, flags that no code set): the
/// kernel oopses or stands still, and the same machine started again does not. What is wrong with an image shows as a
/// refusal, as a panic without an oops, or in the evidence; an oops and a standstill are the emulator's and tried
/// again.
class EmulatorWatch {
 public:
  /// Whether the kernel has been standing still in its start.
  bool stands_still(std::string_view console, Clock::time_point now) {
    if (console.size() != size_) {
      size_ = console.size();
      changed_ = now;
    }
    return now - changed_ >= patience && in_kernel_start(console);
  }

 private:
  static constexpr std::chrono::seconds patience{60};
  std::size_t size_ = 0;
  Clock::time_point changed_ = Clock::now();
};

bool has_oops(std::string_view console) { return console.find("Oops: ") != std::string_view::npos; }

struct Watched {
  BootOutcome outcome;
  bool emulator_fault = false;
};

Result<Watched> watch(const BootRequest& request, Running& running, builder::Progress& progress) {
  const auto started = Clock::now();
  EmulatorWatch emulator;
  for (;;) {
    auto outcome = TRY(look(running));
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - started).count();
    const std::string console = text_of(running.serial, console_cap_bytes);
    const bool still = !outcome && emulator.stands_still(console, now);
    if (!outcome && (still || seconds >= request.timeout_seconds)) outcome = BootOutcome{};
    if (outcome) {
      outcome->seconds = seconds;
      const bool fault = still || (outcome->end != BootEnd::evidence && has_oops(console));
      return Watched{*std::move(outcome), fault};
    }
    progress.at(static_cast<std::uint64_t>(seconds), static_cast<std::uint64_t>(request.timeout_seconds));
  }
}

/// The answers to the further questions. What a node shows on its console now is no end of a boot any more.
Result<void> ask_again(const BootRequest& request, Running& running, BootOutcome& outcome) {
  for (const auto& nonce : request.further_nonces) {
    running.channel.ask(nonce, request.node_id);
    const auto asked = Clock::now();
    std::optional<Buffer> received;
    while (!received) {
      if (!running.channel.is_open()) return fail(ErrorCode::tool_failed, "the machine ended between two questions");
      if (std::chrono::duration<double>(Clock::now() - asked).count() > request.timeout_seconds)
        return fail(ErrorCode::timeout, fmt::format("no answer to question {}", outcome.further_evidence.size() + 2));
      received = TRY(running.channel.poll(poll_ms));
    }
    outcome.further_evidence.push_back(TRY_IN("the agent's evidence", codec::decode_evidence(*received)));
  }
  return {};
}

std::string describe_machine(const BootRequest& request) {
  const auto& shape = request.shape;
  const auto& started = shape.http_boot ? request.uki : request.disk;
  return fmt::format("{}, {} MiB, {} vCPUs{}{}{}", fs::path(started).filename().string(), shape.memory_mib, shape.cpus,
                     shape.nic ? ", network card" : "", shape.second_disk ? ", second disk" : "",
                     shape.http_boot ? ", over HTTP" : "");
}

Result<Watched> boot_once(const BootRequest& request, builder::Progress& progress) {
  progress.step("boot", describe_machine(request));
  const auto run = TRY(builder::TemporaryFolder::create(run_parent(), "ingot-rig-"));
  NodeFiles node;
  auto files = TRY(prepare(request, run.path(), node));
  auto tpm = TRY(SoftwareTpm::start(node.tpm_state, run.path()));
  files.tpm_socket = tpm.socket();
  std::optional<HttpServer> server;
  if (request.shape.http_boot) {
    server = TRY(serve_uki(request.uki, run.path()));
    files.http_port = server->port();
  }
  auto running = TRY(power_on(request, files, run.path()));
  auto watched = watch(request, running, progress);
  Result<void> asked;
  if (watched && watched->outcome.end == BootEnd::evidence) asked = ask_again(request, running, watched->outcome);
  const std::string console = text_of(files.serial, console_cap_bytes);
  auto attempt = TRY(std::move(watched));
  TRY(std::move(asked));
  auto& outcome = attempt.outcome;
  outcome.serial_tail = console_tail(console, tail_lines);
  if (request.while_running && outcome.end == BootEnd::evidence) request.while_running(outcome);
  if (request.read_tpm_afterwards && outcome.end == BootEnd::evidence && !running.machine.poll()) {
    // Killed, not asked to leave: QEMU would shut the TPM down and its PCRs would be gone.
    ::kill(running.machine.pid(), SIGKILL);
    running.machine.stop();
    outcome.swtpm_pcrs = TRY(tpm.read_pcrs());
  }
  running.machine.stop();
  return attempt;
}

}  // namespace

Result<BootOutcome> boot(const BootRequest& request, builder::Progress& progress) {
  constexpr int attempts = 3;
  for (int i = 1;; ++i) {
    auto attempt = TRY(boot_once(request, progress));
    if (!attempt.emulator_fault || i == attempts) return std::move(attempt.outcome);
  }
}

}  // namespace ingot::rig
