// The recovery key of a volume, made by the node once and encrypted to the operator: volumes.md.
#include <fmt/format.h>

#include <algorithm>

#include "ingot/codec/luks_header.hpp"
#include "ingot/crypto/certificate.hpp"
#include "ingot/crypto/hash.hpp"
#include "volume_keys.hpp"
#include "volume_parts.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view unit_folder = "/usr/lib/systemd/system";
constexpr std::string_view certificate_path = "/usr/lib/ingot/recovery.crt";
/// A LUKS2 header has 32 tokens; systemd takes the lowest that are free.
constexpr unsigned token_number = 16;

// Before a volume is open, while the TPM still gives its key out.
constexpr std::string_view check_unit = R"([Unit]
Description=Has the volume {name} a recovery key?
DefaultDependencies=no
Requires=dev-disk-by\x2dpartlabel-{name}.device
After=dev-disk-by\x2dpartlabel-{name}.device ingot-volumes.service
Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target

[Service]
Type=oneshot
StandardError=journal+console
ExecStart={agent} recovery-needed --device /dev/disk/by-partlabel/{name} --recipient {recipient} --flag /run/ingot-recovery-{name}.needed
)";

// systemd-cryptenroll(1) prints the new key on standard output, which is a file in memory, and takes away what an
// earlier attempt left. openssl-cms(1) encrypts it. Without UTF-8 nothing is drawn as a QR code. systemd opens the
// file of StandardOutput= anew for each line, without emptying it, and no other line prints anything.
constexpr std::string_view key_unit = R"([Unit]
Description=Recovery key of the volume {name}
DefaultDependencies=no
ConditionPathExists=/run/ingot-recovery-{name}.needed
After=ingot-recovery-check-{name}.service{socket}
Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target

[Service]
Type=oneshot
UMask=0077
Environment=LC_ALL=C OPENSSL_CONF=/dev/null
StandardOutput=file:/run/ingot-recovery-{name}.key
StandardError=journal+console
ExecStart=/usr/bin/systemd-cryptenroll {unlock} --recovery-key --wipe-slot=password,recovery /dev/disk/by-partlabel/{name}
ExecStart=/usr/bin/openssl cms -encrypt -binary -aes-256-gcm -in /run/ingot-recovery-{name}.key -outform DER -out /run/ingot-recovery-{name}.cms -recip {certificate} -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256
ExecStart={agent} recovery-token --device /dev/disk/by-partlabel/{name} --recipient {recipient} --message /run/ingot-recovery-{name}.cms --out /run/ingot-recovery-{name}.json
ExecStart=/usr/sbin/cryptsetup token import --token-id {token} --token-replace --json-file /run/ingot-recovery-{name}.json /dev/disk/by-partlabel/{name}
ExecStopPost=/usr/bin/rm -f /run/ingot-recovery-{name}.key /run/ingot-recovery-{name}.cms /run/ingot-recovery-{name}.json /run/ingot-recovery-{name}.needed
)";

}  // namespace

Result<std::string> recovery_recipient(const Profile& profile) {
  if (profile.recovery_certificate.empty())
    return fail(ErrorCode::internal, "[[volume]] is rendered before complete_recovery()");
  return crypto::sha256_hex(TRY(crypto::Certificate::from_pem(profile.recovery_certificate)).der());
}

Result<void> add_recovery(ConfigPart& part, const Profile& profile) {
  if (!profile.has_recovery()) return {};
  const auto recipient = TRY(recovery_recipient(profile));
  part.files.push_back({std::string(certificate_path), to_buffer(as_bytes(profile.recovery_certificate))});
  for (const auto& volume : profile.volumes) {
    if (!volume.recovery) continue;
    const bool is_shared = has_shares(volume);
    const auto socket = fmt::format(" ingot-key-{0}.socket\nWants=ingot-key-{0}.socket", volume.name);
    const auto unlock = is_shared ? "--unlock-key-file=" + key_socket(volume) : "--unlock-tpm2-device=auto";
    const auto add = [&](std::string_view unit, std::string_view text) {
      const auto name = fmt::format("ingot-recovery-{}-{}.service", unit, volume.name);
      const auto filled = fmt::format(fmt::runtime(text), fmt::arg("name", volume.name),
                                      fmt::arg("recipient", recipient), fmt::arg("certificate", certificate_path),
                                      fmt::arg("agent", initrd_agent_path), fmt::arg("token", token_number),
                                      fmt::arg("socket", is_shared ? socket : ""), fmt::arg("unlock", unlock));
      part.files.push_back({fmt::format("{}/{}", unit_folder, name), to_buffer(as_bytes(filled))});
      part.links.push_back({fmt::format("{}/initrd.target.wants/{}", unit_folder, name), "../" + name});
    };
    add("check", check_unit);
    add("key", key_unit);
  }
  return {};
}

std::string recovery_units(const Profile& profile) {
  std::string out;
  for (const auto& volume : profile.volumes)
    if (volume.recovery) out += fmt::format(" ingot-recovery-key-{}.service", volume.name);
  return out;
}

}  // namespace ingot::builder::detail
