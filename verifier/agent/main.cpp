// ingot-agent: the node side. Gathers evidence; as PID 1 of the probe it does nothing else.
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "gather.hpp"
#include "ingot/base/output.hpp"
#include "ingot/codec/evidence.hpp"
#include "port.hpp"

namespace {

using namespace ingot;

constexpr const char* help_text =
    "ingot-agent: gathers a node's evidence: event logs, PCR values and a TPM quote over a nonce\n"
    "\n"
    "  ingot-agent evidence --nonce HEX [--node ID] [--out FILE]   write evidence to FILE (default: standard output)\n"
    "  ingot-agent evidence --port NAME [--node ID]                take the nonce from a virtio-serial port and answer there\n"
    "  ingot-agent --version\n"
    "\n"
    "Exit status: 0 done, 2 malformed input (the TPM or a log answered nonsense), 3 usage or I/O.\n";

int report(const Error& error) {
  std::fputs(fmt::format("ingot-agent: {}\n", describe(error)).c_str(), stderr);
  return exit_status(error.code);
}

Result<std::map<std::string, std::string>> parse_options(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 2; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name != "--nonce" && name != "--node" && name != "--out" && name != "--port")
      return fail(ErrorCode::usage, fmt::format("unknown option {}", name), "see ingot-agent --help");
    if (i + 1 >= argc) return fail(ErrorCode::usage, fmt::format("{} needs a value", name), "see ingot-agent --help");
    options[name] = argv[i + 1];
  }
  if (options.contains("--port") == options.contains("--nonce"))
    return fail(ErrorCode::usage, "give either --nonce or --port", "see ingot-agent --help");
  return options;
}

Result<void> answer_port(const std::string& name, const std::string& node, double timeout_seconds) {
  auto port = TRY(agent::Port::open(name, timeout_seconds));
  auto evidence = [&]() -> Result<std::string> { return codec::encode_evidence(TRY(agent::gather(TRY(port.read_nonce()), node))); }();
  if (!evidence) {
    port.write_error(describe(evidence.error()));
    return fail(evidence.error());
  }
  return port.write_evidence(as_bytes(*evidence));
}

Result<void> run_evidence(std::map<std::string, std::string> options) {
  if (options.contains("--port")) return answer_port(options["--port"], options["--node"], 30);
  const auto nonce = parse_hex(options["--nonce"]);
  if (!nonce || nonce->empty() || nonce->size() > 64) return fail(ErrorCode::usage, "--nonce is not 1 to 64 bytes of hexadecimal", "give the verifier's nonce");
  const auto text = codec::encode_evidence(TRY(agent::gather(*nonce, options["--node"])));
  if (!options["--out"].empty()) return write_file(options["--out"], as_bytes(text));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

/// PID 1 of the probe: kernel file systems, evidence, power off. Never returns.
[[noreturn]] void run_as_init() {
  struct Mount {
    const char* what;
    const char* where;
  };
  for (const auto& mount : {Mount{"devtmpfs", "/dev"}, Mount{"proc", "/proc"}, Mount{"sysfs", "/sys"}, Mount{"securityfs", "/sys/kernel/security"}}) {
    ::mkdir(mount.where, 0755);
    if (::mount(mount.what, mount.where, mount.what, MS_NOSUID | MS_NOEXEC, nullptr) != 0 && errno != EBUSY)
      std::fputs(fmt::format("ingot-agent: mounting {} failed with errno {}\n", mount.where, errno).c_str(), stderr);
  }
  std::fputs("ingot-probe: gathering evidence\n", stderr);
  if (const auto done = answer_port(agent::evidence_port, "", 10); !done) (void)report(done.error());
  std::fputs("ingot-probe: done\n", stderr);
  ::sync();
  ::reboot(RB_POWER_OFF);
  for (;;) ::pause();
}

}  // namespace

int main(int argc, char** argv) {
  if (::getpid() == 1) run_as_init();
  const std::string command = argc > 1 ? argv[1] : "--help";
  if (command == "--version") return std::puts(INGOT_VERSION) < 0 ? 3 : 0;
  if (command == "--help" || command == "-h") return std::fputs(help_text, argc > 1 ? stdout : stderr) < 0 || argc < 2 ? 3 : 0;
  if (command != "evidence") return report({ErrorCode::usage, fmt::format("unknown command {}", command), "see ingot-agent --help", std::nullopt, std::nullopt});
  auto options = parse_options(argc, argv);
  if (!options) return report(options.error());
  const auto done = run_evidence(*std::move(options));
  return done ? 0 : report(done.error());
}
