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

// A header that `ingot seal` made before the node existed says nothing of the node's index.
constexpr std::string_view check_unit = R"([Unit]
Description=Does the volume {name} open for revoked releases?
DefaultDependencies=no
Requires=dev-disk-by\x2dpartlabel-{name}.device
After=dev-disk-by\x2dpartlabel-{name}.device ingot-volumes.service ingot-release.service
Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target

[Service]
Type=oneshot
StandardError=journal+console
ExecStart={agent} index-needed --device /dev/disk/by-partlabel/{name} --flag /run/ingot-index-{name}.needed
)";

// systemd-cryptenroll(1) takes the old key slot away when the new one is there.
constexpr std::string_view bind_unit = R"([Unit]
Description=Keep the volume {name} from revoked releases
DefaultDependencies=no
ConditionPathExists=/run/ingot-index-{name}.needed
After=ingot-index-check-{name}.service
Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target ingot-recovery-check-{name}.service

[Service]
Type=oneshot
StandardError=journal+console
ExecStart=/usr/bin/systemd-cryptenroll --unlock-tpm2-device=auto {policy} --wipe-slot=tpm2 /dev/disk/by-partlabel/{name}
ExecStopPost=/usr/bin/rm -f /run/ingot-index-{name}.needed
)";

std::string device_of(const Volume& volume) { return fmt::format("/dev/disk/by-partlabel/{}", volume.name); }

}  // namespace

std::string seal_options() {
  std::vector<std::string> by_value;
  for (const auto pcr : measure::volume_pcrs)
    by_value.push_back(fmt::format("{}:{}", pcr, to_text(measure::volume_bank)));
  return fmt::format(
      "--tpm2-device=auto --tpm2-pcrs={} --tpm2-public-key={} --tpm2-public-key-pcrs={} --tpm2-pcrlock={}",
      fmt::join(by_value, "+"), policy_key_path, fmt::join(measure::volume_signed_pcrs, "+"), release_policy_path);
}

void add_release(ConfigPart& part, const Profile& profile) {
  std::vector<std::string> devices;
  for (const auto& volume : profile.volumes) {
    if (!volume.is_held_by(KeyProvider::tpm)) continue;
    devices.push_back(device_of(volume));
    if (has_shares(volume)) continue;
    const auto add = [&](std::string_view unit, std::string_view text) {
      const auto name = fmt::format("ingot-index-{}-{}.service", unit, volume.name);
      add_file(part, fmt::format("{}/{}", unit_folder, name),
               fmt::format(fmt::runtime(text), fmt::arg("name", volume.name), fmt::arg("agent", initrd_agent_path),
                           fmt::arg("policy", seal_options())));
      part.links.push_back({fmt::format("{}/initrd.target.wants/{}", unit_folder, name), "../" + name});
    };
    add("check", check_unit);
    add("bind", bind_unit);
  }
  if (devices.empty()) return;
  add_file(part, fmt::format("{}/ingot-release.service", unit_folder),
           fmt::format(release_unit, initrd_agent_path, policy_key_path, release_policy_path, fmt::join(devices, " ")));
}

std::string release_units(const Profile& profile) {
  std::string out;
  for (const auto& volume : profile.volumes)
    if (!has_shares(volume)) out += fmt::format(" ingot-index-bind-{}.service", volume.name);
  return out;
}

}  // namespace ingot::builder::detail
