// ingot-agent: the node side. Gathers evidence; as PID 1 of the probe it does nothing else.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <map>
#include <set>
#include <string>

#include "admission.hpp"
#include "alerts.hpp"
#include "answer.hpp"
#include "binding.hpp"
#include "gather.hpp"
#include "identity.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/enrolment.hpp"
#include "ingot/codec/evidence.hpp"
#include "init.hpp"
#include "port.hpp"
#include "queue.hpp"
#include "report.hpp"
#include "secureboot.hpp"
#include "target.hpp"
#include "volumes.hpp"

namespace {

using namespace ingot;

constexpr const char* help_text =
    "ingot-agent: gathers a node's evidence: event logs, PCR values and a TPM quote over a nonce\n"
    "\n"
    "  ingot-agent evidence --nonce HEX|--nonce-file FILE|--port NAME   evidence for a verifier\n"
    "      [--node ID] [--channel HEX] [--key ecc|rsa] [--out FILE] [--tpm PATH]\n"
    "  ingot-agent identity [--key ecc|rsa] [--out FILE] [--tpm PATH]   what `ingot enroll challenge` needs\n"
    "  ingot-agent activate --challenge FILE [--out FILE] [--tpm PATH]  answer a challenge of `ingot enroll`\n"
    "  ingot-agent queue --journal DIR --state FILE --limit BYTES       what waits for the collector, and does it "
    "fill?\n"
    "      [--percent N] [--metrics FILE]\n"
    "  ingot-agent alerts --node ID [--socket PATH] [--state FILE]      on the collector: alerts from records on "
    "standard input\n"
    "  ingot-agent target --ranges FILE --nodes FILE [--name NAME]      on a bastion: a node's address, if it may be "
    "reached;\n"
    "                                                                   without a name: is the file of nodes right?\n"
    "  ingot-agent report [--out FILE]                                  what is in force here, for people\n"
    "  ingot-agent recovery-needed --device PATH --recipient HEX --flag FILE\n"
    "                                                                   in the initrd: makes FILE when the volume has "
    "no\n"
    "                                                                   recovery key for this certificate\n"
    "  ingot-agent recovery-token --device PATH --recipient HEX --message FILE [--out FILE]\n"
    "                                                                   token that keeps the encrypted key\n"
    "  ingot-agent admit-release --signature FILE --key FILE --policy FILE [--device \"PATH ...\"] [--tpm PATH]\n"
    "                                                                   in the initrd: lets this release open the "
    "node's\n"
    "                                                                   volumes, and revokes older generations\n"
    "  ingot-agent binding-needed --device PATH --key FILE [--next HEX,...] --flag FILE [--tpm PATH]\n"
    "                                                                   in the initrd: makes FILE when the TPM opens "
    "the\n"
    "                                                                   volume for other states than PCR 7 as it is, "
    "and\n"
    "                                                                   these values\n"
    "  ingot-agent secureboot status [--json]                           Secure Boot here: on or off, and whose keys\n"
    "  ingot-agent secureboot enroll DIR [--append]                     hands DIR's dbx.auth, db.auth, KEK.auth and\n"
    "                                                                   PK.auth to the firmware, those that are there\n"
    "      [--efivars DIR]                                              default: /sys/firmware/efi/efivars\n"
    "  ingot-agent --version\n"
    "\n"
    "  --port NAME    take the nonce from a virtio-serial port and answer there\n"
    "  --channel HEX  channel binding of the connection to the verifier (RFC 9266)\n"
    "  --key KIND     kind of the attestation key (default: ecc)\n"
    "  --tpm PATH     TPM device, or UNIX socket of a swtpm (default: /dev/tpmrm0)\n"
    "  --out FILE     default: standard output\n"
    "\n"
    "Exit status: 0 done, 2 malformed input (the TPM, a log or a file makes no sense), 3 usage or I/O.\n"
    "As process 1 it is the whole user space of a probe: it reports and powers the machine off.\n";
constexpr const char* help_hint = "see ingot-agent --help";
constexpr std::size_t nonce_cap_bytes = 64;
constexpr std::uint64_t recovery_message_cap_bytes = 64u << 10;
constexpr double port_wait_seconds = 30;

using Options = std::map<std::string, std::string>;

int report(const Error& error) {
  std::fputs(fmt::format("ingot-agent: {}\n", describe(error)).c_str(), stderr);
  return exit_status(error.code);
}

Result<Options> parse_options(const std::string& command, const std::set<std::string>& known, int argc, char** argv) {
  Options options;
  for (int i = 2; i < argc; i += 2) {
    const std::string name = argv[i];
    if (!known.contains(name)) return fail(ErrorCode::usage, fmt::format("unknown option {}", name), help_hint);
    if (i + 1 >= argc) return fail(ErrorCode::usage, fmt::format("{} needs a value", name), help_hint);
    if (!options.emplace(name, argv[i + 1]).second)
      return fail(ErrorCode::usage, fmt::format("{} is given twice", name), help_hint);
  }
  if (command != "evidence") return options;
  if (options.contains("--port") + options.contains("--nonce") + options.contains("--nonce-file") != 1)
    return fail(ErrorCode::usage, "give one of --nonce, --nonce-file and --port", help_hint);
  if (options.contains("--port") && options.contains("--out"))
    return fail(ErrorCode::usage, "--port answers on the port; --out has no part in it", help_hint);
  return options;
}

Result<void> check_given(const Options& options, std::initializer_list<const char*> names) {
  for (const auto* name : names)
    if (!options.contains(name)) return fail(ErrorCode::usage, fmt::format("{} is missing", name), help_hint);
  return {};
}

Result<codec::KeyKind> key_of(Options& options) {
  const auto& kind = options["--key"];
  if (kind.empty() || kind == "ecc") return codec::KeyKind::ecc;
  if (kind == "rsa") return codec::KeyKind::rsa;
  return fail(ErrorCode::usage, fmt::format("--key {} is neither ecc nor rsa", kind), help_hint);
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

Result<void> deliver(const std::string& text, const std::string& path) {
  if (!path.empty()) return write_file(path, as_bytes(text));
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return fail(ErrorCode::io, "standard output could not be written to");
  return {};
}

Result<void> run_evidence(Options options) {
  agent::GatherOptions wanted;
  wanted.node = options["--node"];
  wanted.tpm = options["--tpm"];
  wanted.key = TRY(key_of(options));
  wanted.report = agent::make_report;
  auto channel = parse_hex(options["--channel"]);
  if (!channel) return fail(ErrorCode::usage, "--channel is not hexadecimal", help_hint);
  wanted.channel_binding = *std::move(channel);
  if (options.contains("--port")) {
    auto port = TRY(agent::Port::open(options["--port"], port_wait_seconds));
    return agent::answer(port, std::move(wanted));
  }
  wanted.nonce = TRY(nonce_of(options));
  return deliver(codec::encode_evidence(TRY(agent::gather(wanted))), options["--out"]);
}

Result<void> run_report(Options options) {
  std::string text;
  for (const auto& [name, part] : agent::make_report().parts)
    text += fmt::format("=== {}\n{}{}", name, part, part.empty() || part.back() != '\n' ? "\n" : "");
  return deliver(text, options["--out"]);
}

Result<void> run_identity(Options options) {
  const auto kind = TRY(key_of(options));
  auto tpm = TRY(agent::TpmDevice::open(options["--tpm"]));
  return deliver(codec::encode_identity(TRY(agent::read_identity(tpm, kind))), options["--out"]);
}

Result<void> run_activate(Options options) {
  TRY(check_given(options, {"--challenge"}));
  const auto text = TRY(read_file(options["--challenge"], codec::enrolment_document_cap_bytes));
  const auto challenge = TRY_IN(options["--challenge"], codec::decode_challenge(text));
  auto tpm = TRY(agent::TpmDevice::open(options["--tpm"]));
  return deliver(codec::encode_activation(TRY(agent::activate(tpm, challenge))), options["--out"]);
}

Result<std::uint64_t> number_of(const Options& options, const std::string& name, std::uint64_t most) {
  const auto& text = options.at(name);
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc{} || end != text.data() + text.size() || number == 0 || number > most)
    return fail(ErrorCode::usage, fmt::format("{} is \"{}\", expected 1 to {}", name, text, most), help_hint);
  return number;
}

Result<void> run_queue(Options options) {
  TRY(check_given(options, {"--journal", "--state", "--limit"}));
  options.emplace("--percent", "75");
  agent::QueueOptions wanted{options["--journal"], options["--state"], options["--metrics"]};
  wanted.limit_bytes = TRY(number_of(options, "--limit", UINT64_MAX));
  wanted.percent = static_cast<int>(TRY(number_of(options, "--percent", 99)));
  return agent::run_queue(wanted);
}

Result<void> run_target(Options options) {
  if (options.contains("--name") && options["--name"].empty())
    return fail(ErrorCode::usage, "--name is empty", help_hint);
  return deliver(TRY(agent::run_target({options["--ranges"], options["--nodes"], options["--name"]})), "");
}

Result<void> run_recovery_token(Options options) {
  TRY(check_given(options, {"--device", "--recipient", "--message"}));
  auto message = TRY(read_file(options["--message"], recovery_message_cap_bytes));
  return deliver(TRY(agent::recovery_token(options["--device"], {options["--recipient"], std::move(message)})),
                 options["--out"]);
}

Result<void> run_alerts(Options options) {
  return agent::run_alerts({options["--node"], options["--socket"], options["--state"]});
}

Result<void> run_recovery_needed(Options options) {
  TRY(check_given(options, {"--device", "--recipient", "--flag"}));
  if (!TRY(agent::needs_recovery_key(options["--device"], options["--recipient"]))) return {};
  return write_file(options["--flag"], {});
}

/// "A B": what an option names.
std::vector<std::string> words_of(const std::string& text, char between = ' ') {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(between, at), text.size());
    if (end > at) out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

Result<void> run_admit_release(Options options) {
  TRY(check_given(options, {"--signature", "--key", "--policy"}));
  auto tpm = TRY(agent::TpmDevice::open(options["--tpm"]));
  return agent::admit_release(
      tpm, {options["--signature"], options["--key"], options["--policy"], words_of(options["--device"])});
}

Result<void> run_binding_needed(Options options) {
  TRY(check_given(options, {"--device", "--key", "--flag"}));
  agent::BindingOptions wanted{options["--device"], options["--key"], {}};
  for (const auto& word : words_of(options["--next"], ',')) {
    const auto value = parse_hex(word);
    if (!value || value->size() != digest_size_bytes(HashAlg::sha256))
      return fail(ErrorCode::usage, fmt::format("--next has \"{}\", expected values of PCR 7 (SHA-256)", word),
                  help_hint);
    wanted.next.emplace_back(*value);
  }
  auto tpm = TRY(agent::TpmDevice::open(options["--tpm"]));
  if (!TRY(agent::needs_binding(tpm, wanted))) return {};
  return write_file(options["--flag"], {});
}

struct Command {
  std::set<std::string> options;
  Result<void> (*run)(Options);
};
const std::map<std::string, Command> commands = {
    {"evidence",
     {{"--nonce", "--nonce-file", "--port", "--node", "--channel", "--key", "--out", "--tpm"}, run_evidence}},
    {"report", {{"--out"}, run_report}},
    {"admit-release", {{"--signature", "--key", "--policy", "--device", "--tpm"}, run_admit_release}},
    {"binding-needed", {{"--device", "--key", "--next", "--flag", "--tpm"}, run_binding_needed}},
    {"recovery-needed", {{"--device", "--recipient", "--flag"}, run_recovery_needed}},
    {"recovery-token", {{"--device", "--recipient", "--message", "--out"}, run_recovery_token}},
    {"identity", {{"--key", "--out", "--tpm"}, run_identity}},
    {"activate", {{"--challenge", "--out", "--tpm"}, run_activate}},
    {"queue", {{"--journal", "--state", "--limit", "--percent", "--metrics"}, run_queue}},
    {"alerts", {{"--node", "--socket", "--state"}, run_alerts}},
    {"target", {{"--ranges", "--nodes", "--name"}, run_target}}};

}  // namespace

int main(int argc, char** argv) {
  if (::getpid() == 1) agent::run_as_init();
  const std::string command = argc > 1 ? argv[1] : "--help";
  if (command == "--version") return std::puts(INGOT_VERSION) < 0 ? 3 : 0;
  if (command == "--help" || command == "-h")
    return std::fputs(help_text, argc > 1 ? stdout : stderr) < 0 || argc < 2 ? 3 : 0;
  if (command == "secureboot") {
    const auto text = agent::run_secureboot(std::vector<std::string>(argv + 2, argv + argc));
    const auto done = text ? deliver(*text, "") : Result<void>(fail(text.error()));
    return done ? 0 : report(done.error());
  }
  const auto known = commands.find(command);
  if (known == commands.end())
    return report(Error{ErrorCode::usage, fmt::format("unknown command {}", command), help_hint, {}, {}});
  auto options = parse_options(command, known->second.options, argc, argv);
  if (!options) return report(options.error());
  const auto done = known->second.run(*std::move(options));
  return done ? 0 : report(done.error());
}
