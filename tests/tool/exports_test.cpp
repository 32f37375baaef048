// Golden values in other people's forms, read back by their tools.
#include "ingot/codec/exports.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/cel.hpp"
#include "tool.hpp"
#include "verifier/check_machine.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

const std::string oracles = std::string(INGOT_SOURCE) + "/build/oracles";

/// The TPM of a machine whose log this is.
void boot_by(const codec::EventLog& log, const Swtpm& tpm) {
  for (const auto& event : log.events) {
    if (event.type == EventType::EV_NO_ACTION) continue;
    std::string banks;
    for (const auto bank : predicted_banks)
      banks += fmt::format("{}{}={}", banks.empty() ? "" : ",", to_text(bank), to_hex(event.digests.at(bank)));
    tpm.tool({"tpm2_pcrextend", fmt::format("{}:{}", event.pcr, banks)});
  }
}

}  // namespace

TEST_CASE("export: systemd-pcrlock finds our components in a real log and predicts what the TPM held") {
  const auto folder = scratch(oracles + "/tmp");  // made by the fixture of all tests in this folder
  const auto inside = folder.path().substr(oracles.size());
  for (const auto& [name, text] : codec::export_pcrlock(baseline(), &platform()))
    REQUIRE(write_file(folder.path() + "/" + name, as_bytes(text)));
  REQUIRE(write_file(folder.path() + "/log", reference().event_log));
  const Swtpm tpm(folder.path(), {"--pcr-banks", "sha256,sha384"});
  boot_by(reference_log(), tpm);
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
  const auto folder = scratch();
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
