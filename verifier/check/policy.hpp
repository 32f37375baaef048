// The golden values, put in order once for many boots. Internal to check/.
#pragma once

#include <array>
#include <unordered_map>

#include "ingot/check/boot.hpp"

namespace ingot::check {

/// Those with a predicted value. PCR 10 is IMA's and differs in each boot; 15 and above are never predictable.
inline constexpr PcrIndex judged_pcrs[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14};
/// Those that firmware's log and systemd's must lead to. PCR 15: machine id, file systems and volume keys.
inline constexpr PcrIndex replayed_pcrs[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15};

/// What these digests lead to from a PCR's start, in one bank; nothing where one of them has none for it.
std::optional<Digest> replay_path(HashAlg bank, PcrIndex pcr, std::uint8_t locality,
                                  const std::vector<const Digests*>& path);

class Policy {
 public:
  /// What `golden` points to must outlive the policy.
  explicit Policy(const GoldenValues& golden);

  [[nodiscard]] const GoldenValues& golden() const { return golden_; }
  /// Expected events of platform and baseline in order.
  [[nodiscard]] const std::vector<const ExpectedEvent*>& expected(PcrIndex pcr) const { return expected_.at(pcr); }
  /// What `expected(pcr)` leads to with no optional block taken; nothing where an event has no digest for the bank.
  [[nodiscard]] std::optional<Digest> value(HashAlg bank, PcrIndex pcr) const;
  [[nodiscard]] std::uint8_t startup_locality() const {
    return golden_.platform == nullptr ? std::uint8_t{0} : golden_.platform->startup_locality;
  }
  [[nodiscard]] bool has_manifest() const { return golden_.manifest != nullptr; }
  /// The SHA-256 of a file of the image; null when the image has no such file.
  [[nodiscard]] const Digest* file(std::string_view path) const;

 private:
  GoldenValues golden_;
  std::array<std::vector<const ExpectedEvent*>, pcr_count> expected_;
  std::map<std::pair<HashAlg, PcrIndex>, Digest> values_;
  std::unordered_map<std::string_view, Digest> files_;
};

}  // namespace ingot::check
