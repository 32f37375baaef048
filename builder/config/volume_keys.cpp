// Key providers of volumes, key server and key file among them: volumes.md. Everything here lies in the initrd.
#include "volume_keys.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingot/builder/network.hpp"
#include "ingot/codec/luks_header.hpp"
#include "ingot/measure/revocation.hpp"
#include "ingot/measure/volume_policy.hpp"
#include "parts.hpp"
#include "volume_parts.hpp"

namespace ingot::builder {
namespace {

using detail::add_file;

constexpr std::string_view unit_folder = "/usr/lib/systemd/system";
constexpr std::string_view providers_folder = "/usr/lib/ingot/key-providers";
constexpr std::string_view program = "/usr/lib/ingot/volume-key";

/// crypttab(5): systemd-cryptsetup connects and reads the key. One connection is one run of volume-key.
constexpr std::string_view socket_unit = R"([Unit]
Description=Key of the volume {0}
DefaultDependencies=no
Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target

[Socket]
ListenStream={1}
SocketMode=0600
DirectoryMode=0700
Accept=yes
RemoveOnStop=yes
)";

constexpr std::string_view service_unit = R"([Unit]
Description=Key of the volume {0}, from who holds it
DefaultDependencies=no
CollectMode=inactive-or-failed
{2}
[Service]
StandardInput=null
StandardOutput=socket
StandardError=journal+console
ExecStart={1} give {0}
)";

/// What systemd-cryptsetup@NAME.service needs beside what all volumes need. Not Requires=: the socket stops with the
/// initrd, and would take the open volume with it.
constexpr std::string_view open_with_key = R"([Unit]
Wants={0}
After={0}
)";

/// On a first boot the partition is waited for as long as its key's providers are: systemd would give up after 90 s.
constexpr std::string_view patience = "[Unit]\nJobRunningTimeoutSec=15min\n";

/// The folder goes with the unit, at the latest when the initrd is left.
constexpr std::string_view make_with_keys = R"(
[Service]
RuntimeDirectory=ingot/volumes
RuntimeDirectoryMode=0700
)";

/// In an initrd, systemd-repart looks for what it copies below /sysroot (systemd-repart(8), "--root=").
constexpr std::string_view see_memory = R"(ExecStartPre=/usr/bin/mount --bind /run /sysroot/run
ExecStartPost=/usr/bin/umount /sysroot/run
)";

constexpr std::string_view after_release = "After=ingot-release.service\n";

/// The system has USB disks blocked (settings_modules.cpp), and what the initrd loads would stay. Units stop in the
/// reverse order: nothing is plugged in any more when udev is gone.
constexpr std::string_view media_unit = R"([Unit]
Description=USB disks are for key files alone
DefaultDependencies=no
Conflicts=shutdown.target initrd-switch-root.target
Before=systemd-udevd.service shutdown.target initrd-switch-root.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStop=-/usr/sbin/modprobe --remove --quiet uas usb_storage
)";
constexpr std::string_view media_unit_name = "ingot-key-media.service";

/// No name is looked up, nothing but HTTP is spoken, and no attempt takes long: clevis sets no limits of its own.
constexpr std::string_view curl_settings = "connect-timeout = 5\nmax-time = 20\nproto = \"=http\"\nnoproxy = \"*\"\n";

void add_provider(ConfigPart& part, KeyProvider provider, std::string_view script) {
  add_file(part, fmt::format("{}/{}", providers_folder, detail::provider_word(provider)), script, 0755);
}

void add_providers(ConfigPart& part, const Profile& profile) {
  const auto bank = to_text(measure::volume_bank);
  add_file(part, std::string(program), detail::volume_key, 0755);
  if (detail::asks(profile, KeyProvider::tpm)) {
    add_provider(part, KeyProvider::tpm, detail::tpm_provider);
    // Two lines: the TPM, and the policy of measure::index_policy().
    add_file(part, fmt::format("{}/tpm.conf", providers_folder),
             fmt::format("device:/dev/tpmrm0\n{:#010x} {}:{} {}:{}\n", measure::release_index({}).index, bank,
                         fmt::join(measure::volume_signed_pcrs, ","), bank, fmt::join(measure::volume_pcrs, ",")));
  }
  if (detail::asks(profile, KeyProvider::tang)) {
    add_provider(part, KeyProvider::tang, detail::tang_provider);
    add_file(part, fmt::format("{}/tang.conf", providers_folder),
             fmt::format("{} {}\n", profile.key_server->url, profile.key_server->thumbprint));
    add_file(part, fmt::format("{}/.curlrc", providers_folder), curl_settings);
  }
  if (detail::asks(profile, KeyProvider::file)) {
    add_provider(part, KeyProvider::file, detail::file_provider);
    add_file(part, fmt::format("{}/{}", unit_folder, media_unit_name), media_unit);
    part.links.push_back({fmt::format("{}/initrd.target.wants/{}", unit_folder, media_unit_name),
                          fmt::format("../{}", media_unit_name)});
  }
}

void add_volume(ConfigPart& part, const Volume& volume) {
  std::vector<std::string_view> words;
  for (const auto provider : volume.key) words.push_back(detail::provider_word(provider));
  add_file(part, fmt::format("/usr/lib/ingot/volume-keys/{}", volume.name), fmt::format("{}\n", fmt::join(words, " ")));
  const auto unit = fmt::format("ingot-key-{}", volume.name);
  add_file(part, fmt::format("{}/{}.socket", unit_folder, unit),
           fmt::format(socket_unit, volume.name, detail::key_socket(volume)));
  std::string after;
  if (volume.is_held_by(KeyProvider::tpm)) after += after_release;
  if (volume.is_held_by(KeyProvider::tang)) after += detail::network_dependencies;
  add_file(part, fmt::format("{}/{}@.service", unit_folder, unit),
           fmt::format(service_unit, volume.name, program, after));
  add_file(part, fmt::format("{}/systemd-cryptsetup@{}.service.d/key.conf", unit_folder, volume.name),
           fmt::format(open_with_key, unit + ".socket"));
  add_file(part, fmt::format("{}/dev-disk-by\\x2dpartlabel-{}.device.d/key.conf", unit_folder, volume.name), patience);
}

/// The profile of a node that is on one plane and nothing else.
Profile on_one_plane(const Profile& profile, const std::string& name) {
  Profile out;
  out.role = profile.role;
  out.links = profile.links;
  out.site = profile.site;
  std::erase_if(out.site->planes, [&](const SitePlane& plane) { return plane.name != name; });
  for (auto& role : out.site->roles)
    std::erase_if(role.planes, [&](const SiteMember& member) { return member.plane != name; });
  return out;
}

/// How the plane's interfaces go when the initrd does: the system has its firewall before it has an interface.
std::string take_down(const Profile& profile, const SitePlane& plane) {
  std::string out;
  const auto call = [&](std::string_view verb, const std::string& name) {
    out += fmt::format("ExecStopPost=+/usr/bin/networkctl {} {}\n", verb, name);
  };
  if (plane.kind == PlaneKind::vlan) call("delete", plane.name);
  for (const auto& link : profile.links) {
    if (link.name != plane.link) continue;
    call(link.bond.empty() ? "down" : "delete", link.name);
    for (const auto& member : link.bond) call("down", member);
  }
  return out;
}

void add_network(ConfigPart& part, const Profile& profile) {
  const auto reduced = on_one_plane(profile, profile.key_server->plane);
  const auto& plane = reduced.site->planes.front();
  for (auto& file : networkd_files(reduced)) part.files.push_back(std::move(file));
  add_file(part, fmt::format("{}/systemd-networkd.service.d/ingot.conf", unit_folder),
           fmt::format("[Service]\n{}", take_down(reduced, plane)));
  const bool is_v6 = profile.key_server->url.find('[') != std::string::npos;
  add_file(part, fmt::format("{}/systemd-networkd-wait-online.service.d/ingot.conf", unit_folder),
           fmt::format("[Service]\nExecStart=\nExecStart=/usr/lib/systemd/systemd-networkd-wait-online --interface={} "
                       "--{} --timeout=60\n",
                       interface_name(plane), is_v6 ? "ipv6" : "ipv4"));
}

}  // namespace

namespace detail {

std::string_view provider_word(KeyProvider provider) {
  switch (provider) {
    case KeyProvider::tpm:
      return "tpm";
    case KeyProvider::tang:
      return "tang";
    case KeyProvider::file:
      return "file";
  }
  return "";
}

bool has_shares(const Volume& volume) { return volume.key != std::vector{KeyProvider::tpm}; }
bool any_has_shares(const Profile& profile) {
  return std::any_of(profile.volumes.begin(), profile.volumes.end(), has_shares);
}
bool asks(const Profile& profile, KeyProvider provider) {
  return std::any_of(profile.volumes.begin(), profile.volumes.end(),
                     [&](const Volume& volume) { return has_shares(volume) && volume.is_held_by(provider); });
}
std::string_view key_token_type(const Volume& volume) {
  if (!has_shares(volume)) return codec::luks_tpm_type;
  return volume.key == std::vector{KeyProvider::tang} ? "clevis" : "ingot-key";
}
std::string header_path(const Volume& volume) { return fmt::format("/run/ingot/volumes/{}", volume.name); }
std::string key_socket(const Volume& volume) { return fmt::format("/run/ingot/keys/{}", volume.name); }

void add_volume_keys(ConfigPart& part, const Profile& profile) {
  if (!any_has_shares(profile)) return;
  add_providers(part, profile);
  const bool needs_network = asks(profile, KeyProvider::tang);
  std::string make(make_with_keys);
  for (const auto& volume : profile.volumes) {
    if (!has_shares(volume)) continue;
    add_volume(part, volume);
    if (!is_made_in_place(volume)) make += fmt::format("ExecStartPre={} make {}\n", program, volume.name);
  }
  make += see_memory;
  add_file(part, fmt::format("{}/ingot-volumes.service.d/keys.conf", unit_folder),
           fmt::format("[Unit]\n{}{}", needs_network ? network_dependencies : std::string_view(), make));
  if (needs_network) add_network(part, profile);
}

}  // namespace detail
}  // namespace ingot::builder
