#include "render.hpp"

#include <fmt/format.h>

namespace ingot::cli {

nlohmann::json to_json(const PcrValues& pcrs) {
  auto out = nlohmann::json::object();
  for (const auto& [alg, bank] : pcrs)
    for (const auto& [index, value] : bank) out[to_text(alg)][std::to_string(index)] = to_hex(value);
  return out;
}

nlohmann::json to_json(const ExpectedEvent& event) {
  auto digests = nlohmann::json::object();
  for (const auto& [alg, digest] : event.digests) digests[to_text(alg)] = to_hex(digest);
  nlohmann::json out{{"pcr", event.pcr}, {"type", to_text(event.type)}, {"cause", event.cause}, {"digests", digests}};
  if (!event.text.empty()) out["text"] = event.text;
  if (!event.optional_block.empty()) out["optional_block"] = event.optional_block;
  return out;
}

std::string render_events(const std::vector<ExpectedEvent>& events, const PcrValues& pcrs) {
  std::string out;
  for (const auto& event : events) {
    const auto digest = event.digests.find(HashAlg::sha256);
    out += fmt::format("pcr {:<2} {}  {}{}{}\n", event.pcr,
                       digest == event.digests.end() ? std::string(64, '-') : to_hex(digest->second), event.cause,
                       event.text.empty() ? "" : ": " + event.text,
                       event.optional_block.empty() ? "" : fmt::format(" [may occur: {}]", event.optional_block));
  }
  if (const auto bank = pcrs.find(HashAlg::sha256); bank != pcrs.end()) {
    out += "\nsha256:\n";
    for (const auto& [index, value] : bank->second) out += fmt::format("  {:<2} {}\n", index, to_hex(value));
  }
  return out;
}

}  // namespace ingot::cli
