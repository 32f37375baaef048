// tpm2_eventlog as the judge of which drivers of a log are option ROMs, and by what digest.
#include "ingot/check/option_roms.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <set>
#include <sstream>

#include "ingot/base/source.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/event_text.hpp"
#include "tool.hpp"

using namespace ingot;
namespace fs = std::filesystem;

namespace {

const std::string eventlogs = std::string(INGOT_SHARED) + "/vectors/eventlogs";

/// PCR 2's drivers in tpm2_eventlog's YAML: SHA-256 digests, and how many there are, whatever their digests.
struct Theirs {
  std::set<std::string> sha256;
  std::size_t drivers = 0;
};
Theirs read_yaml(const std::string& yaml) {
  Theirs theirs;
  std::istringstream in(yaml);
  bool second = false, driver = false, sha256 = false;
  for (std::string line; std::getline(in, line) && !line.starts_with("pcrs:");) {
    const auto has = [&](const char* text) { return line.find(text) != std::string::npos; };
    if (has("PCRIndex:")) second = line.ends_with(" 2"), driver = false;
    if (has("EventType:"))
      driver = second && (has("EV_EFI_BOOT_SERVICES_DRIVER") || has("EV_EFI_RUNTIME_SERVICES_DRIVER"));
    if (driver && has("EventType:")) ++theirs.drivers;
    if (has("AlgorithmId:")) sha256 = has("sha256");
    if (driver && sha256 && has("Digest: \"")) theirs.sha256.insert(line.substr(line.find('"') + 1, 64));
  }
  return theirs;
}

Platform platform_of(const codec::EventLog& log) {
  Platform platform;
  for (const auto& event : log.events) {
    const auto described = codec::describe_event(event);
    platform.events.push_back({event.pcr, event.type, event.digests, described.component, described.text, {}});
  }
  return platform;
}

}  // namespace

TEST_CASE("option ROMs: of every real log those that tpm2_eventlog finds, and an error where they have no SHA-256") {
  if (test::skipped(eventlogs, "event logs of other machines were not compared")) return;
  std::size_t found = 0, without_sha256 = 0;
  for (const auto& entry : fs::directory_iterator(eventlogs)) {
    const auto log = codec::decode_event_log(read_file(entry.path(), 1u << 20).value());
    if (!log) continue;
    INFO(entry.path());
    // It dies at the end of some logs, after the events.
    const auto yaml = test::run_tool({"tpm2_eventlog", entry.path()});
    const auto theirs = read_yaml(std::string(as_text(yaml.output)));
    const auto ours = check::option_roms(platform_of(*log));
    if (theirs.drivers == 0) {
      REQUIRE_FALSE(ours);
      CHECK(ours.error().code == ErrorCode::missing);
    } else if (theirs.sha256.empty()) {
      REQUIRE_FALSE(ours);
      CHECK(ours.error().code == ErrorCode::unsupported);
      ++without_sha256;
    } else {
      REQUIRE(ours);
      std::set<std::string> digests;
      for (const auto& rom : *ours) {
        digests.insert(to_hex(rom.sha256));
        REQUIRE_FALSE(rom.devices.empty());
        CHECK_THAT(rom.devices.front(), Catch::Contains("Pci") || Catch::Contains("Fv"));
      }
      CHECK(digests == theirs.sha256);
      found += digests.size();
    }
  }
  CHECK(found > 0);
  CHECK(without_sha256 > 0);
}
