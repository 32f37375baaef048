// Volumes as the initrd makes and opens them: volumes.md.
#include <fmt/format.h>

#include "ingot/codec/gpt.hpp"
#include "volume_keys.hpp"
#include "volume_parts.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view definitions = "/usr/lib/ingot/repart.d";
constexpr std::string_view unit_folder = "/usr/lib/systemd/system";

// systemd-repart(8) encrypts and formats first and writes the partition table last: a power cut leaves a disk without
// the volume, and the next boot begins again.
constexpr std::string_view make_unit = R"([Unit]
Description=Volumes of this node
DefaultDependencies=no
Wants=modprobe@loop.service modprobe@dm_mod.service
{0}After=sysroot.mount systemd-tpm2-setup-early.service systemd-pcrphase-initrd.service modprobe@loop.service modprobe@dm_mod.service
Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target
OnFailure=emergency.target
OnFailureJobMode=replace-irreversibly

[Service]
Type=oneshot
RemainAfterExit=yes
StandardError=journal+console
ExecStart=/usr/bin/systemd-repart --dry-run=no --definitions={1} --discard=no {2}
)";

// A release that was revoked makes no volume either.
constexpr std::string_view after_release = "Requires=ingot-release.service\nAfter=ingot-release.service\n";

// Not Requires=: what makes volumes stops with the initrd, and would take open ones with it. A volume that `ingot seal`
// made is empty, and udev calls no empty one ready; systemd-makefs(8) passes over what is not.
constexpr std::string_view open_after = R"([Unit]
Wants=ingot-volumes.service
After=ingot-volumes.service{others}
Before=initrd.target

[Service]
ExecStartPost=/usr/lib/systemd/systemd-makefs {filesystem} /dev/mapper/{name}
)";

constexpr std::string_view definition = R"([Partition]
Type={}
Label={}
SizeMinBytes={}
{}{}
)";

ExtraFile text_file(std::string path, const std::string& text) { return {std::move(path), to_buffer(as_bytes(text))}; }

/// What systemd-repart puts into a new partition.
std::string content_of(const Volume& volume) {
  if (detail::is_made_in_place(volume)) return fmt::format("CopyBlocks={}", detail::reserved_mark_path);
  if (detail::has_shares(volume)) return "CopyBlocks=" + detail::header_path(volume);
  return fmt::format("Format={}\nEncrypt=tpm2", detail::filesystem_word(volume));
}

std::string open_unit(const Volume& volume) { return fmt::format("systemd-cryptsetup@{}.service", volume.name); }

}  // namespace

Result<ConfigPart> render_initrd_volumes(const Profile& profile) {
  ConfigPart part;
  if (profile.volumes.empty()) return part;
  std::string crypttab,
      others = detail::making_units(profile) + detail::release_units(profile) + detail::recovery_units(profile);
  const auto first_done = others;
  std::size_t number = 0;
  for (const auto& volume : profile.volumes) {
    const bool is_last = ++number == profile.volumes.size();
    const bool is_shared = detail::has_shares(volume);
    const auto most = volume.grow ? std::string() : fmt::format("SizeMaxBytes={}\n", volume.size_bytes);
    part.files.push_back(text_file(fmt::format("{}/{:02}-{}.conf", definitions, number, volume.name),
                                   fmt::format(definition, to_text(codec::ingot_volume_type), volume.name,
                                               volume.size_bytes, most, content_of(volume))));
    // PCR 15 by value closes all of them: the key of the one that opens last is measured into it.
    crypttab += fmt::format("{0} /dev/disk/by-partlabel/{0} {1} noauto,headless=yes{2}{3}\n", volume.name,
                            is_shared ? detail::key_socket(volume) : "none", is_shared ? "" : ",tpm2-device=auto",
                            is_last ? ",tpm2-measure-pcr=yes" : "");
    const auto unit = open_unit(volume);
    part.files.push_back(
        text_file(fmt::format("{}/{}.d/ingot.conf", unit_folder, unit),
                  fmt::format(open_after, fmt::arg("others", is_last ? others : first_done),
                              fmt::arg("filesystem", detail::filesystem_word(volume)), fmt::arg("name", volume.name))));
    part.links.push_back({fmt::format("{}/initrd.target.requires/{}", unit_folder, unit), "../" + unit});
    others += " " + unit;
  }
  part.files.push_back(text_file("/etc/crypttab", crypttab));
  detail::add_release(part, profile);
  detail::add_in_place(part, profile);
  part.files.push_back(
      text_file(fmt::format("{}/ingot-volumes.service", unit_folder),
                fmt::format(make_unit, profile.asks_tpm() ? after_release : "", definitions,
                            profile.asks_tpm() ? detail::seal_options() : std::string("--tpm2-device=auto"))));
  detail::add_volume_keys(part, profile);
  TRY(detail::add_recovery(part, profile));
  return part;
}

}  // namespace ingot::builder
