// Malformed input at the command line: exit status 2, the byte where it breaks, and nothing written.
#include <catch2/catch.hpp>
#include <cctype>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/any_log.hpp"
#include "ingot/codec/cel.hpp"
#include "ingot/codec/enrolment.hpp"
#include "ingot/codec/evidence.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string program = std::string(INGOT_BUILD) + "/ingot";
constexpr std::uint64_t cap = 64u << 20;

/// "at byte 17" or "bytes 16 to 19": somewhere, the byte is named.
bool names_a_byte(const std::string& told) {
  for (auto at = told.find("byte "); at != std::string::npos; at = told.find("byte ", at + 1))
    if (at + 5 < told.size() && std::isdigit(static_cast<unsigned char>(told[at + 5])) != 0) return true;
  return false;
}

struct Row {
  const char* name;
  Buffer whole;
  /// IN is the damaged file, OUT what must not come to be, DIR a scratch folder.
  std::vector<std::string> command;
};

Buffer text(const std::string& words) { return to_buffer(as_bytes(words)); }

std::vector<Row> rows() {
  const auto log = read_file(std::string(INGOT_SOURCE) + "/tests/verifier/vectors/uki-boot-257.bin", cap).value();
  const auto parts = codec::decode_any_log(log).value();
  const auto records = codec::cel_records(*parts.firmware, {}, {});
  Evidence evidence;
  evidence.event_log = log;
  evidence.pcrs[HashAlg::sha256][0] = Buffer(32, 1);
  const TpmIdentity identity{{1, 2}, {3}, {}, {4}, {}};
  PendingEnrolment pending;
  pending.node = "gpu-07";
  pending.identity = identity;
  pending.secret_sha256 = Buffer(32, 1);
  const std::vector<std::string> export_log = {"log", "IN", "--export", "cel-json", "--out", "OUT"};
  return {
      {"firmware's log", log, export_log},
      {"CEL, TLV", codec::encode_cel_tlv(records), export_log},
      {"CEL, JSON", text(codec::encode_cel_json(records)), export_log},
      {"evidence as a log", text(codec::encode_evidence(evidence)), export_log},
      {"evidence", text(codec::encode_evidence(evidence)), {"platform", "learn", "IN", "--out", "OUT"}},
      {"identity",
       text(codec::encode_identity(identity)),
       {"enroll", "challenge", "--node", "gpu-07", "--identity", "IN", "--allow", "/dev/null", "--challenge", "OUT",
        "--pending", "OUT.pending"}},
      {"pending enrolment",
       text(codec::encode_pending(pending)),
       {"enroll", "finish", "--pending", "IN", "--activation", "IN", "--keys", "DIR", "--store", "OUT"}},
      {"baseline",
       read_file(std::string(INGOT_SOURCE) + "/tests/verifier/vectors/uki-boot-257.baseline.json", cap).value(),
       {"export", "cel-json", "--baseline", "IN", "--key", "DIR/baseline.pub", "--out", "OUT"}},
      {"UKI", read_file("/usr/lib/systemd/boot/efi/linuxx64.efi.stub", cap).value(), {"predict", "uki", "IN"}},
      {"variable store",
       read_file("/usr/share/OVMF/OVMF_VARS_4M.ms.fd", cap).value(),
       {"platform", "compute", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "--vars", "IN"}},
  };
}

}  // namespace

TEST_CASE("malformed input: exit status 2, the byte where it breaks, nothing written") {
  const auto folder = scratch();
  const auto file = [&](const std::string& name) { return folder.path() + "/" + name; };
  output_of({program, "keys", "init", file("keys")});
  for (const auto& row : rows())
    for (const auto size : {row.whole.size() / 2, row.whole.size() / 3, std::size_t{40}}) {
      INFO(row.name << ", the first " << size << " bytes");
      REQUIRE(write_file(file("in"), Bytes(row.whole).first(size)));
      std::vector<std::string> argv = {program};
      for (auto word : row.command) {
        if (word == "IN") word = file("in");
        if (word.starts_with("OUT")) word = file(word);
        if (word.starts_with("DIR")) word.replace(0, 3, file("keys"));
        argv.push_back(std::move(word));
      }
      const auto done = run_tool(argv);
      INFO(done.error_tail);
      CHECK(done.exit_code == 2);
      CHECK(done.output.empty());
      CHECK(names_a_byte(done.error_tail));
      for (const auto& entry : fs::directory_iterator(folder.path()))
        CHECK((entry.path().filename() == "in" || entry.path().filename() == "keys"));
    }
}
