// `ingot-agent queue`: how much of the journal the collector has not acknowledged yet, and what to say of it.
#pragma once

#include <cstdint>
#include <string>

#include "ingot/base/result.hpp"

namespace ingot::agent {

struct QueueOptions {
  std::string journal;            ///< folder of journald
  std::string state;              ///< state file of systemd-journal-upload
  std::string metrics;            ///< file for a Prometheus node exporter; empty: none
  std::uint64_t limit_bytes = 0;  ///< SystemMaxUse
  int percent = 75;               ///< of the limit: from there on it is a notice
};

/// What is on disk, compared with what was acknowledged. Sizes are of whole journal files: exact to one file, 1/16 of
/// the limit.
struct QueueState {
  std::uint64_t waiting_bytes = 0;      ///< of files with records after the acknowledged one
  std::uint64_t acknowledged_usec = 0;  ///< time of the last acknowledged record; 0: none ever was
  std::uint64_t first_usec = 0;         ///< time of the oldest record on disk; 0: there is none
  std::uint64_t last_usec = 0;          ///< time of the newest
  [[nodiscard]] bool lost() const {     ///< records were dropped before they were delivered
    return first_usec != 0 && acknowledged_usec != 0 && first_usec > acknowledged_usec;
  }
};
Result<QueueState> measure_queue(const QueueOptions& options);

/// Measures, writes the metrics, and says on standard error what is wrong with the priority in front that journald
/// reads
/// ("<2>"): crit from `percent` on, alert when records are being lost, warning when nothing was ever delivered.
Result<void> run_queue(const QueueOptions& options);

}  // namespace ingot::agent
