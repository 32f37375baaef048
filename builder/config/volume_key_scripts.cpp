// The initrd's part in keys that others than the TPM alone hold: volumes.md, "Key server" and "Key file". Secrets go
// through pipes and bash's variables, never through arguments or files that we write.
#include "volume_keys.hpp"

namespace ingot::builder::detail {

// A provider is a program that is called `PROVIDER bind VOLUME` (a share on standard input, JSON of an object on
// standard output that is worth nothing without the provider) and `PROVIDER open VOLUME` (the way back). It says itself
// why it cannot. Further ones need a file in key-providers and a word in profile/volume_keys.cpp.
const std::string_view volume_key = R"sh(#!/bin/bash
# volume-key make VOLUME: a LUKS2 header for a volume that is not there yet, bound to the volume's key providers.
# volume-key make VOLUME OPTION...: the same for one that is made anew; OPTION: of cryptsetup luksFormat, at last the device.
# volume-key give VOLUME: the passphrase of its key slot, to standard output.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C PATH=/usr/sbin:/usr/bin
volume=$2
device=/dev/disk/by-partlabel/$volume
header=/run/ingot/volumes/$volume
read -ra providers <"/usr/lib/ingot/volume-keys/$volume"

# <3>: an error to the journal; the emergency unit repeats these.
fail() {
  printf '<3>ingot: volume %s: %s\n' "$volume" "$*" >&2
  exit 1
}
# Alone, tang's share is the passphrase, and the token is clevis's own: `clevis luks unlock` opens the volume, too.
type=ingot-key
if [ "${providers[*]}" = tang ]; then type=clevis; fi
member() { # PROVIDER: where its part is in the token
  if [ "$type" = clevis ]; then echo jwe; else echo "$1"; fi
}

give() { # DEVICE
  local token part share passphrase='' provider
  token=$(cryptsetup token export --token-id 0 "$1") || fail "its header has no token: it was not made by this image's profile"
  [ "$(jose fmt -j- -Og type -u- <<<"$token")" = "$type" ] || fail "its key is not held by ${providers[*]}, as the profile says"
  for provider in "${providers[@]}"; do
    part=$(jose fmt -j- -Og "$(member "$provider")" -Oo- <<<"$token") || fail "its header has no part of $provider"
    share=$(/usr/lib/ingot/key-providers/"$provider" open "$volume" <<<"$part") || fail "no key from $provider"
    [ "${#share}" = 43 ] || fail "what $provider gave is no share of a key"
    passphrase+=$share
  done
  printf %s "$passphrase"
}

make() { # OPTION...
  local share part passphrase='' parts='' provider
  udevadm settle
  if [ $# = 0 ] && [ -e "$device" ]; then return; fi
  for provider in "${providers[@]}"; do
    share=$(jose jwk gen -i '{"kty":"oct","bytes":32}' | jose fmt -j- -Og k -u-)
    [ "${#share}" = 43 ] || fail "no random numbers for a key"
    part=$(printf %s "$share" | /usr/lib/ingot/key-providers/"$provider" bind "$volume") ||
      fail "$provider does not take a key, so it is not made; nothing was written"
    passphrase+=$share
    parts+=",\"$(member "$provider")\":$part"
  done
  truncate --size=17M "$header"
  # PBKDF2 with the fewest iterations is enough for 256 random bits and more.
  printf %s "$passphrase" | cryptsetup luksFormat --batch-mode --type=luks2 --key-file=- --key-size=512 --sector-size=4096 \
    --pbkdf=pbkdf2 --pbkdf-force-iterations=1000 "${@:-$header}"
  printf '{"type":"%s","keyslots":["0"]%s}' "$type" "$parts" | cryptsetup token import --token-id=0 "$header"
  # Only what has been opened once, by the way of all later boots, comes to the disk.
  give "$header" | cryptsetup open --test-passphrase --key-file=- "$header" ||
    fail "its new header does not open; nothing was written"
}

case $1 in
  make) make "${@:3}" ;;
  give) give "$device" ;;
  *) fail "expected make or give" ;;
esac
)sh";

// systemd-creds 257 knows no release index, so tpm2-tools seal. What is sealed is the volume's name and the share: one
// of another volume is none. Policy commands go in the order of measure::index_policy(), for both ways: what may not
// open does not bind either.
const std::string_view tpm_provider = R"sh(#!/bin/bash
# tpm bind|open VOLUME: a share of its key, sealed by this node's TPM for the release that the release index holds.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C PATH=/usr/sbin:/usr/bin TSS2_LOG=all+NONE TPM2TOOLS_TCTI
volume=$2
srk=0x81000001
{
  read -r TPM2TOOLS_TCTI
  read -r index release_pcrs boot_pcrs
} </usr/lib/ingot/key-providers/tpm.conf

fail() {
  printf '<3>ingot: volume %s: %s\n' "$volume" "$*" >&2
  exit 1
}
work=$(mktemp -d /run/ingot-tpm.XXXXXX) # mode 0700
leave() {
  local session
  for session in "$work"/*.session; do
    if [ -e "$session" ]; then tpm2 flushcontext "$session" 2>/dev/null || true; fi
  done
  rm -r "$work"
}
trap leave EXIT
cd "$work"

# Salted by the storage root key, whose Name is in the file srk: the first parameter of a command and of its answer
# crosses the bus to the TPM encrypted.
start() { # TYPE
  tpm2 startauthsession --quiet "--$1-session" --session="$1.session" --hash-algorithm=sha256 --key-context=$srk --name=srk ||
    fail "the TPM begins no session with its storage root key"
}
admit() { # the policy session; what its policy is by now, in the file policy
  tpm2 policypcr --quiet --session=policy.session --pcr-list="$release_pcrs" &&
    tpm2 policyauthorizenv --quiet --session=policy.session --hierarchy=o "$index" &&
    tpm2 policypcr --quiet --session=policy.session --pcr-list="$boot_pcrs" --policy=policy
}
refuse() { fail "the TPM says no: this release, or this boot, is not the one that may open it"; }

own=now
if [ "$1" = bind ]; then own=srk; fi
tpm2 readpublic --quiet --object-context=$srk --name=$own ||
  fail "no TPM answers that has a storage root key ($srk); systemd-tpm2-setup-early.service makes it"
if [ "$1" = bind ]; then
  start policy
  admit || refuse
  start hmac
  IFS= read -r share || true # no line end behind it
  printf '%s %s' "$volume" "$share" | tpm2 create --quiet --parent-context=$srk --parent-auth=session:hmac.session --hash-algorithm=sha256 \
    --policy=policy --attributes='fixedtpm|fixedparent|noda' --sealing-input=- --public=public --private=private ||
    fail "the TPM does not seal"
  printf '{"srk":"%s","public":"%s","private":"%s"}' "$(jose b64 enc -I srk)" "$(jose b64 enc -I public)" "$(jose b64 enc -I private)"
else
  part=$(jose fmt -j- -Oo-) || fail "its header is not this provider's"
  for member in srk public private; do
    jose fmt -j- -Og $member -u- <<<"$part" | jose b64 dec -i- -O $member || fail "its header is not this provider's"
  done
  [ "$(jose b64 enc -I now)" = "$(jose b64 enc -I srk)" ] ||
    fail "it was made with the TPM of another node, or this one was cleared since"
  start policy
  admit || refuse
  tpm2 load --quiet --parent-context=$srk --public=public --private=private --key-context=sealed ||
    fail "its header was changed: the TPM does not know what it sealed"
  opened=$(tpm2 unseal --quiet --object-context=sealed --auth=session:policy.session) || refuse
  [ "${opened% *}" = "$volume" ] || fail "its header has the TPM's share of another volume"
  printf %s "${opened##* }"
fi
)sh";

// tang tells 404 for a key that it does not have; another server, or one that was set up anew, has other keys.
const std::string_view tang_provider = R"sh(#!/bin/bash
# tang bind|open VOLUME: a share of its key, as a JWE of clevis that the key server alone can open.
set -euo pipefail
shopt -s inherit_errexit
export CURL_HOME=/usr/lib/ingot/key-providers  # time limits, also for clevis
read -r url thumbprint <"$CURL_HOME/tang.conf"

say() { printf '<3>ingot: volume %s: %s\n' "$volume" "$*" >&2; }
fail() {
  say "$@"
  exit 1
}
volume=$2

# The server may come up after this node, and so may its own network: about five minutes, then the boot stops.
wait_for() { # PATH
  local pause status
  for pause in 1 2 4 8 16 32 60 60 60 0; do
    status=$(curl --silent --globoff --output /dev/null --write-out '%{http_code}' "$url$1") || true
    case $status in
      200) return ;;
      4??) fail "the key server at $url answers $status: it does not have the key $thumbprint" ;;
    esac
    if [ "$pause" = 0 ]; then break; fi
    say "the key server at $url does not answer; next try in $pause s"
    sleep "$pause"
  done
  fail "the key server at $url did not answer; start the node again when it does, or use the volume's recovery key offline"
}

if [ "$1" = bind ]; then
  wait_for "/adv/$thumbprint"
  jwe=$(clevis-encrypt-tang "{\"url\":\"$url\",\"thp\":\"$thumbprint\"}") ||
    fail "the key server at $url does not prove that it is $thumbprint"
  jose jwe fmt -i- <<<"$jwe"
else
  jwe=$(jose jwe fmt -i- -c)
  bound=$(jose b64 dec -i- <<<"${jwe%%.*}" | jose fmt -j- -Og clevis -Og tang -Og url -Su-) || fail "its header is not clevis's"
  [ "$bound" = "$url" ] || fail "its key is held by the key server at $bound, and the profile names $url"
  wait_for /adv
  printf %s "$jwe" | clevis-decrypt-tang || fail "the key server at $url answers, but no longer has the key of this volume"
fi
)sh";

// The volume's name is the JWE's "kid" (RFC 7516, 4.1.6) in the protected header: who changes it changes the tag. A
// journal is not replayed (ext4(5), "noload"): not even the kernel writes to the medium.
const std::string_view file_provider = R"sh(#!/bin/bash
# file bind|open VOLUME: a share of its key, as a JWE that VOLUME.key on a medium of somebody's can open.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C PATH=/usr/sbin:/usr/bin
volume=$2
label=INGOT-KEYS
medium=/dev/disk/by-label/$label
name=$volume.key

say() { printf '<3>ingot: volume %s: %s\n' "$volume" "$*" >&2; }
fail() {
  say "$@"
  exit 1
}
hint="put the medium in that this volume was made with, or use the volume's recovery key offline"
if [ "$1" = bind ]; then hint="make it: head -c 64 /dev/urandom >$name"; fi

# Somebody may still be on his way with it: about two minutes, then the boot stops.
wait_for_medium() {
  local pause
  for pause in 1 2 4 8 16 32 60 0; do
    if [ -e "$medium" ]; then return; fi
    if [ "$pause" = 0 ]; then break; fi
    say "there is no medium with the label $label; next try in $pause s"
    sleep "$pause"
  done
  fail "no medium with the label $label came; put the medium in and start the node again, or use the volume's recovery key offline"
}
read_key() { # SHA-256 of the file, as a JWK; in a subshell, with which the mount goes
  local type file size digest options=ro,nosuid,nodev,noexec
  type=$(blkid --probe --match-tag TYPE --output value "$medium") || type="none that is known"
  case $type in
    ext4) options+=,noload ;;
    vfat | iso9660) ;;
    *) fail "the file system of the medium $label is $type, expected ext4, vfat or iso9660; $hint" ;;
  esac
  folder=$(mktemp -d /run/ingot-file.XXXXXX) # mode 0700
  trap 'rmdir "$folder"' EXIT
  mount --types="$type" --options="$options" "$medium" "$folder" || fail "the medium $label cannot be mounted; $hint"
  trap 'umount "$folder"; rmdir "$folder"' EXIT
  file=$folder/$name
  if [ -L "$file" ] || [ ! -f "$file" ]; then fail "the medium $label has no file $name; $hint"; fi
  size=$(stat --format=%s "$file")
  if [ "$size" = 0 ]; then fail "$name of the medium $label is empty, expected 32 to 4096 bytes; $hint"; fi
  if [ "$size" -lt 32 ]; then fail "$name of the medium $label is too short: $size bytes, expected 32 to 4096; $hint"; fi
  if [ "$size" -gt 4096 ]; then fail "$name of the medium $label is too long: $size bytes, expected 32 to 4096; $hint"; fi
  digest=$(sha256sum <"$file") || fail "$name of the medium $label cannot be read; $hint"
  digest=${digest%% *}
  printf '{"kty":"oct","k":"%s"}' "$(printf %s "${digest^^}" | basenc --base16 --decode | jose b64 enc -I-)"
}

if [ "$1" = bind ]; then
  wait_for_medium
  key=$(read_key)
  IFS= read -r share || true # no line end behind it
  header="{\"protected\":{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"$volume\"}}"
  printf %s "$share" | jose jwe enc -i "$header" -I- -k <(printf %s "$key")
else
  jwe=$(jose fmt -j- -Oo- 2>/dev/null) || fail "its header is not this provider's"
  bound=$(jose fmt -j- -Og protected -SyOg kid -Su- <<<"$jwe" 2>/dev/null) || fail "its header is not this provider's"
  [ "$bound" = "$volume" ] || fail "its header has the medium's share of another volume"
  wait_for_medium
  key=$(read_key)
  opened=$(jose jwe dec -i- -k <(printf %s "$key") <<<"$jwe" 2>/dev/null) || fail "its key is not in $name of this medium; $hint"
  printf %s "$opened"
fi
)sh";

}  // namespace ingot::builder::detail
