// The log of signatures made: one JSON object a line, each line with the hash of the one before it. signer/keys.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

inline constexpr std::size_t signature_line_cap_bytes = 8192;
inline constexpr std::uint64_t signature_log_cap_bytes = 256u << 20;

struct SignatureEntry {
  Buffer previous;       ///< SHA-256 of the line before, without its line feed; 32 zeros in the first
  std::string time;      ///< RFC 3339, UTC, whole seconds
  std::string user;      ///< name of the process's real user
  std::string login;     ///< who had logged in, where the kernel knows and it is not `user`; else empty
  std::string host;      ///< node name (uname)
  std::string what;      ///< in plain words
  Buffer digest;         ///< what people know the signed thing by; may be empty
  Buffer signed_sha256;  ///< SHA-256 of the bytes that the signature is over
  Buffer key_sha256;     ///< SHA-256 of the key's SubjectPublicKeyInfo
  bool operator==(const SignatureEntry&) const = default;
};

/// One line, without a line feed. Error (limit) when it is longer than the cap.
Result<std::string> encode_signature_entry(const SignatureEntry& entry);
Result<SignatureEntry> decode_signature_entry(std::string_view line);

/// SHA-256 of a line without its line feed: the next line's `previous`.
Buffer signature_line_hash(std::string_view line);
/// `previous` of the first line, and the head of an empty log.
Buffer empty_signature_log_head();

/// A log as far as its chain holds. A chain can't show that lines are missing at its end: whoever wants to know keeps a
/// head of before, and looks for it in `heads`.
struct SignatureLog {
  std::vector<SignatureEntry> entries;
  std::vector<Buffer> heads;  ///< the hash of each line
  struct Break {
    std::size_t line = 0;  ///< counts from 1
    std::string why;
  };
  std::optional<Break> broken;  ///< the first line that is not an entry, or does not follow the one before
  [[nodiscard]] Buffer head() const { return heads.empty() ? empty_signature_log_head() : heads.back(); }
  /// Whether the log had this head once. True for the head of an empty log.
  [[nodiscard]] bool had_head(Bytes head) const;
};
SignatureLog read_signature_log(Bytes text);

}  // namespace ingot::codec
