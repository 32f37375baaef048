// Records that somebody should look at now. A node that is taken over may hide its records or make some up: an alert
// says what a node's records say, under the name that its certificate gives it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ingot/codec/journal.hpp"

namespace ingot::check {

struct Alert {
  std::string_view kind;    ///< INGOT_ALERT: "module-load", "privilege", ...; all in the table of alerts.cpp
  std::string_view reason;  ///< one sentence for people
};

/// The first rule of the table that a record meets; nothing when it meets none.
std::optional<Alert> judge(const codec::JournalRecord& record);

}  // namespace ingot::check
