// The firmware's log and systemd's, one after the other. Internal to check/.
#pragma once

#include <array>

#include "ingot/codec/event_log.hpp"
#include "ingot/model/evidence.hpp"

namespace ingot::check {

class Logs {
 public:
  Logs(Logs&&) = default;
  Logs& operator=(Logs&&) = default;
  Logs(const Logs&) = delete;
  Logs& operator=(const Logs&) = delete;
  ~Logs() = default;

  /// Error (malformed) when a log that is there cannot be decoded.
  static Result<Logs> decode(const Evidence& evidence);

  [[nodiscard]] bool has_firmware_log() const { return has_firmware_log_; }
  [[nodiscard]] bool has_bank(HashAlg bank) const;
  [[nodiscard]] const codec::EventLog& firmware() const { return firmware_; }
  /// What was extended into one PCR, in order: firmware first, then userspace.
  [[nodiscard]] const std::vector<const Event*>& events_of(PcrIndex pcr) const { return by_pcr_.at(pcr); }
  /// All PCRs, those without events at their start value. An event without a digest for `bank` extends nothing.
  [[nodiscard]] std::array<Digest, pcr_count> replay(HashAlg bank) const;

 private:
  Logs() = default;

  bool has_firmware_log_ = false;
  codec::EventLog firmware_;
  std::vector<Event> userspace_;
  std::array<std::vector<const Event*>, pcr_count> by_pcr_;  ///< into the two above
};

}  // namespace ingot::check
