// Records that somebody should look at now. A node that is taken over may hide its records or make some up: an alert
// says what a node's records say, under the name that its certificate gives it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingot/codec/journal.hpp"

namespace ingot::check {

struct Alert {
  std::string_view kind;    ///< INGOT_ALERT: "module-load", "privilege", ...; all in the table of alerts.cpp
  std::string_view reason;  ///< one sentence for people
};

/// Of a delivery in which something is not of the Journal Export Format.
inline constexpr Alert malformed_record = {"malformed", "what it delivered is in part no record"};

/// The first rule of the table that a record meets; nothing when it meets none.
std::optional<Alert> judge(const codec::JournalRecord& record);

/// Whoever can cause alerts could cause so many that nobody sees another one. So of each kind only so many of one node
/// are told within a minute; the others are counted, and their number is told. The records themselves are all kept.
class AlertLimit {
 public:
  static constexpr unsigned per_minute = 20;
  struct Held {
    std::string kind;
    std::uint64_t count = 0;
  };

  /// From render()'s text. Lines that are none of those count for nothing: a limit that is lost begins anew.
  static AlertLimit parse(std::string_view text);
  /// "KIND START TOLD HELD", one kind a line, START in seconds.
  [[nodiscard]] std::string render() const;

  /// Whether to tell of this alert; else it is counted. Times are seconds of the collector's clock: a node may claim
  /// any.
  bool take(std::string_view kind, std::int64_t now_seconds);
  /// Numbers to tell now: of minutes that are over.
  std::vector<Held> over(std::int64_t now_seconds);
  /// Numbers to tell when there is no more input; of a minute that is not over only the first time.
  std::vector<Held> at_end(std::int64_t now_seconds);

 private:
  struct Minute {
    std::int64_t start_seconds = 0;
    unsigned told = 0;  ///< more than `per_minute`: the number of those that were held back, too
    std::uint64_t held = 0;
    [[nodiscard]] bool is_over(std::int64_t now_seconds) const;
  };
  std::map<std::string, Minute, std::less<>> kinds_;
};

}  // namespace ingot::check
