// Volumes that the node makes in a partition that is there already: with dm-integrity, which systemd-repart 257 cannot
// make, or anew with each image. volumes.md, "Made in place".
#include <fmt/format.h>

#include <algorithm>

#include "ingot/codec/luks_header.hpp"
#include "parts.hpp"
#include "volume_keys.hpp"
#include "volume_parts.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view unit_folder = "/usr/lib/systemd/system";
constexpr std::string_view program = "/usr/lib/ingot/volume-make";
/// As much as a header's first copy of the metadata begins with: to write it is the moment from which on it is one.
constexpr std::size_t mark_bytes = 4096;
constexpr std::string_view mark_text = "ingot: reserved for a volume\n";
/// A LUKS2 header has 32 tokens; systemd takes the lowest that are free, and the recovery key's is 16.
constexpr unsigned release_token = 17;

// The header is made in memory and comes to the disk as a whole, its beginning last. Until then the partition begins
// with the mark, and the next boot starts again. Nothing but a partition with the mark is ever made into a volume.
constexpr std::string_view make_script = R"sh(#!/bin/bash
# volume-make VOLUME WISHES [OPTION...]: makes the volume where its partition is reserved for it, or where it is another image's.
# WISHES: "integrity", "erase", both or none. OPTION: of systemd-cryptenroll, which seals the key; without any volume-key binds it.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C PATH=/usr/sbin:/usr/bin
volume=$1 wishes=" $2 "
shift 2
device=/dev/disk/by-partlabel/$volume
header=/run/ingot/volumes/$volume
mark=/usr/lib/ingot/volume-reserved

say() { printf '<%s>ingot: volume %s: %s\n' "$1" "$volume" "$2" >&2; }
fail() {
  say 3 "$1"
  exit 1
}
wishes() { [[ $wishes == *" $1 "* ]]; }
release= # the root hash: another image has another
for word in $(</proc/cmdline); do
  if [[ $word == roothash=* ]]; then release=${word#roothash=}; fi
done

is_reserved() {
  local text first
  IFS= read -r text <$mark
  IFS= read -r -N "${#text}" first <"$device" || return 1
  [ "$first" = "$text" ]
}
put() { dd if="$1" of="$device" bs=4096 skip="$2" seek="$2" count="$3" conv=notrunc,fsync status=none; }

# Each step may be the last before a power cut: without key slots it is ciphertext for ever, and the mark says so.
erase() {
  say 4 "it was made by another image: its keys are destroyed, and it is made anew"
  cryptsetup erase --batch-mode "$device"
  put $mark 0 1
}

if ! is_reserved; then
  cryptsetup isLuks --type luks2 "$device" ||
    fail "its partition has neither a LUKS2 header nor the mark of one that is yet to be made; nothing was written"
  wishes erase || exit 0
  token=$(cryptsetup token export --token-id {token} "$device" 2>/dev/null) || token=
  if [[ -n $release && $token == *"\"$release\""* ]]; then exit 0; fi
  erase
fi

layout=(--header "$header" --offset 32768) # 16 MiB in sectors of 512 bytes, as LUKS2 has it
if wishes integrity; then
  layout+=(--integrity hmac-sha256)
  say 5 "every sector is written once, which takes its time"
fi
rm -f "$header"
if [ $# = 0 ]; then
  /usr/lib/ingot/volume-key make "$volume" "${layout[@]}" "$device"
else
  passphrase=$(head --bytes=32 /dev/urandom | base64 --wrap=0)
  truncate --size=16M "$header"
  # PBKDF2 with the fewest iterations is enough for 256 random bits, and this key slot goes at once.
  printf %s "$passphrase" | cryptsetup luksFormat --batch-mode --type=luks2 --key-file=- --key-size=512 --sector-size=4096 \
    --pbkdf=pbkdf2 --pbkdf-force-iterations=1000 "${layout[@]}" "$device" >/dev/null
  systemd-cryptenroll --unlock-key-file=<(printf %s "$passphrase") "$@" --wipe-slot=password "$header" >/dev/null
fi
if wishes erase; then
  printf '{"type":"{type}","keyslots":[],"release":"%s"}' "$release" | cryptsetup token import --token-id={token} "$header"
fi
put "$header" 8 4088 # key slots
put "$header" 1 7    # the rest of the metadata, both copies
put "$header" 0 1
)sh";

constexpr std::string_view make_unit = R"([Unit]
Description=Make the volume {name} where it is not there yet
DefaultDependencies=no
Requires=dev-disk-by\x2dpartlabel-{name}.device{release}
After=dev-disk-by\x2dpartlabel-{name}.device ingot-volumes.service{release}
{network}Conflicts=shutdown.target initrd-switch-root.target
Before=shutdown.target initrd-switch-root.target ingot-binding-check-{name}.service ingot-recovery-check-{name}.service
OnFailure=emergency.target
OnFailureJobMode=replace-irreversibly

[Service]
Type=oneshot
RemainAfterExit=yes
UMask=0077
RuntimeDirectory=ingot/volumes
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
StandardOutput=journal+console
StandardError=journal+console
ExecStart={program} {name} "{wishes}"{options}
ExecStopPost=/usr/bin/rm -f {header}
)";

std::string wishes_of(const Volume& volume) {
  return fmt::format("{}{}{}", volume.integrity ? "integrity" : "",
                     volume.integrity && volume.erase_on_redeploy ? " " : "", volume.erase_on_redeploy ? "erase" : "");
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

std::string unit_name(const Volume& volume) { return fmt::format("ingot-make-{}.service", volume.name); }

}  // namespace

namespace detail {

bool is_made_in_place(const Volume& volume) { return volume.integrity || volume.erase_on_redeploy; }

std::string making_units(const Profile& profile) {
  std::string out;
  for (const auto& volume : profile.volumes)
    if (is_made_in_place(volume)) out += " " + unit_name(volume);
  return out;
}

ExtraFile reserved_mark() {
  ExtraFile file{std::string(reserved_mark_path), to_buffer(as_bytes(mark_text))};
  file.content.resize(mark_bytes);
  return file;
}

void add_in_place(ConfigPart& part, const Profile& profile) {
  if (std::none_of(profile.volumes.begin(), profile.volumes.end(), is_made_in_place)) return;
  part.files.push_back(reserved_mark());
  add_file(part, std::string(program),
           replaced(replaced(std::string(make_script), "{token}", std::to_string(release_token)), "{type}",
                    std::string(codec::luks_release_type)),
           0755);
  for (const auto& volume : profile.volumes) {
    if (!is_made_in_place(volume)) continue;
    const bool is_shared = has_shares(volume);
    add_file(part, fmt::format("{}/{}", unit_folder, unit_name(volume)),
             fmt::format(make_unit, fmt::arg("name", volume.name), fmt::arg("program", program),
                         fmt::arg("wishes", wishes_of(volume)), fmt::arg("header", header_path(volume)),
                         fmt::arg("options", is_shared ? "" : " " + seal_options()),
                         fmt::arg("release", volume.is_held_by(KeyProvider::tpm) ? " ingot-release.service" : ""),
                         fmt::arg("network",
                                  volume.is_held_by(KeyProvider::tang) ? network_dependencies : std::string_view())));
    part.links.push_back(
        {fmt::format("{}/initrd.target.wants/{}", unit_folder, unit_name(volume)), "../" + unit_name(volume)});
  }
}

}  // namespace detail
}  // namespace ingot::builder
