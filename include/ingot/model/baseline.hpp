// The golden values. A platform says what the firmware of a machine class measures; a baseline says what the
// image adds. Both are ordered lists of expected events per PCR, so that a difference can be named.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"
#include "ingot/model/event.hpp"
#include "ingot/model/setting.hpp"

namespace ingot {

/// By meaning, EV_EFI_GPT_EVENT: the golden partitions are there and equal; others only of these types.
struct GptMeaning {
  Buffer golden;                    ///< UEFI_GPT_DATA
  std::vector<Guid> allowed_types;  ///< of partitions that the node may add
  bool operator==(const GptMeaning&) const = default;
};
/// By meaning, Boot####: an entry that starts this device path, whatever its number and description.
struct BootEntryMeaning {
  Buffer device_path;
  bool operator==(const BootEntryMeaning&) const = default;
};
using EventMeaning = std::variant<std::monostate, GptMeaning, BootEntryMeaning>;

/// One event that a boot is expected to measure.
struct ExpectedEvent {
  PcrIndex pcr = 0;
  EventType type{};
  Digests digests;    ///< what is extended, for each of predicted_banks (a platform: for each bank of its log)
  std::string cause;  ///< the component: ".cmdline", "GPT of disk.raw", "db", "phase enter-initrd"
  std::string text;  ///< what the data says, for people: the command line itself, a certificate's subject; may be empty
  /// Consecutive events of one PCR with the same non-empty name form a block that may occur 0 to
  /// `max_block_repeats` times (a failed earlier boot entry, ExitBootServices retried). Empty: exactly once.
  std::string optional_block;
  /// Further digests that are as good: what varies over the machines of a class.
  std::vector<Digests> alternatives = {};
  /// How else an event may match whose digest is another one. Only data that the digest vouches for are judged.
  EventMeaning meaning = {};

  /// One digest alone is right, however often the event may occur.
  [[nodiscard]] bool is_exact() const {
    return alternatives.empty() && std::holds_alternative<std::monostate>(meaning);
  }
  bool operator==(const ExpectedEvent&) const = default;
};
inline constexpr std::uint32_t max_block_repeats = 4;

/// The platform's share: PCR 0, 1, 2, 3, 6 whole, and PCR 7 up to and including its separator.
struct Platform {
  std::string name;
  std::string firmware_sha256;        ///< of the firmware file, hexadecimal; empty when learned from hardware
  std::string shape;                  ///< the machine shape in words: "q35, 2048 MiB, 2 vCPUs, ..."
  std::uint8_t startup_locality = 0;  ///< where PCR 0 starts: 0, 3, or 4 with an H-CRTM
  std::vector<ExpectedEvent> events;
  PcrValues pcrs;  ///< replayed from `events`

  bool operator==(const Platform&) const = default;
};

/// Digest of one regular file of the image.
struct FileDigest {
  std::string path;  ///< absolute in the image, "/usr/bin/ls"
  std::string sha256;
  bool operator==(const FileDigest&) const = default;
};

/// Who can make a volume. Closed set; text form in base/model.cpp.
enum class VolumeMaker {
  any,       ///< the node on its first boot, or `ingot seal` before there is a node
  shares,    ///< the node alone: others than its TPM have shares of the key
  in_place,  ///< the node alone: the volume has integrity, or each image makes it anew
};
std::string to_text(VolumeMaker maker);
std::optional<VolumeMaker> parse_volume_maker(std::string_view text);

struct NodeVolume {
  std::string name;  ///< of its partition
  VolumeMaker maker{};
  bool operator==(const NodeVolume&) const = default;
};

/// A kernel module of the image that is not of the kernel's package.
struct NodeModule {
  std::string name;    ///< as /proc/modules has it
  std::string sha256;  ///< of its file in the image, signature included, hexadecimal
  std::string signer;  ///< subject of the certificate (RFC 2253)
  bool operator==(const NodeModule&) const = default;
};

/// What one release of one profile measures and contains.
struct Baseline {
  std::string profile;  ///< the profile's name
  std::string role;
  std::uint64_t version = 0;   ///< monotonic per profile
  std::int64_t not_after = 0;  ///< seconds since 1970 after which it may not run any more; 0: no end
  /// Which releases it revokes: those with a lower one open no volume on nodes that have booted it. 0: a release from
  /// before there were generations.
  std::uint32_t generation = 0;
  std::string root_hash;   ///< dm-verity, hexadecimal
  std::string uki_sha256;  ///< of the finished, signed file
  std::string uki_authenticode_sha256;
  std::string manifest_sha256;
  /// SHA-256 of SubjectPublicKeyInfo, hexadecimal, of the key that signs the build's provenance; empty: the baseline's.
  std::string provenance_key;
  std::string stub;  ///< systemd-stub version that the measuring order was taken from: "257"
  /// PCR 4, 5, 9, 11, 12, 13, 14 whole; PCR 7: what follows the platform's separator.
  std::vector<ExpectedEvent> events;
  /// Values that `events` replay to for the PCRs they cover whole (all but 7), with no optional block taken and
  /// PCR 11 after its last phase.
  PcrValues pcrs;
  /// PCR 11 after each boot phase, in order: "enter-initrd", "enter-initrd:leave-initrd", ...
  struct PhaseValue {
    std::string phase_path;
    Digests value;
    bool operator==(const PhaseValue&) const = default;
  };
  std::vector<PhaseValue> phases;
  std::vector<Setting> settings;  ///< what must be in force on the running node; not measured, self-reported
  /// Encrypted volumes, in the order in which they lie on the disk.
  std::vector<NodeVolume> volumes;
  /// What PCR 7 may become (SHA-256) when Secure Boot variables are changed by plan: the node keeps its volumes open to
  /// machines with these values, too.
  std::vector<Digest> next_pcr_7;
  /// Out-of-tree kernel modules, by name. No other one may be loaded.
  std::vector<NodeModule> modules;

  bool operator==(const Baseline&) const = default;
};

/// The PCRs that a platform covers whole, and those that a baseline covers whole. PCR 7 is shared.
inline constexpr PcrIndex platform_pcrs[] = {0, 1, 2, 3, 6};
inline constexpr PcrIndex image_pcrs[] = {4, 5, 8, 9, 11, 12, 13, 14};

}  // namespace ingot
