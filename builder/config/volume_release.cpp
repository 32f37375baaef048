// Which releases open the volumes that the TPM holds: volumes.md, "Revocation".
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ingot/measure/volume_policy.hpp"
#include "parts.hpp"
#include "volume_keys.hpp"
#include "volume_parts.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view unit_folder = "/usr/lib/systemd/system";

// The index is of the TPM, not of a volume: it is there before the first one.
constexpr std::string_view release_unit = R"([Unit]
Description=May this release open the volumes of this node?
DefaultDependencies=no
After=systemd-tpm2-setup-early.service systemd-pcrphase-initrd.service
Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target ingot-volumes.service
OnFailure=emergency.target
OnFailureJobMode=replace-irreversibly

[Service]
Type=oneshot
RemainAfterExit=yes
StandardError=journal+console
ExecStart={} admit-release --signature /.extra/tpm2-pcr-signature.json --key {} --policy {} --device "{}"
)";

// A header that `ingot seal` made before the node existed says nothing of the node's index, and while keys are replaced
// volumes are to open for what PCR 7 will be, too.
constexpr std::string_view check_unit = R"([Unit]
Description=Does the volume {name} open for whom it should?
DefaultDependencies=no
Requires=dev-disk-by\x2dpartlabel-{name}.device
After=dev-disk-by\x2dpartlabel-{name}.device ingot-volumes.service ingot-release.service
Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target

[Service]
Type=oneshot
StandardError=journal+console
ExecStart={agent} binding-needed --device /dev/disk/by-partlabel/{name} --key {key}{next} --flag /run/ingot-binding-{name}.needed
)";

// systemd-cryptenroll(1) takes the old key slots away when the new one is there, and seals nothing twice.
constexpr std::string_view seal_unit = R"([Unit]
Description=Seal the key of volume {name} anew
DefaultDependencies=no
ConditionPathExists=/run/ingot-binding-{name}.needed
After=ingot-binding-check-{name}.service
Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target ingot-recovery-check-{name}.service

[Service]
Type=oneshot
StandardError=journal+console
{steps}ExecStopPost=/usr/bin/rm -f /run/ingot-binding-{name}.needed
)";

constexpr PcrIndex secure_boot_pcr = 7;

std::string device_of(const Volume& volume) { return fmt::format("/dev/disk/by-partlabel/{}", volume.name); }

/// The PCR 7 of now first: while something goes wrong afterwards, the volume opens as it did.
std::string sealing_steps(const Profile& profile, const Volume& volume) {
  const auto step = [&](const std::string& policy, std::string_view more) {
    return fmt::format("ExecStart=/usr/bin/systemd-cryptenroll --unlock-tpm2-device=auto {}{} {}\n", policy, more,
                       device_of(volume));
  };
  auto out = step(seal_options(), " --wipe-slot=tpm2");
  for (const auto& value : profile.boot.next_pcr_7) out += step(seal_options(value), "");
  return out;
}

}  // namespace

std::string seal_options(const Digest& pcr_7) {
  std::vector<std::string> by_value;
  for (const auto pcr : measure::volume_pcrs) {
    by_value.push_back(fmt::format("{}:{}", pcr, to_text(measure::volume_bank)));
    if (pcr == secure_boot_pcr && !pcr_7.empty()) by_value.back() += "=" + to_hex(pcr_7);
  }
  return fmt::format(
      "--tpm2-device=auto --tpm2-pcrs={} --tpm2-public-key={} --tpm2-public-key-pcrs={} --tpm2-pcrlock={}",
      fmt::join(by_value, "+"), policy_key_path, fmt::join(measure::volume_signed_pcrs, "+"), release_policy_path);
}

void add_release(ConfigPart& part, const Profile& profile) {
  std::vector<std::string> devices, values;
  for (const auto& value : profile.boot.next_pcr_7) values.push_back(to_hex(value));
  const auto next = values.empty() ? std::string() : fmt::format(" --next {}", fmt::join(values, ","));
  for (const auto& volume : profile.volumes) {
    if (!volume.is_held_by(KeyProvider::tpm)) continue;
    devices.push_back(device_of(volume));
    if (has_shares(volume)) continue;
    const auto add = [&](std::string_view unit, std::string_view text) {
      const auto name = fmt::format("ingot-binding-{}-{}.service", unit, volume.name);
      add_file(part, fmt::format("{}/{}", unit_folder, name),
               fmt::format(fmt::runtime(text), fmt::arg("name", volume.name), fmt::arg("agent", initrd_agent_path),
                           fmt::arg("key", policy_key_path), fmt::arg("next", next),
                           fmt::arg("steps", sealing_steps(profile, volume))));
      part.links.push_back({fmt::format("{}/initrd.target.wants/{}", unit_folder, name), "../" + name});
    };
    add("check", check_unit);
    add("seal", seal_unit);
  }
  if (devices.empty()) return;
  add_file(part, fmt::format("{}/ingot-release.service", unit_folder),
           fmt::format(release_unit, initrd_agent_path, policy_key_path, release_policy_path, fmt::join(devices, " ")));
}

std::string release_units(const Profile& profile) {
  std::string out;
  for (const auto& volume : profile.volumes)
    if (!has_shares(volume)) out += fmt::format(" ingot-binding-seal-{}.service", volume.name);
  return out;
}

}  // namespace ingot::builder::detail
