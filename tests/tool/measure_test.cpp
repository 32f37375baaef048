// Independent tools as judges of measuring: tpm2_eventlog for replay, systemd-measure for PCR 11, tpm2_quote on swtpm
// for quotes.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/cel.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/tpm.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/uki.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::builder;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string eventlogs = std::string(INGOT_SHARED) + "/vectors/eventlogs";
const std::string oracles = std::string(INGOT_SOURCE) + "/build/oracles";

/// The `pcrs:` block of tpm2_eventlog: "  sha256:" then "    0  : 0x...".
PcrValues parse_pcrs(const std::string& yaml) {
  PcrValues pcrs;
  std::istringstream in(yaml.substr(std::min(yaml.find("\npcrs:"), yaml.size())));
  std::optional<HashAlg> bank;
  for (std::string line; std::getline(in, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto start = line.find_first_not_of(' ');
    auto name = line.substr(start, colon - start);
    name.erase(name.find_last_not_of(' ') + 1);
    const auto hex = line.find("0x");
    if (hex == std::string::npos)
      bank = parse_hash_alg(name);
    else if (bank)
      pcrs[*bank][static_cast<PcrIndex>(std::stoul(name))] = parse_hex(line.substr(hex + 2)).value();
  }
  return pcrs;
}

}  // namespace

TEST_CASE("replay: tpm2_eventlog gives the same PCR values for every log of other machines") {
  if (skipped(eventlogs, "event logs of other machines were not compared")) return;
  std::size_t compared = 0, values = 0;
  for (const auto& entry : fs::directory_iterator(eventlogs)) {
    INFO(entry.path().filename().string());
    Command command;
    command.argv = {"tpm2_eventlog", entry.path()};
    const auto theirs = run(command);
    REQUIRE(theirs);
    const auto expected = parse_pcrs(std::string(as_text(theirs->output)));
    if (theirs->exit_code != 0 || expected.empty()) continue;
    const auto log = codec::decode_event_log(read_file(entry.path(), 1u << 20).value());
    REQUIRE(log);
    CHECK(codec::encode_event_log(*log) == read_file(entry.path(), 1u << 20).value());
    const auto ours = codec::replay(*log);
    // tpm2_eventlog 5.4 does not know StartupLocality: it extends that EV_NO_ACTION event, from zero. TCG PFP 1.06,
    // "Startup Locality Event", and systemd-pcrlock say otherwise; so PCR 0 of such a log is compared its way.
    auto its_way = *log;
    its_way.startup_locality = 0;
    for (auto& event : its_way.events) event.type = EventType::EV_UNUSED;
    const auto ours_its_way = codec::replay(its_way);
    for (const auto& [bank, pcrs] : expected)
      for (const auto& [pcr, value] : pcrs) {
        INFO(to_text(bank) << " PCR " << pcr);
        REQUIRE(ours.at(bank).contains(pcr));
        const auto& replayed = log->startup_locality != 0 && pcr == 0 ? ours_its_way : ours;
        CHECK(to_hex(replayed.at(bank).at(pcr)) == to_hex(value));
        ++values;
      }
    ++compared;
  }
  CHECK(compared >= 14);
  std::cerr << "replay: " << values << " PCR values of " << compared << " logs are tpm2_eventlog's\n";
}

TEST_CASE("replay: what is no log is refused, and a log without events extends nothing") {
  if (skipped(eventlogs, "malformed logs of other projects were not tried")) return;
  const auto decode = [](const char* name) {
    return codec::decode_event_log(read_file(eventlogs + "/" + name, 1u << 20).value());
  };
  CHECK_FALSE(decode("keylime-bogus.bin"));
  // One StartupLocality event in the SHA-1 format and nothing else.
  const auto values = codec::replay(decode("short_no_action_eventlog.bin").value());
  CHECK(values == PcrValues{{HashAlg::sha1, {{0, codec::pcr_start_value(HashAlg::sha1, 0, 3)}}}});
}

TEST_CASE("CEL: systemd-pcrlock 257 prints the records that we make of a firmware log") {
  if (skipped(eventlogs, "CEL records of other machines were not compared") ||
      skipped(oracles + "/usr/lib/systemd/systemd-pcrlock", "CEL records were not compared with systemd-pcrlock"))
    return;
  const auto folder = TemporaryFolder::create(oracles + "/tmp", "ingot-test-").value();
  const auto inside = folder.path().substr(oracles.size());
  std::size_t compared = 0;
  for (const auto& file : fs::directory_iterator(eventlogs)) {
    INFO(file.path());
    const auto bytes = read_file(file.path(), 1u << 20).value();
    const auto log = codec::decode_event_log(bytes);
    if (!log || log->format != codec::LogFormat::crypto_agile) continue;
    REQUIRE(write_file(folder.path() + "/log", bytes));
    Command command;
    command.argv = {"chroot",
                    oracles,
                    "env",
                    "SYSTEMD_MEASURE_LOG_FIRMWARE=" + inside + "/log",
                    "SYSTEMD_MEASURE_LOG_USERSPACE=/nonexistent",
                    "/usr/lib/systemd/systemd-pcrlock",
                    "cel",
                    "--json=short"};
    const auto done = run(command).value();
    if (done.exit_code != 0) continue;  // it refuses some logs of real machines
    const auto theirs = codec::decode_cel_json(done.output).value();
    // It leaves out what extends nothing, and numbers from 1.
    std::vector<codec::CelRecord> ours;
    for (auto& record : codec::cel_records(*log, {}, {})) {
      if (std::get<codec::CelPcClient>(record.content).type == EventType::EV_NO_ACTION) continue;
      record.number = ours.size() + 1;
      ours.push_back(std::move(record));
    }
    REQUIRE(theirs.size() == ours.size());
    for (std::size_t i = 0; i < ours.size(); ++i) CHECK(theirs[i] == ours[i]);
    ++compared;
  }
  CHECK(compared >= 5);
  std::cerr << "CEL: the records of " << compared << " logs are systemd-pcrlock's\n";
}

TEST_CASE("PCR 11: systemd-measure 257 calculates the same value for each phase") {
  if (skipped(oracles + "/usr/lib/systemd/systemd-measure", "PCR 11 was not compared with systemd-measure")) return;
  const auto folder = TemporaryFolder::create(oracles + "/tmp", "ingot-test-").value();
  const auto inside = folder.path().substr(oracles.size());
  const auto put = [&](const std::string& name, std::string_view text) {
    REQUIRE(write_file(folder.path() + "/" + name, as_bytes(text)));
  };
  put("linux", std::string(300'001, 'k'));
  put("initrd", std::string(70'003, 'i'));
  put("osrel", "ID=ingot\nPRETTY_NAME=\"Ingot 1\"\n");
  put("cmdline", "console=ttyS0 module.sig_enforce=1 roothash=00");
  put("uname", "6.12.0");
  put("sbat", "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n");
  put("pcrpkey", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n");
  put("ucode", "microcode");

  // The same sections in a PE file.
  Writer out;
  const std::vector<std::string> names = {"linux", "osrel", "cmdline", "initrd", "ucode", "uname", "sbat", "pcrpkey"};
  out.text("MZ").fill(58).u32le(0x80).fill(0x80 - 64);
  out.u32le(0x00004550)
      .u16le(0x8664)
      .u16le(static_cast<std::uint16_t>(names.size() + 1))
      .fill(12)
      .u16le(240)
      .u16le(0x22E);
  out.u16le(0x020B).fill(30).u32le(0x1000).u32le(0x200).fill(16).u32le(0x1000000).u32le(0x1000).fill(44).u32le(16).fill(
      16 * 8);
  Writer contents;
  std::uint32_t memory = 0x10000;
  const auto add = [&](const std::string& name, Bytes bytes) {
    out.text(name).fill(8 - name.size()).u32le(static_cast<std::uint32_t>(bytes.size())).u32le(memory);
    out.u32le(static_cast<std::uint32_t>((bytes.size() + 511) / 512 * 512))
        .u32le(static_cast<std::uint32_t>(0x1000 + contents.size()))
        .fill(12)
        .u32le(0x40000040);
    contents.bytes(bytes).align(512);
    memory += 0x100000;
  };
  add(".sdmagic", as_bytes("#### LoaderInfo: systemd-stub 257.9-1~deb13u1 ####"));
  std::vector<std::string> argv = {"chroot",       oracles,        "/usr/lib/systemd/systemd-measure",
                                   "calculate",    "--json=short", "--bank=sha256",
                                   "--bank=sha384"};
  for (const auto& name : names) {
    add("." + name, read_file(folder.path() + "/" + name, 1u << 20).value());
    argv.push_back("--" + name + "=" + inside + "/" + name);
  }
  out.fill(0x1000 - out.size()).bytes(contents.view());
  const auto uki = memory_source(out.take());
  const std::vector<std::string> phases = {"enter-initrd", "leave-initrd", "sysinit", "ready"};
  const auto sections = measure::section_events(*uki, codec::decode_pe(*uki).value()).value();
  const auto values = measure::phase_values(sections, phases).value();
  REQUIRE(values.size() == phases.size());
  for (const auto& value : values) argv.push_back("--phase=" + value.phase_path);
  const auto theirs = output_of(argv);
  for (const auto& value : values)
    for (const auto& [bank, digest] : value.value) {
      INFO(value.phase_path << " " << to_text(bank) << "\n" << theirs);
      CHECK(theirs.find("\"phase\":\"" + value.phase_path + "\",\"pcr\":11,\"hash\":\"" + to_hex(digest) + "\"") !=
            std::string::npos);
    }
}

TEST_CASE("quotes: what tpm2_quote makes on swtpm with each scheme is read and verified") {
  const auto folder = scratch();
  const auto file = [&](const std::string& name) { return folder.path() + "/" + name; };
  const Swtpm swtpm(folder.path(), {"--pcr-banks", "sha256,sha384"});
  const auto tpm = [&](std::vector<std::string> argv) { return swtpm.tool(std::move(argv)); };
  tpm({"tpm2_createek", "-G", "rsa", "-c", file("ek")});
  struct Row {
    const char* algorithm;
    const char* scheme;
    const char* hash;
  };
  for (const auto& row :
       {Row{"rsa", "rsassa", "sha256"}, Row{"rsa", "rsassa", "sha384"}, Row{"rsa", "rsapss", "sha256"},
        Row{"ecc", "ecdsa", "sha256"}, Row{"ecc", "ecdsa", "sha384"}}) {
    INFO(row.algorithm << " " << row.scheme << " " << row.hash);
    tpm({"tpm2_createak", "-C", file("ek"), "-c", file("ak"), "-G", row.algorithm, "-s", row.scheme, "-g", row.hash,
         "-u", file("ak.pub"), "-f", "tss", "-n", file("ak.name")});
    tpm({"tpm2_flushcontext", "-t"});
    tpm({"tpm2_quote", "-c", file("ak"), "-l", "sha256:0,1,2+sha384:7", "-q", "c0ffee", "-m", file("attest"), "-s",
         file("signature"), "-g", row.hash, "--scheme", row.scheme});
    tpm({"tpm2_flushcontext", "-t"});
    const auto raw_key = read_file(file("ak.pub"), 4096).value();
    const auto area = Bytes(raw_key).subspan(2);  // without the TPM2B's length
    const auto key = codec::decode_tpm_public(area);
    REQUIRE(key);
    CHECK(codec::encode_tpm_public(*key) == to_buffer(area));
    CHECK(codec::object_name(area).value() == read_file(file("ak.name"), 4096).value());
    const auto attest = read_file(file("attest"), 4096).value();
    const auto quote = codec::decode_tpm_quote(attest).value();
    CHECK(codec::encode_tpm_quote(quote) == attest);
    CHECK(to_hex(quote.extra_data) == "c0ffee");
    const auto raw_signature = read_file(file("signature"), 4096).value();
    const auto signature = codec::decode_tpm_signature(raw_signature).value();
    CHECK(codec::encode_tpm_signature(signature) == raw_signature);
    CHECK(codec::verify_tpm_signature(*key, signature, attest));
    // A fresh TPM: all PCRs are zero. The digest is made with the scheme's hash.
    PcrValues zero;
    for (const PcrIndex pcr : {0u, 1u, 2u}) zero[HashAlg::sha256][pcr] = Buffer(32, 0);
    zero[HashAlg::sha384][7] = Buffer(48, 0);
    CHECK(codec::quoted_pcr_digest(signature.scheme.hash, quote.selections, zero).value() == quote.pcr_digest);
    auto changed = attest;
    changed.back() ^= 1;
    CHECK_FALSE(codec::verify_tpm_signature(*key, signature, changed));
  }
}
