#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/cache.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/firmware.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/rig/firmware_run.hpp"
#include "key_options.hpp"
#include "machine_options.hpp"
#include "render.hpp"

namespace ingot::cli {
namespace {

constexpr std::uint64_t tpm_log_cap_bytes = 16u << 20;

struct PlatformArguments {
  std::vector<std::string> evidence;
  std::string name = "platform";
  std::string shape;
  std::string keys;
  std::string out;
  std::string firmware;
  std::string vars;
  bool json = false;
  bool run = false;
  rig::MachineShape machine;
  std::string cache = default_cache();
};

/// What follows from a firmware file and a variable store alone.
struct ComputedPlatform {
  std::string firmware_sha256;
  bool smm = false;
  std::vector<codec::FirmwareVolume> volumes;
  std::optional<Digests> dxe_volume;
  std::vector<ExpectedEvent> secure_boot;
};

Result<ComputedPlatform> compute(const std::string& firmware_path, const std::string& vars_path) {
  ComputedPlatform computed;
  const auto firmware = TRY(read_file(firmware_path, codec::firmware_size_cap_bytes));
  const auto volumes = TRY_IN(firmware_path, codec::decode_firmware(firmware));
  computed.firmware_sha256 = crypto::sha256_hex(firmware);
  computed.smm = codec::requires_smm(volumes);
  computed.volumes = volumes;
  if (const auto* volume = codec::find_dxe_volume(volumes)) computed.dxe_volume = crypto::hash_banks(volume->bytes);
  const auto variables =
      TRY_IN(vars_path, codec::decode_variable_store(TRY(read_file(vars_path, codec::variable_store_size_cap_bytes))));
  computed.secure_boot = TRY_IN(vars_path, measure::secure_boot_events(variables));
  return computed;
}

/// What the firmware extends in a machine of this shape; run once, then known by the digests of firmware and variables,
/// the shape and the emulator's release.
Result<std::vector<rig::Extension>> run_firmware(const PlatformArguments& arguments,
                                                 const std::string& firmware_sha256) {
  const auto& shape = arguments.machine;
  const auto vars = TRY(read_file(arguments.vars, codec::variable_store_size_cap_bytes));
  builder::StepInputs inputs("firmware-run");
  inputs.add("firmware", firmware_sha256)
      .add("vars", crypto::sha256_hex(vars))
      .add("environment", TRY(rig::firmware_run_environment()))
      .add("memory", fmt::format("{}", shape.memory_mib))
      .add("cpus", fmt::format("{}", shape.cpus))
      .add("nic", shape.nic ? "1" : "0")
      .add("second disk", shape.second_disk ? "1" : "0");
  TerminalProgress progress;
  builder::StepCache cache(arguments.cache);
  const auto path = TRY(cache.get(inputs, progress, [&](const std::string& out) -> Result<void> {
    const auto log = TRY(rig::run_firmware({arguments.firmware, arguments.vars, shape}, progress));
    return write_file(out, as_bytes(log));
  }));
  return rig::read_extensions(as_text(TRY(read_file(path, tpm_log_cap_bytes))));
}

/// PCR 0 whole: version, PEI volume, DXE volume, separator. Error (unsupported): a firmware that measures otherwise, or
/// not the volume that its file holds.
Result<std::vector<ExpectedEvent>> name_pcr_0(const std::vector<rig::Extension>& extensions,
                                              const ComputedPlatform& computed) {
  std::vector<Digests> measured;
  for (const auto& extension : extensions)
    if (extension.pcr == 0) measured.push_back(extension.digests);
  if (measured.size() != 4 || !computed.dxe_volume || measured[2] != *computed.dxe_volume)
    return fail(ErrorCode::unsupported,
                fmt::format("the firmware extended PCR 0 {} times, not as OVMF does: version, PEI volume, the DXE "
                            "volume of its file, separator",
                            measured.size()),
                "learn the platform from a boot of the probe: `ingot rig learn`");
  std::string version = "a version that no text of the file is";
  if (measured[0] == crypto::hash_banks(Buffer(2, 0)))
    version = "(empty)";
  else if (const auto text = codec::find_measured_text(computed.volumes, measured[0]))
    version = *text;
  return std::vector<ExpectedEvent>{
      {0, EventType::EV_S_CRTM_VERSION, measured[0], "CRTM version", version, ""},
      {0, EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB, measured[1], "PEIFV", "in memory, on this machine shape", ""},
      {0, EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB, measured[2], "DXEFV", "", ""},
      {0, EventType::EV_SEPARATOR, measured[3], "separator", "", ""}};
}

Result<int> run_compute(const PlatformArguments& arguments) {
  const auto computed = TRY(compute(arguments.firmware, arguments.vars));
  const auto pcrs = measure::replay_expected(computed.secure_boot, {});
  auto events = nlohmann::json::array();
  std::string text =
      fmt::format("firmware sha256 {}\nSMM {}\n", computed.firmware_sha256, computed.smm ? "required" : "not used");
  if (arguments.run) {
    const auto boot_block = TRY(name_pcr_0(TRY(run_firmware(arguments, computed.firmware_sha256)), computed));
    for (const auto& event : boot_block) events.push_back(to_json(event));
    text += render_events(boot_block, measure::replay_expected(boot_block, {}));
  } else if (computed.dxe_volume) {
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

/// A learned platform against the firmware file and variable store that it is said to come from.
Result<int> cross_check(const Platform& platform, const PlatformArguments& arguments) {
  const auto computed = TRY(compute(arguments.firmware, arguments.vars));
  int status = exit_ok;
  const auto expect = [&](PcrIndex pcr, const Digests& digests, std::string_view what) {
    if (check::expects(platform, pcr, digests)) return;
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
  add_pin_options(*learn);
  learn->add_option("--out", arguments->out, "File to write; default: standard output");
  auto* firmware =
      learn->add_option("--firmware", arguments->firmware, "Firmware file to hold the measurements against");
  learn->add_option("--vars", arguments->vars, "Variable store to hold PCR 7 against")->needs(firmware);
  firmware->needs(learn->get_option("--vars"));
  auto* compute = platform->add_subcommand("compute", "What follows from a firmware file and a variable store alone");
  compute->footer(
      "Example: ingot platform compute /usr/share/OVMF/OVMF_CODE_4M.secboot.fd --vars out/inference/VARS.fd --run\n"
      "OVMF hashes its PEI volume in memory, after it has written to it: what comes out depends on memory size, CPUs\n"
      "and variables. --run starts the firmware alone in such a machine (seconds, no image) and completes PCR 0.");
  compute->add_option("FIRMWARE", arguments->firmware, "Firmware file (CODE.fd)")->required();
  compute->add_option("--vars", arguments->vars, "Variable store (VARS.fd)")->required();
  compute->add_flag("--json", arguments->json, "JSON on standard output");
  auto* run = compute->add_flag("--run", arguments->run, "Start the firmware alone under QEMU, for the rest of PCR 0");
  for (auto* option : add_shape_options(*compute, arguments->machine)) option->needs(run);
  compute->add_option("--cache", arguments->cache, "Where what a run told is kept")->capture_default_str();
  learn->callback([=, &action] { action = [arguments] { return run_learn(*arguments); }; });
  compute->callback([=, &action] { action = [arguments] { return run_compute(*arguments); }; });
}

}  // namespace ingot::cli
