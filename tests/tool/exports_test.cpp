// Golden values in other people's forms, read back by their tools.
#include "ingot/codec/exports.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/cel.hpp"
#include "verifier/check_machine.hpp"

using namespace ingot;
using namespace ingot::test;
using builder::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const std::string oracles = std::string(INGOT_SOURCE) + "/build/oracles";

builder::Completed run_tool(std::vector<std::string> argv, std::map<std::string, std::string> environment = {}) {
  builder::Command command;
  command.argv = std::move(argv);
  command.environment = std::move(environment);
  auto done = builder::run(command);
  if (!done) FAIL(describe(done.error()));
  return *std::move(done);
}

/// A software TPM whose PCRs hold what a log leads to.
builder::Background tpm_that_booted(const codec::EventLog& log, const std::string& folder) {
  REQUIRE(run_tool({"swtpm_setup", "--tpm2", "--tpmstate", folder, "--pcr-banks", "sha256,sha384"},
                   {{"XDG_CONFIG_HOME", folder}})
              .exit_code == 0);
  builder::Command command;
  command.argv = {"swtpm",
                  "socket",
                  "--tpm2",
                  "--tpmstate",
                  "dir=" + folder,
                  "--server",
                  "type=unixio,path=" + folder + "/tpm",
                  "--ctrl",
                  "type=unixio,path=" + folder + "/tpm.ctrl",
                  "--flags",
                  "startup-clear"};
  auto tpm = builder::Background::start(command, folder + "/swtpm.log").value();
  for (int i = 0; i < 200 && !fs::exists(folder + "/tpm.ctrl"); ++i) ::usleep(20'000);
  for (const auto& event : log.events) {
    if (event.type == EventType::EV_NO_ACTION) continue;
    std::string banks;
    for (const auto bank : predicted_banks)
      banks += fmt::format("{}{}={}", banks.empty() ? "" : ",", to_text(bank), to_hex(event.digests.at(bank)));
    REQUIRE(run_tool({"tpm2_pcrextend", "-T", "swtpm:path=" + folder + "/tpm", fmt::format("{}:{}", event.pcr, banks)})
                .exit_code == 0);
  }
  return tpm;
}

}  // namespace

TEST_CASE("export: systemd-pcrlock finds our components in a real log and predicts what the TPM held") {
  if (!fs::exists(oracles + "/usr/lib/systemd/systemd-pcrlock")) {
    std::cerr << "SKIPPED: components were not read by systemd-pcrlock (" << oracles << " is not there)\n";
    return;
  }
  const auto folder = TemporaryFolder::create(oracles + "/tmp", "ingot-test-").value();
  const auto inside = folder.path().substr(oracles.size());
  for (const auto& [name, text] : codec::export_pcrlock(baseline(), &platform()))
    REQUIRE(write_file(folder.path() + "/" + name, as_bytes(text)));
  REQUIRE(write_file(folder.path() + "/log", reference().event_log));
  const auto tpm = tpm_that_booted(reference_log(), folder.path());
  const auto pcrlock = [&](std::vector<std::string> words) {
    std::vector<std::string> argv = {"chroot",
                                     oracles,
                                     "env",
                                     "SYSTEMD_MEASURE_LOG_FIRMWARE=" + inside + "/log",
                                     "SYSTEMD_MEASURE_LOG_USERSPACE=/nonexistent",
                                     "SYSTEMD_TPM2_DEVICE=swtpm:path=" + inside + "/tpm",
                                     "/usr/lib/systemd/systemd-pcrlock"};
    argv.insert(argv.end(), words.begin(), words.end());
    argv.push_back("--components=" + inside);
    return run_tool(argv);
  };
  const auto done = pcrlock({"predict", "--json=short", "--pcr=0,1,2,3,4,5,6,7,9,11"});
  REQUIRE(done.exit_code == 0);
  const auto predicted = nlohmann::json::parse(as_text(done.output));
  std::size_t compared = 0;
  for (const auto bank : predicted_banks)
    for (const auto& one : predicted.at(to_text(bank))) {
      const auto pcr = one.at("pcr").get<PcrIndex>();
      INFO(to_text(bank) << " PCR " << pcr);
      CHECK(one.at("values") == nlohmann::json::array({to_hex(reference().pcrs.at(bank).at(pcr))}));
      ++compared;
    }
  CHECK(compared == 20);
  // Its own judgement of the log: every record has a component, and every component its record.
  const auto log = pcrlock({"log"});
  CHECK(log.exit_code == 0);
  const auto text = std::string(as_text(log.output));
  CHECK(text.find("✗") == std::string::npos);
}

TEST_CASE("export: an independent CBOR decoder reads the CoRIM, its tags and every PCR") {
  const auto folder = TemporaryFolder::create(fs::temp_directory_path(), "ingot-test-").value();
  REQUIRE(write_file(folder.path() + "/corim", codec::export_corim(baseline(), &platform())));
  REQUIRE(write_file(folder.path() + "/read.py", as_bytes(R"(
import cbor2, json, sys
outer = cbor2.load(open(sys.argv[1], "rb"))
assert outer.tag == 500 and outer.value.tag == 501, outer
corim = outer.value.value
tag = corim[1][0]
assert tag.tag == 506
comid = cbor2.loads(tag.value)
environment, measurements = comid[4][0][0]
names = {1: "sha256", 7: "sha384"}
print(json.dumps({"id": corim[0], "tag_id": comid[1][0], "model": environment[0][2],
                  "canonical": cbor2.dumps(outer, canonical=True) == open(sys.argv[1], "rb").read(),
                  "pcrs": {m[0]: {names[a]: d.hex() for a, d in m[1][2]} for m in measurements}}))
)")));
  // Debian's own Python: that is where packages.txt puts the decoder.
  const auto done = run_tool({"/usr/bin/python3", folder.path() + "/read.py", folder.path() + "/corim"});
  REQUIRE(done.exit_code == 0);
  const auto read = nlohmann::json::parse(as_text(done.output));
  CHECK(read.at("id") == "ingot/mini/7");
  CHECK(read.at("tag_id") == "ingot/mini/7");
  CHECK(read.at("model") == "mini");
  CHECK(read.at("canonical") == true);
  std::size_t compared = 0;
  for (const auto& [pcr, digests] : read.at("pcrs").items())
    for (const auto bank : predicted_banks) {
      INFO(to_text(bank) << " PCR " << pcr);
      CHECK(digests.at(to_text(bank)) == to_hex(reference().pcrs.at(bank).at(static_cast<PcrIndex>(std::stoul(pcr)))));
      ++compared;
    }
  CHECK(compared == 26);  // PCR 0-6, 8, 9, 11-14 of two banks
}
