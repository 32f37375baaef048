// What a LUKS2 header says to everybody, without a key: how the data are encrypted, who may open them, and how. LUKS2
// On-Disk Format Specification 1.1.0.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/base/source.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::codec {

/// 2.1, "Binary Header": as many bytes tell how long the metadata are.
inline constexpr std::size_t luks_binary_header_bytes = 4096;
/// 2.1, "hdr_size": of one copy of the metadata.
inline constexpr std::size_t luks_metadata_cap_bytes = 4u << 20;

/// Of one copy, in bytes, by the first luks_binary_header_bytes of a device. Errors: missing, no LUKS2 volume begins
/// here; malformed.
Result<std::size_t> luks_metadata_size(Bytes beginning);

struct LuksMetadata {
  std::string uuid;
  std::string label;  ///< may be empty
  std::string json;   ///< the JSON area, as it is
};
/// By the two copies of the metadata, one behind the other: the newer one whose checksum holds, as libcryptsetup
/// chooses. Errors (malformed): none does.
Result<LuksMetadata> decode_luks_metadata(Bytes both_copies);
/// Of a volume from its first byte on. Errors: those of the two above; io.
Result<LuksMetadata> read_luks_metadata(const ByteSource& volume);

inline constexpr std::string_view luks_tpm_type = "systemd-tpm2";

/// Members of a token luks_tpm_type: which policy the TPM holds its key under.
struct LuksTpmPolicy {
  std::vector<std::string> digests;  ///< hexadecimal; two where signed policy and index both must hold
  std::vector<PcrIndex> pcrs;        ///< by value
  std::string bank;
  std::vector<PcrIndex> signed_pcrs;
  std::string policy_key_pem;
  bool has_pin = false;
  bool has_index = false;  ///< NV index ("pcrlock")
  bool operator==(const LuksTpmPolicy&) const = default;
};

/// A recovery key, encrypted to whom it is for. Token type "ingot-recovery".
struct LuksRecovery {
  std::string recipient_sha256;  ///< of the certificate (DER), hexadecimal
  Buffer message;                ///< CMS (RFC 5083), DER; content: the key as systemd-cryptenroll(1) prints it
  bool operator==(const LuksRecovery&) const = default;
};
inline constexpr std::string_view luks_recovery_type = "ingot-recovery";
/// JSON of the token, for one key slot.
std::string encode_luks_recovery(const LuksRecovery& recovery, std::uint32_t key_slot);

/// Token whose key slot takes shares of several, a member for each (builder/config/volumes.md, "Key server").
inline constexpr std::string_view luks_shares_type = "ingot-key";

/// Token that says for which image a volume was made: `release`, the root hash. It is assigned to no key slot.
inline constexpr std::string_view luks_release_type = "ingot-release";
/// What a setting of the area "volume" says of a header with this token.
inline constexpr std::string_view luks_erased_fact = "erased on redeploy";

/// Opener of key slots in such a setting: luks_tpm_type, once for each PCR 7 that the volume is to open for
/// (Baseline::next_pcr_7).
inline constexpr std::string_view luks_next_slots = "systemd-tpm2*";

struct LuksTokenEntry {
  std::uint32_t id = 0;
  std::string type;
  std::vector<std::uint32_t> key_slots;
  LuksTpmPolicy tpm;                   ///< of type "systemd-tpm2"
  std::vector<std::string> shares;     ///< of type luks_shares_type: who has one, in the order of their names
  std::optional<Buffer> share_policy;  ///< authPolicy of the TPM's; it may be empty
  LuksRecovery recovery;               ///< of type luks_recovery_type
  bool operator==(const LuksTokenEntry&) const = default;
};

struct LuksKeySlot {
  std::uint32_t id = 0;
  std::uint64_t key_bits = 0;
  std::string kdf;  ///< "pbkdf2", "argon2id"; empty: no passphrase opens it
  bool operator==(const LuksKeySlot&) const = default;
};

struct LuksSegment {
  std::string type;    ///< "crypt"; "linear" is not encrypted
  std::string cipher;  ///< "aes-xts-plain64"
  std::uint64_t offset_bytes = 0;
  std::uint64_t sector_bytes = 0;
  std::string integrity;  ///< "hmac(sha256)"; empty: none
  bool operator==(const LuksSegment&) const = default;
};

struct LuksHeader {
  std::vector<LuksKeySlot> key_slots;
  std::vector<LuksTokenEntry> tokens;
  std::vector<LuksSegment> segments;
  std::string release;  ///< of the token luks_release_type; empty without one
  /// Salt and digest by which the volume key is known (3.5), as written: another key cannot have the same.
  std::string key_digest;
  bool operator==(const LuksHeader&) const = default;

  /// What opens a key slot: types of the tokens that are assigned to it, joined by "+"; "passphrase" without one. A
  /// type of other characters than letters, digits and "-" is "unknown".
  [[nodiscard]] std::string opened_by(const LuksKeySlot& slot) const;
  /// The token of the type that has a key slot; null without one.
  [[nodiscard]] const LuksTokenEntry* token(std::string_view type) const;
  /// For each key slot that is assigned to a token luks_tpm_type, the policies (hexadecimal) that the token claims for
  /// it; sorted.
  [[nodiscard]] std::vector<std::vector<std::string>> sealed() const;
};
/// The JSON area (chapter 3). Objects, members and tokens that are unknown are passed over. Errors: malformed, limit.
Result<LuksHeader> decode_luks_json(std::string_view json);

}  // namespace ingot::codec
