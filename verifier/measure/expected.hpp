// Making expected events. Internal to measure/.
#pragma once

#include "ingot/crypto/hash.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::measure {

/// An event whose digest is over `data`.
inline ExpectedEvent expect_data(PcrIndex pcr, EventType type, Bytes data, std::string cause, std::string text = {}) {
  return {pcr, type, crypto::hash_banks(data), std::move(cause), std::move(text), {}};
}
inline ExpectedEvent expect_action(PcrIndex pcr, std::string_view text, std::string optional_block = {}) {
  auto event = expect_data(pcr, EventType::EV_EFI_ACTION, as_bytes(text), std::string(text));
  event.optional_block = std::move(optional_block);
  return event;
}
/// TCG PFP 1.06, "EV_SEPARATOR": four zero bytes when all went well.
inline ExpectedEvent expect_separator(PcrIndex pcr) {
  constexpr std::uint8_t zeroes[4] = {};
  return expect_data(pcr, EventType::EV_SEPARATOR, zeroes, "separator");
}

/// Appends by moving.
inline void append(std::vector<ExpectedEvent>& to, std::vector<ExpectedEvent> events) {
  for (auto& event : events) to.push_back(std::move(event));
}

}  // namespace ingot::measure
