#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/firmware.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/measure/uki.hpp"
#include "render.hpp"

namespace ingot::cli {
namespace {

struct PlatformArguments {
  std::vector<std::string> evidence;
  std::string name = "platform";
  std::string shape;
  std::string keys;
  std::string out;
  std::string firmware;
  std::string vars;
  bool json = false;
};

/// What follows from a firmware file and a variable store alone.
struct ComputedPlatform {
  std::string firmware_sha256;
  bool smm = false;
  std::optional<Digests> dxe_volume;
  std::vector<ExpectedEvent> secure_boot;
};

Result<ComputedPlatform> compute(const std::string& firmware_path, const std::string& vars_path) {
  ComputedPlatform computed;
  const auto firmware = TRY(read_file(firmware_path, codec::firmware_size_cap_bytes));
  const auto volumes = TRY_IN(firmware_path, codec::decode_firmware(firmware));
  computed.firmware_sha256 = crypto::sha256_hex(firmware);
  computed.smm = codec::requires_smm(volumes);
  if (const auto* volume = codec::find_dxe_volume(volumes)) computed.dxe_volume = crypto::hash_banks(volume->bytes);
  const auto variables = TRY_IN(vars_path, codec::decode_variable_store(TRY(read_file(vars_path, 16u << 20))));
  computed.secure_boot = TRY_IN(vars_path, measure::secure_boot_events(variables));
  return computed;
}

Result<int> run_compute(const PlatformArguments& arguments) {
  const auto computed = TRY(compute(arguments.firmware, arguments.vars));
  const auto pcrs = measure::replay_expected(computed.secure_boot, {});
  auto events = nlohmann::json::array();
  std::string text =
      fmt::format("firmware sha256 {}\nSMM {}\n", computed.firmware_sha256, computed.smm ? "required" : "not used");
  if (computed.dxe_volume) {
    const ExpectedEvent event{0, EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB, *computed.dxe_volume, "DXEFV", "", ""};
    events.push_back(to_json(event));
    text += render_events({event}, {});
  }
  for (const auto& event : computed.secure_boot) events.push_back(to_json(event));
  text += render_events(computed.secure_boot, {});
  // PCR 7 goes on with the authority that lets the image start, so this is a value on the way.
  text += fmt::format("\npcr 7 after its variables and separator: {}\n", to_hex(pcrs.at(HashAlg::sha256).at(7)));
  if (arguments.json)
    print(nlohmann::json{{"firmware_sha256", computed.firmware_sha256},
                         {"smm", computed.smm},
                         {"events", events},
                         {"pcr7_after_separator", to_hex(pcrs.at(HashAlg::sha256).at(7))}}
              .dump(2) +
          "\n");
  else
    print(text);
  return exit_ok;
}

bool contains(const Platform& platform, PcrIndex pcr, const Digests& digests) {
  return std::any_of(platform.events.begin(), platform.events.end(), [&](const ExpectedEvent& event) {
    return event.pcr == pcr && std::all_of(event.digests.begin(), event.digests.end(), [&](const auto& one) {
             const auto wanted = digests.find(one.first);
             return wanted == digests.end() || wanted->second == one.second;
           });
  });
}

/// A learned platform against the firmware file and variable store that it is said to come from.
Result<int> cross_check(const Platform& platform, const PlatformArguments& arguments) {
  const auto computed = TRY(compute(arguments.firmware, arguments.vars));
  int status = exit_ok;
  const auto expect = [&](PcrIndex pcr, const Digests& digests, std::string_view what) {
    if (contains(platform, pcr, digests)) return;
    say(fmt::format("differs: the machine did not measure the {} of {} into PCR {}", what,
                    pcr == 0 ? arguments.firmware : arguments.vars, pcr));
    status = exit_findings;
  };
  if (computed.dxe_volume) expect(0, *computed.dxe_volume, "DXE firmware volume");
  for (const auto& event : computed.secure_boot) expect(event.pcr, event.digests, event.cause);
  if (status == exit_ok)
    say(fmt::format("the machine measured what {} and {} say", arguments.firmware, arguments.vars));
  return status;
}

Result<int> run_learn(const PlatformArguments& arguments) {
  std::vector<Evidence> machines;
  for (const auto& path : arguments.evidence) machines.push_back(TRY(load_evidence(path)));
  auto learned = TRY(check::learn_platform(machines));
  learned.name = arguments.name;
  learned.shape = arguments.shape;
  if (!arguments.firmware.empty()) {
    if (const int status = TRY(cross_check(learned, arguments)); status != exit_ok) return status;
    learned.firmware_sha256 = crypto::sha256_hex(TRY(read_file(arguments.firmware, codec::firmware_size_cap_bytes)));
  }
  say(render_events(learned.events, learned.pcrs));
  for (const auto& line : check::describe_variation(learned)) say(line);
  if (arguments.keys.empty()) {
    say("not signed: give --keys DIR to sign it; `ingot verify` takes signed platforms only");
    TRY(deliver(arguments.out, codec::encode_platform_statement(learned)));
    return exit_ok;
  }
  TRY(save_platform(learned, arguments.keys, arguments.out));
  return exit_ok;
}

}  // namespace

void add_platform(CLI::App& app, Action& action) {
  auto* platform =
      app.add_subcommand("platform", "The firmware side of a machine class: PCR 0-3, 6 and the variables of 7");
  platform->require_subcommand(1);
  auto arguments = std::make_shared<PlatformArguments>();
  auto* learn = platform->add_subcommand("learn", "From evidence of reference machines");
  learn->footer(
      "Example: ingot platform learn reference.json --keys keys --out platform.json \\\n"
      "             --firmware /usr/share/OVMF/OVMF_CODE_4M.secboot.fd --vars out/inference/VARS.fd\n"
      "Boot probe.efi of a build on the reference machine to get its evidence.");
  learn->add_option("EVIDENCE", arguments->evidence, "Evidence files of machines of one class")->required();
  learn->add_option("--name", arguments->name, "Name of the machine class")->capture_default_str();
  learn->add_option("--shape", arguments->shape, "Its shape in words");
  learn->add_option("--keys", arguments->keys, "Key folder to sign with");
  learn->add_option("--out", arguments->out, "File to write; default: standard output");
  auto* firmware =
      learn->add_option("--firmware", arguments->firmware, "Firmware file to hold the measurements against");
  learn->add_option("--vars", arguments->vars, "Variable store to hold PCR 7 against")->needs(firmware);
  firmware->needs(learn->get_option("--vars"));
  auto* compute = platform->add_subcommand("compute", "What follows from a firmware file and a variable store alone");
  compute->footer(
      "Example: ingot platform compute /usr/share/OVMF/OVMF_CODE_4M.secboot.fd --vars out/inference/VARS.fd");
  compute->add_option("FIRMWARE", arguments->firmware, "Firmware file (CODE.fd)")->required();
  compute->add_option("--vars", arguments->vars, "Variable store (VARS.fd)")->required();
  compute->add_flag("--json", arguments->json, "JSON on standard output");
  learn->callback([=, &action] { action = [arguments] { return run_learn(*arguments); }; });
  compute->callback([=, &action] { action = [arguments] { return run_compute(*arguments); }; });
}

}  // namespace ingot::cli
