#include "swtpm.hpp"

#include <fmt/format.h>
#include <time.h>

#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;

constexpr double tool_seconds = 30;
constexpr const char* state_kinds[] = {"permanent", "volatile"};

void pause_briefly() {
  const timespec step{0, 20'000'000};
  ::nanosleep(&step, nullptr);
}

/// The CA that certifies the EK lives in the state folder: nothing of the host's own swtpm CA is read or written.
Result<void> write_configuration(const std::string& state) {
  TRY(write_file(state + "/swtpm_setup.conf", as_bytes(fmt::format("create_certs_tool = swtpm_localca\n"
                                                                   "create_certs_tool_config = {0}/localca.conf\n"
                                                                   "create_certs_tool_options = {0}/localca.options\n",
                                                                   state))));
  TRY(write_file(state + "/localca.conf", as_bytes(fmt::format("statedir = {0}/ca\n"
                                                               "signingkey = {0}/ca/signkey.pem\n"
                                                               "issuercert = {0}/ca/issuercert.pem\n"
                                                               "certserial = {0}/ca/certserial\n",
                                                               state))));
  return write_file(state + "/localca.options",
                    as_bytes("--platform-manufacturer Ingot\n--platform-version 1\n--platform-model rig\n"));
}

/// A TPM is made in a folder beside its place and then moved there, so that a half-made one is never met again.
Result<void> manufacture(const std::string& state) {
  std::error_code ec;
  if (fs::exists(state, ec)) return {};
  const std::string making = state + ".making";
  builder::remove_folder(making);
  fs::create_directories(making + "/ca", ec);
  if (ec) return fail(io_error(fmt::format("creating {}", making), ec.value()));
  TRY(write_configuration(making));
  TRY(builder::run_checked(
      {.argv = {"swtpm_setup", "--tpm2", "--tpmstate", making, "--config", making + "/swtpm_setup.conf",
                "--create-ek-cert", "--pcr-banks", "sha256,sha384", "--lock-nvram", "--overwrite"},
       .timeout_seconds = 120}));
  fs::rename(making, state, ec);
  if (ec) return fail(io_error(fmt::format("moving the new TPM to {}", state), ec.value()));
  return {};
}

Result<void> wait_for(builder::Background& process, const std::string& path, const std::string& log) {
  std::error_code ec;
  for (int i = 0; i < 1000; ++i) {
    if (fs::exists(path, ec)) return {};
    if (process.poll()) break;
    pause_briefly();
  }
  const auto text = read_file(log, 1u << 20);
  return fail(ErrorCode::tool_failed,
              fmt::format("swtpm did not start: {}", text ? std::string(as_text(*text)) : "no log"));
}

Result<void> control(const std::string& socket, std::vector<std::string> words) {
  std::vector<std::string> argv = {"swtpm_ioctl", "--unix", socket};
  argv.insert(argv.end(), words.begin(), words.end());
  TRY(builder::run_checked({.argv = std::move(argv), .timeout_seconds = tool_seconds}));
  return {};
}

/// One reading of a TPM whose machine is gone, through a second TPM in `folder`.
Result<PcrValues> read_through_second(const std::string& first_control, const std::string& folder) {
  const std::string ask = folder + "/ask";
  const std::string ask_control = ask + ".ctrl";
  const std::string log = folder + "/log";
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", folder), ec.value()));
  // 1. Permanent and volatile state, PCRs included, comes through the control channel that the dead machine left free.
  for (const auto* kind : state_kinds)
    TRY(control(first_control, {"--save", kind, fmt::format("{}/{}", folder, kind)}));
  // 2. A second TPM goes on from it, with a command socket that tpm2-tools can speak to.
  auto second =
      TRY(builder::Background::start({.argv = {"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + folder, "--server",
                                               "type=unixio,path=" + ask, "--ctrl", "type=unixio,path=" + ask_control}},
                                     log));
  TRY(wait_for(second, ask_control, log));
  for (const auto* kind : state_kinds) TRY(control(ask_control, {"--load", kind, fmt::format("{}/{}", folder, kind)}));
  TRY(control(ask_control, {"-i"}));
  // 3. One bank at a time: the output file has the values one behind the other.
  PcrValues values;
  for (const auto bank : predicted_banks) {
    const std::string out = folder + "/pcrs";
    TRY(builder::run_checked({.argv = {"tpm2_pcrread", "-T", "swtpm:path=" + ask, "-o", out, to_text(bank) + ":all"},
                              .timeout_seconds = tool_seconds}));
    const auto bytes = TRY(read_file(out, 4096));
    const std::size_t size = digest_size_bytes(bank);
    if (bytes.size() != size * pcr_count)
      return fail(ErrorCode::tool_failed,
                  fmt::format("tpm2_pcrread wrote {} bytes for bank {}", bytes.size(), to_text(bank)));
    for (PcrIndex pcr = 0; pcr < pcr_count; ++pcr)
      values[bank][pcr] = to_buffer(Bytes(bytes).subspan(pcr * size, size));
  }
  return values;
}

}  // namespace

Result<SoftwareTpm> SoftwareTpm::start(const std::string& state, const std::string& run,
                                       const std::string& command_log) {
  TRY_IN("the software TPM", manufacture(state));
  const std::string socket = run + "/tpm";
  const std::string log = run + "/swtpm.log";
  std::error_code ignored;
  fs::remove(socket, ignored);
  std::vector<std::string> argv = {
      "swtpm",   "socket",       "--tpm2", "--tpmstate", "dir=" + state, "--ctrl", "type=unixio,path=" + socket,
      "--flags", "startup-clear"};
  if (!command_log.empty()) argv.insert(argv.end(), {"--log", fmt::format("file={},level=20", command_log)});
  auto process = TRY(builder::Background::start({.argv = std::move(argv)}, log));
  TRY(wait_for(process, socket, log));
  return SoftwareTpm(std::move(process), run);
}

Result<PcrValues> SoftwareTpm::read_pcrs() { return read_through_second(socket_, run_ + "/second"); }

}  // namespace ingot::rig
