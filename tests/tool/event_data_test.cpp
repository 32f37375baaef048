// tpm2_eventlog as the judge of what we read inside events' data.
#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "ingot/base/source.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/event_text.hpp"
#include "tool.hpp"

using namespace ingot;
namespace fs = std::filesystem;

namespace {

const std::string eventlogs = std::string(INGOT_SHARED) + "/vectors/eventlogs";

/// One event of tpm2_eventlog's YAML: the members that stand in one line, first occurrences.
using TheirEvent = std::map<std::string, std::string>;

std::string trimmed(std::string text) {
  const auto strip = [](char c) { return c == ' ' || c == '"' || c == '\''; };
  while (!text.empty() && strip(text.back())) text.pop_back();
  const auto start = std::find_if_not(text.begin(), text.end(), strip);
  return {start, text.end()};
}

std::vector<TheirEvent> parse_events(const std::string& yaml) {
  std::vector<TheirEvent> events;
  std::istringstream in(yaml);
  for (std::string line; std::getline(in, line) && !line.starts_with("pcrs:");) {
    if (line.starts_with("- EventNum:")) events.emplace_back();
    const auto colon = line.find(':');
    if (events.empty() || colon == std::string::npos) continue;
    auto key = trimmed(line.substr(0, colon));
    if (key.starts_with("- ")) key.erase(0, 2);
    events.back().emplace(std::move(key), trimmed(line.substr(colon + 1)));
  }
  return events;
}

std::uint64_t number(const std::string& text) { return std::stoull(text, nullptr, 0); }

struct Comparison {
  std::size_t members = 0;

  void same(const TheirEvent& theirs, const char* key, const nlohmann::json& ours, const char* member) {
    const auto found = theirs.find(key);
    if (found == theirs.end() || !ours.contains(member)) return;
    INFO(key << ", " << member);
    if (ours.at(member).is_number())
      CHECK(ours.at(member).get<std::uint64_t>() == number(found->second));
    else
      CHECK(ours.at(member).get<std::string>() == found->second);
    ++members;
  }

  void event(const TheirEvent& theirs, const Event& ours) {
    CHECK(std::to_string(ours.pcr) == theirs.at("PCRIndex"));
    // It has no name for the types of newer firmware.
    if (!theirs.at("EventType").starts_with("Unknown")) CHECK(to_text(ours.type) == theirs.at("EventType"));
    const auto data = codec::event_data_json(ours);
    if (data.contains("invalid")) return;
    for (const char* kind : {"variable", "authority"}) {
      if (!data.contains(kind)) continue;
      same(theirs, "UnicodeName", data.at(kind), "name");
      same(theirs, "VariableName", data.at(kind), "guid");
      same(theirs, "VariableDataLength", data.at(kind), "size_bytes");
      if (!data.at(kind).contains("load_option")) continue;
      const auto& option = data.at(kind).at("load_option");
      same(theirs, "Description", option, "description");
      same(theirs, "DevicePath", option.at("device_path"), "raw");
    }
    if (data.contains("firmware_blob")) {
      same(theirs, "BlobBase", data.at("firmware_blob"), "base");
      same(theirs, "BlobLength", data.at("firmware_blob"), "length_bytes");
    }
    if (data.contains("image")) {
      same(theirs, "ImageLocationInMemory", data.at("image"), "location");
      same(theirs, "ImageLengthInMemory", data.at("image"), "length_bytes");
      same(theirs, "ImageLinkTimeAddress", data.at("image"), "link_time_address");
      same(theirs, "DevicePath", data.at("image").at("device_path"), "raw");
    }
  }
};

}  // namespace

TEST_CASE("event data: variables, boot entries, images and firmware volumes are what tpm2_eventlog reads") {
  if (test::skipped(eventlogs, "event data of other machines were not compared")) return;
  Comparison comparison;
  for (const auto& entry : fs::directory_iterator(eventlogs)) {
    INFO(entry.path().filename().string());
    const auto done = test::run_tool({"tpm2_eventlog", entry.path()});
    const auto theirs = parse_events(std::string(as_text(done.output)));
    if (done.exit_code != 0 || theirs.empty()) continue;
    const auto log = codec::decode_event_log(read_file(entry.path(), 1u << 20).value());
    REQUIRE(log);
    // It counts the header of a crypto-agile log as an event.
    const std::size_t header = log->format == codec::LogFormat::crypto_agile ? 1 : 0;
    REQUIRE(theirs.size() == log->events.size() + header);
    for (std::size_t i = 0; i < log->events.size(); ++i) {
      INFO("event " << i);
      comparison.event(theirs[i + header], log->events[i]);
    }
  }
  CHECK(comparison.members > 500);
  std::cerr << "event data: " << comparison.members << " members are tpm2_eventlog's\n";
}
