#include "ingot/rig/rig.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/fleet/enrolment.hpp"
#include "ingot/rig/probe_disk.hpp"
#include "ingot/rig/tamper.hpp"
#include "key_options.hpp"
#include "machine_options.hpp"

namespace ingot::cli {
namespace {

struct RigArguments {
  std::string image;
  rig::BootRequest request;
  std::string evidence;
  std::string nonce;
  std::vector<std::string> again;
  std::vector<std::string> media;
  std::string node_id;
  std::string tamper;
  std::string keys;
  std::string vars_template = "/usr/share/OVMF/OVMF_VARS_4M.fd";
  std::string platform_out;
  std::string platform_name = "rig";
  bool probe = false;
  bool stay = false;
  bool json = false;
};

/// Fills in what the arguments leave open: the image's own disk and variables, a fresh nonce.
Result<void> complete(RigArguments& arguments, const std::string& scratch) {
  auto& request = arguments.request;
  request.disk = arguments.image + "/" + builder::output::disk;
  if (request.vars.empty()) request.vars = arguments.image + "/" + builder::output::vars;
  if (arguments.probe) {
    request.disk = scratch + "/probe.raw";
    TRY(rig::make_probe_disk(arguments.image + "/" + builder::output::probe, request.disk,
                             TRY(builder::chain_in(arguments.image))));
  }
  if (arguments.nonce.empty()) arguments.nonce = to_hex(crypto::random_bytes(32));
  const auto nonce = parse_hex(arguments.nonce);
  if (!nonce || nonce->empty() || nonce->size() > 64)
    return fail(ErrorCode::usage, "--nonce is not 1 to 64 bytes of hexadecimal", "leave it out to get a random one");
  request.nonce = *nonce;
  if (arguments.media.size() > 4) return fail(ErrorCode::usage, "more than four --medium");
  for (const auto& text : arguments.media) request.shape.media.push_back(TRY(rig::parse_medium(text)));
  for (const auto& text : arguments.again) {
    const auto further = parse_hex(text);
    if (!further || further->empty() || further->size() > 64 || arguments.evidence.empty())
      return fail(ErrorCode::usage, "--again takes 1 to 64 bytes of hexadecimal and goes with --evidence");
    request.further_nonces.push_back(*further);
  }
  if (!arguments.node_id.empty()) TRY(fleet::check_node_id(arguments.node_id));
  request.node_id = arguments.node_id;
  if (arguments.tamper.empty()) return {};
  const auto tamper = rig::parse_tamper_case(arguments.tamper);
  if (!tamper) {
    std::string known;
    for (const auto& [name, what] : rig::tamper_cases()) known += " " + name;
    return fail(ErrorCode::usage, fmt::format("no tamper case \"{}\"", arguments.tamper), "choose one of:" + known);
  }
  return rig::tamper({*tamper, arguments.keys, arguments.vars_template, scratch}, request);
}

Result<rig::BootOutcome> boot_once(RigArguments& arguments) {
  const auto scratch =
      TRY(builder::TemporaryFolder::create(std::filesystem::temp_directory_path().string(), "ingot-rig-"));
  TRY(complete(arguments, scratch.path()));
  TerminalProgress progress;
  return rig::boot(arguments.request, progress);
}

nlohmann::json outcome_json(const rig::BootOutcome& outcome, const RigArguments& arguments) {
  return {{"end", to_text(outcome.end)}, {"reason", outcome.reason},       {"seconds", outcome.seconds},
          {"nonce", arguments.nonce},    {"evidence", arguments.evidence}, {"serial_tail", outcome.serial_tail}};
}

void wait_for_end_of_input() {
  char ignored[256];
  while (std::fread(ignored, 1, sizeof ignored, stdin) > 0) {
  }
}

Result<int> run_boot(RigArguments& arguments) {
  Result<void> written;
  if (arguments.stay)
    arguments.request.while_running = [&](const rig::BootOutcome& running) {
      if (!arguments.evidence.empty()) written = deliver(arguments.evidence, codec::encode_evidence(running.evidence));
      say(fmt::format("boot: evidence after {:.0f} s; the machine runs on until standard input ends", running.seconds));
      wait_for_end_of_input();
    };
  const auto outcome = TRY(boot_once(arguments));
  TRY(std::move(written));
  if (arguments.json) print(outcome_json(outcome, arguments).dump(2) + "\n");
  if (outcome.end == rig::BootEnd::timed_out)
    return fail(
        ErrorCode::timeout,
        fmt::format("no evidence after {:.0f} s; the console ended with:\n{}", outcome.seconds, outcome.serial_tail),
        "give more --timeout, or look at the whole console with --serial FILE");
  if (outcome.end != rig::BootEnd::evidence) {
    say(fmt::format("boot: {} after {:.0f} s: {}", to_text(outcome.end), outcome.seconds, outcome.reason));
    return exit_findings;
  }
  if (!arguments.evidence.empty()) TRY(deliver(arguments.evidence, codec::encode_evidence(outcome.evidence)));
  for (std::size_t i = 0; i < outcome.further_evidence.size(); ++i)
    TRY(deliver(fmt::format("{}.{}", arguments.evidence, i + 1), codec::encode_evidence(outcome.further_evidence[i])));
  say(fmt::format("boot: evidence after {:.0f} s{}, nonce {}", outcome.seconds,
                  arguments.evidence.empty() ? "" : " in " + arguments.evidence, arguments.nonce));
  return exit_ok;
}

std::string describe_shape(const RigArguments& arguments) {
  const auto& shape = arguments.request.shape;
  return fmt::format("QEMU q35, {} MiB, {} vCPUs{}{}{}, {}", shape.memory_mib, shape.cpus,
                     shape.nic ? ", virtio network card" : "", shape.second_disk ? ", second disk" : "",
                     shape.media.empty() ? "" : fmt::format(", {} media", shape.media.size()),
                     arguments.request.firmware.empty()
                         ? "Debian OVMF with Secure Boot"
                         : std::filesystem::path(arguments.request.firmware).filename().string());
}

Result<int> run_learn(RigArguments& arguments) {
  arguments.probe = true;
  const auto outcome = TRY(boot_once(arguments));
  if (outcome.end != rig::BootEnd::evidence) {
    say(fmt::format("probe: {} after {:.0f} s: {}\n{}", to_text(outcome.end), outcome.seconds, outcome.reason,
                    outcome.serial_tail));
    return exit_findings;
  }
  auto platform = TRY(check::learn_platform(outcome.evidence));
  platform.name = arguments.platform_name;
  platform.shape = describe_shape(arguments);
  TRY(save_platform(platform, arguments.keys, arguments.platform_out));
  say(fmt::format("platform: {} events of {}{}", platform.events.size(), platform.shape,
                  arguments.platform_out.empty() ? "" : " in " + arguments.platform_out));
  return exit_ok;
}

void add_machine_options(CLI::App* app, const std::shared_ptr<RigArguments>& arguments) {
  auto& request = arguments->request;
  app->add_option("IMAGE", arguments->image, "Output folder of a build")->required();
  app->add_option("--firmware", request.firmware, "Firmware (CODE.fd); default: Debian's OVMF with Secure Boot");
  app->add_option("--vars", request.vars, "Variable store (VARS.fd); default: the image's");
  add_shape_options(*app, request.shape);
  app->add_option("--tap", request.shape.taps, "A network card on this tap device, which exists; may be repeated")
      ->take_all();
  app->add_option("--medium", arguments->media,
                  "What is put into the machine to be read: disk:FILE, cd:FILE or usb:FILE; may be repeated")
      ->take_all();
  app->add_option("--timeout", request.timeout_seconds, "Seconds to wait for evidence")->capture_default_str();
  app->add_option("--serial", request.serial_log, "File to keep the serial console in");
  app->add_option("--keys", arguments->keys, "Key folder, for what has to be signed");
  add_pin_options(*app);
}

}  // namespace

void add_rig(CLI::App& app, Action& action) {
  auto* rig = app.add_subcommand("rig", "Boot an image under QEMU, OVMF and swtpm");
  rig->require_subcommand(1);
  auto arguments = std::make_shared<RigArguments>();
  auto* boot = rig->add_subcommand("boot", "Boot an image once and take its evidence");
  std::string footer = "Example: ingot rig boot out/inference --evidence evidence.json\nTamper cases:\n";
  for (const auto& [name, what] : rig::tamper_cases()) footer += fmt::format("  {:<18} {}\n", name, what);
  boot->footer(footer + "Exit status 1: firmware refused the image, or the system gave up.");
  add_machine_options(boot, arguments);
  boot->add_option("--evidence", arguments->evidence, "File to write the evidence to (- for standard output)");
  boot->add_option("--nonce", arguments->nonce, "Nonce to hand in, hexadecimal; default: random");
  boot->add_option(
      "--again", arguments->again,
      "Nonces to ask the node again with, for a node that lets itself be asked; evidence goes to FILE.1, ...");
  boot->add_option("--node-id", arguments->node_id,
                   "Id of the node that is asked, as `ingot enroll` bound it to a TPM");
  boot->add_option("--node", arguments->request.node_state,
                   "Folder that keeps this node's variables, TPM and disk changes over boots");
  boot->add_option("--tamper", arguments->tamper, "Attack to carry out on a copy first");
  boot->add_option("--vars-template", arguments->vars_template, "Empty variable store, for --tamper db-cert")
      ->capture_default_str();
  boot->add_flag("--stay", arguments->stay,
                 "Once evidence came and was written, let the machine run until standard input ends");
  boot->add_flag("--probe", arguments->probe, "Boot the probe instead of the image (10 s)");
  boot->add_flag("--json", arguments->json, "Outcome as JSON on standard output");
  auto* learn = rig->add_subcommand("learn", "Boot the probe on a machine shape and sign the platform it reports");
  learn->footer("Example: ingot rig learn out/inference --keys keys --out platform.json");
  add_machine_options(learn, arguments);
  learn->get_option("--keys")->required();
  learn->add_option("--out", arguments->platform_out, "File to write the signed platform to; default: standard output");
  learn->add_option("--name", arguments->platform_name, "Name of the machine class")->capture_default_str();
  boot->callback([=, &action] { action = [arguments] { return run_boot(*arguments); }; });
  learn->callback([=, &action] { action = [arguments] { return run_learn(*arguments); }; });
}

}  // namespace ingot::cli
