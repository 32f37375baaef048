// ingot-agent: the node side. Gathers evidence; as PID 1 of the probe it does nothing else.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <string>

#include "answer.hpp"
#include "gather.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/evidence.hpp"
#include "init.hpp"
#include "port.hpp"

namespace {

using namespace ingot;

constexpr const char* help_text =
    "ingot-agent: gathers a node's evidence: event logs, PCR values and a TPM quote over a nonce\n"
    "\n"
    "  ingot-agent evidence --nonce HEX [--node ID] [--out FILE]        write evidence to FILE (default: standard "
    "output)\n"
    "  ingot-agent evidence --nonce-file FILE [--node ID] [--out FILE]  the same, nonce as bytes in a file\n"
    "  ingot-agent evidence --port NAME [--node ID]                     nonce from a virtio-serial port, answer there\n"
    "  ingot-agent --version\n"
    "\n"
    "Exit status: 0 done, 2 malformed input (the TPM or a log answered nonsense), 3 usage or I/O.\n"
    "As process 1 it is the whole user space of a probe: it reports and powers the machine off.\n";
constexpr const char* help_hint = "see ingot-agent --help";
constexpr std::size_t nonce_cap_bytes = 64;
constexpr double port_wait_seconds = 30;

using Options = std::map<std::string, std::string>;

int report(const Error& error) {
  std::fputs(fmt::format("ingot-agent: {}\n", describe(error)).c_str(), stderr);
  return exit_status(error.code);
}

Result<Options> parse_options(int argc, char** argv) {
  Options options;
  for (int i = 2; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name != "--nonce" && name != "--nonce-file" && name != "--node" && name != "--out" && name != "--port")
      return fail(ErrorCode::usage, fmt::format("unknown option {}", name), help_hint);
    if (i + 1 >= argc) return fail(ErrorCode::usage, fmt::format("{} needs a value", name), help_hint);
    if (!options.emplace(name, argv[i + 1]).second)
      return fail(ErrorCode::usage, fmt::format("{} is given twice", name), help_hint);
  }
  if (options.contains("--port") + options.contains("--nonce") + options.contains("--nonce-file") != 1)
    return fail(ErrorCode::usage, "give one of --nonce, --nonce-file and --port", help_hint);
  if (options.contains("--port") && options.contains("--out"))
    return fail(ErrorCode::usage, "--port answers on the port; --out has no part in it", help_hint);
  return options;
}

Result<Buffer> nonce_of(Options& options) {
  if (options.contains("--nonce")) {
    auto nonce = parse_hex(options["--nonce"]);
    if (!nonce || nonce->empty() || nonce->size() > nonce_cap_bytes)
      return fail(ErrorCode::usage, "--nonce is not 1 to 64 bytes of hexadecimal", "give the verifier's nonce");
    return *std::move(nonce);
  }
  auto nonce = TRY(read_file(options["--nonce-file"], nonce_cap_bytes));
  if (nonce.empty())
    return fail(ErrorCode::usage, fmt::format("{} is empty", options["--nonce-file"]), "give the verifier's nonce");
  return nonce;
}

Result<void> run_evidence(Options options) {
  if (options.contains("--port")) {
    auto port = TRY(agent::Port::open(options["--port"], port_wait_seconds));
    return agent::answer(port, options["--node"]);
  }
  const auto text = codec::encode_evidence(TRY(agent::gather(TRY(nonce_of(options)), options["--node"])));
  if (!options["--out"].empty()) return write_file(options["--out"], as_bytes(text));
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return fail(ErrorCode::io, "evidence could not be written to standard output");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (::getpid() == 1) agent::run_as_init();
  const std::string command = argc > 1 ? argv[1] : "--help";
  if (command == "--version") return std::puts(INGOT_VERSION) < 0 ? 3 : 0;
  if (command == "--help" || command == "-h")
    return std::fputs(help_text, argc > 1 ? stdout : stderr) < 0 || argc < 2 ? 3 : 0;
  if (command != "evidence")
    return report(
        {ErrorCode::usage, fmt::format("unknown command {}", command), help_hint, std::nullopt, std::nullopt});
  auto options = parse_options(argc, argv);
  if (!options) return report(options.error());
  const auto done = run_evidence(*std::move(options));
  return done ? 0 : report(done.error());
}
