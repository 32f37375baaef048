// Events and PCR values as text and JSON: what predict, platform and log have in common.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "ingot/model/baseline.hpp"

namespace ingot::cli {

nlohmann::json to_json(const PcrValues& pcrs);
nlohmann::json to_json(const ExpectedEvent& event);
/// One line an event, then one line a PCR of the SHA-256 bank.
std::string render_events(const std::vector<ExpectedEvent>& events, const PcrValues& pcrs);

}  // namespace ingot::cli
