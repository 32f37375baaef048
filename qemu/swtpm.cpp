#include "swtpm.hpp"

#include <fmt/format.h>
#include <time.h>

#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;

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
  return write_file(state + "/localca.options", as_bytes("--platform-manufacturer Ingot\n--platform-version 1\n--platform-model rig\n"));
}

Result<void> manufacture(const std::string& state) {
  std::error_code ec;
  if (fs::exists(state + "/tpm2-00.permall", ec)) return {};
  fs::create_directories(state + "/ca", ec);
  if (ec) return fail(io_error(fmt::format("creating {}", state), ec.value()));
  TRY(write_configuration(state));
  TRY(builder::run_checked({.argv = {"swtpm_setup", "--tpm2", "--tpmstate", state, "--config", state + "/swtpm_setup.conf", "--create-ek-cert",
                                     "--pcr-banks", "sha256,sha384", "--lock-nvram", "--overwrite"},
                            .timeout_seconds = 120}));
  return {};
}

Result<void> wait_for(builder::Background& process, const std::string& path, const std::string& log) {
  std::error_code ec;
  for (int i = 0; i < 500; ++i) {
    if (fs::exists(path, ec)) return {};
    if (process.poll()) break;
    pause_briefly();
  }
  const auto text = read_file(log, 1u << 20);
  return fail(ErrorCode::tool_failed, fmt::format("swtpm did not start: {}", text ? std::string(as_text(*text)) : "no log"));
}

}  // namespace

Result<SoftwareTpm> SoftwareTpm::start(const std::string& state, const std::string& run) {
  TRY_IN("the software TPM", manufacture(state));
  const std::string socket = run + "/tpm";
  const std::string log = run + "/swtpm.log";
  std::error_code ignored;
  fs::remove(socket, ignored);
  auto process = TRY(builder::Background::start(
      {.argv = {"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + state, "--ctrl", "type=unixio,path=" + socket, "--flags", "startup-clear"}}, log));
  TRY(wait_for(process, socket, log));
  return SoftwareTpm(std::move(process), run);
}

Result<PcrValues> SoftwareTpm::read_pcrs() {
  const auto control = [](const std::string& socket_path, std::vector<std::string> words) -> Result<void> {
    words.insert(words.begin(), {"swtpm_ioctl", "--unix", socket_path});
    TRY(builder::run_checked({.argv = words, .timeout_seconds = 20}));
    return {};
  };
  // 1. The whole state, PCRs included, is saved through the control channel that the dead machine left free.
  const std::string blobs[] = {"permanent", "volatile"};
  for (const auto& blob : blobs) TRY(control(socket_, {"--save", blob, run_ + "/" + blob}));
  // 2. A second TPM continues from it, with a command socket that tpm2-tools can speak to.
  const std::string state = run_ + "/second";
  const std::string socket = run_ + "/ask";
  std::error_code ec;
  fs::create_directories(state, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", state), ec.value()));
  auto second = TRY(builder::Background::start({.argv = {"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + state, "--server", "type=unixio,path=" + socket,
                                                         "--ctrl", "type=unixio,path=" + socket + ".ctrl"}},
                                               run_ + "/second.log"));
  TRY(wait_for(second, socket + ".ctrl", run_ + "/second.log"));
  for (const auto& blob : blobs) TRY(control(socket + ".ctrl", {"--load", blob, run_ + "/" + blob}));
  TRY(control(socket + ".ctrl", {"-i"}));
  PcrValues values;
  for (const auto bank : predicted_banks) {
    const std::string out = run_ + "/pcrs";
    TRY(builder::run_checked({.argv = {"tpm2_pcrread", "-T", "swtpm:path=" + socket, "-o", out, to_text(bank) + ":all"}, .timeout_seconds = 20}));
    const auto bytes = TRY(read_file(out, 4096));
    const std::size_t size = digest_size_bytes(bank);
    for (PcrIndex pcr = 0; pcr < pcr_count && (pcr + 1) * size <= bytes.size(); ++pcr)
      values[bank][pcr] = to_buffer(Bytes(bytes).subspan(pcr * size, size));
  }
  return values;
}

}  // namespace ingot::rig
