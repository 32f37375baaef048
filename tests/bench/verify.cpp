// How many nodes one core can verify.
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <memory>

#include "bench.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/codec/tpm.hpp"
#include "ingot/crypto/hash.hpp"
#include "verifier/evidence_parts.hpp"
#include "verifier/ima_entry.hpp"

namespace ingot::bench {
namespace {

constexpr std::size_t server_log_bytes = 100'000;
constexpr std::size_t list_entries = 780;
constexpr std::size_t manifest_files = 5'000;
constexpr std::size_t variants = 64;     // pieces of evidence of one node, of which no two have a log in common
constexpr std::size_t new_entries = 10;  // in the IMA list, between one verdict and the next
constexpr double measured_seconds = 2;

/// An RSA-2048 key that plays a TPM's attestation key.
class RsaTpm {
 public:
  RsaTpm() : key_(EVP_RSA_gen(2048), EVP_PKEY_free) {}

  [[nodiscard]] Buffer public_area() const {
    auto object = codec::attestation_key_template(codec::KeyKind::rsa);
    BIGNUM* modulus = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), OSSL_PKEY_PARAM_RSA_N, &modulus);
    Buffer bytes(256);
    BN_bn2binpad(modulus, bytes.data(), 256);
    BN_free(modulus);
    std::get<codec::TpmRsa>(object.key).modulus = bytes;
    return codec::encode_tpm_public(object);
  }

  void quote(Evidence& evidence) const {
    evidence.quote_attest = codec::encode_tpm_quote(test::quote_of(evidence));
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    Buffer signature(256);
    std::size_t size = signature.size();
    EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get());
    EVP_DigestSign(context.get(), signature.data(), &size, evidence.quote_attest.data(), evidence.quote_attest.size());
    evidence.quote_signature =
        codec::encode_tpm_signature({{codec::TpmAlg::rsassa, HashAlg::sha256}, signature, {}, {}});
    evidence.ak_public = public_area();
  }

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

const RsaTpm& tpm() {
  static const RsaTpm one;
  return one;
}

/// What a node of one class must measure, and a log that it measured.
struct Machine {
  Platform platform;
  Baseline baseline;
  codec::EventLog log;
};

/// The golden values of a machine on which this log is golden.
Machine machine_of(codec::EventLog log) {
  Machine machine;
  machine.platform.startup_locality = log.startup_locality;
  bool separated = false;
  for (const auto& event : log.events) {
    if (event.type == EventType::EV_NO_ACTION) continue;
    const bool of_platform = event.pcr <= 3 || event.pcr == 6 || (event.pcr == 7 && !separated);
    separated = separated || (event.pcr == 7 && event.type == EventType::EV_SEPARATOR);
    (of_platform ? machine.platform.events : machine.baseline.events)
        .push_back({event.pcr, event.type, event.digests, to_text(event.type), {}, {}});
  }
  machine.log = std::move(log);
  return machine;
}

/// A real server's log; what it measured into PCR 0 to 3 comes again until there are 100 KB, as from more devices. At
/// the end what our stub measures.
Result<Machine> server() {
  const auto bytes = TRY(read_file(std::string(INGOT_SHARED) + "/vectors/eventlogs/keylime-server.bin", 1u << 20));
  auto log = TRY(codec::decode_event_log(bytes));
  const auto separator = std::find_if(log.events.begin(), log.events.end(),
                                      [](const Event& event) { return event.type == EventType::EV_SEPARATOR; });
  std::vector<Event> devices;
  std::copy_if(log.events.begin(), separator, std::back_inserter(devices),
               [](const Event& event) { return event.pcr <= 3 && event.type != EventType::EV_NO_ACTION; });
  if (devices.empty()) return fail(ErrorCode::internal, "the server's log has no events of devices");
  const auto at = separator - log.events.begin();
  for (const auto* name :
       {".linux", ".osrel", ".cmdline", ".initrd", ".uname", "enter-initrd", "leave-initrd", "ready"}) {
    Event event{11, EventType::EV_IPL, {}, to_buffer(as_bytes(name))};
    for (const auto& [alg, size] : log.algorithms) event.digests[alg] = crypto::hash(alg, event.data);
    log.events.push_back(event);
  }
  log.events.push_back(log.events.back());
  log.events.back().pcr = 9;
  for (std::size_t i = 0; codec::encode_event_log(log).size() < server_log_bytes; ++i)
    log.events.insert(log.events.begin() + at + static_cast<std::ptrdiff_t>(i), devices[i % devices.size()]);
  return machine_of(std::move(log));
}

/// Our own image's log, as captured from a boot.
Result<Machine> own_image(const Bench& bench) {
  const auto bytes = TRY(read_file(bench.source + "/tests/verifier/vectors/uki-boot-257.bin", 1u << 20));
  return machine_of(TRY(codec::decode_event_log(bytes)));
}

std::vector<FileDigest> manifest() {
  std::vector<FileDigest> files;
  for (std::size_t i = 0; i < manifest_files; ++i) {
    const auto path = fmt::format("/usr/lib/x86_64-linux-gnu/perl/5.40/file-{}.so", i);
    files.push_back({path, crypto::sha256_hex(as_bytes(path))});
  }
  return files;
}

codec::ImaEntry measured(const FileDigest& file) {
  return test::ima_entry("ima-ng", file.path, *parse_hex(file.sha256));
}

/// Evidence of a boot of this machine. `variant` goes into what no PCR holds, so that its log is another's.
Evidence booted(const Machine& machine, std::size_t variant) {
  auto log = machine.log;
  log.events.insert(log.events.begin(),
                    {0, EventType::EV_NO_ACTION, {}, to_buffer(as_bytes(fmt::format("{:8}", variant)))});
  Evidence evidence;
  evidence.node = "node-1";
  evidence.nonce = {1, 2, 3, 4};
  evidence.event_log = codec::encode_event_log(log);
  for (auto& [bank, values] : codec::replay(machine.log)) {
    if (bank == HashAlg::sha1) continue;  // no bank that a quote has to cover
    evidence.pcrs[bank] = values;
    for (PcrIndex pcr = 0; pcr < pcr_count; ++pcr)
      evidence.pcrs[bank].try_emplace(pcr, codec::pcr_start_value(bank, pcr, 0));
  }
  return evidence;
}

Result<Verdict> trusted(Result<Verdict> verdict) {
  if (!verdict) return verdict;
  if (verdict->trusted()) return verdict;
  return fail(ErrorCode::internal, "the machine of the bench is not trusted: " + check::render_verdict(*verdict));
}

/// Verdicts a second: `work(i)` is repeated for some seconds.
Result<double> rate(const std::function<Result<void>(std::size_t)>& work) {
  using clock = std::chrono::steady_clock;
  for (std::size_t i = 0; i < variants; ++i) TRY(work(i));
  const auto start = clock::now();
  std::size_t count = 0;
  double passed = 0;
  while (passed < measured_seconds) {
    for (std::size_t i = 0; i < variants; ++i) TRY(work(count++));
    passed = std::chrono::duration<double>(clock::now() - start).count();
  }
  return static_cast<double>(count) / passed;
}

struct Fleet {
  Machine machine;
  std::vector<FileDigest> files;
  check::GoldenValues golden;
  check::NodeQuestion question;

  explicit Fleet(Machine of) : machine(std::move(of)), files(manifest()) {
    golden.baseline = &machine.baseline;
    golden.platform = &machine.platform;
    golden.manifest = &files;
    question.nonce = Buffer{1, 2, 3, 4};
    question.with_chain = false;
  }
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;
  ~Fleet() = default;

  /// One node's evidence, each piece with a log and a list that no other has; the key is the same.
  [[nodiscard]] std::vector<Evidence> boots(std::size_t entries) const {
    std::vector<Evidence> all;
    for (std::size_t i = 0; i < variants; ++i) {
      auto evidence = booted(machine, i);
      std::vector<codec::ImaEntry> list;
      for (std::size_t j = 0; j < entries; ++j) list.push_back(measured(files.at((i + j) % files.size())));
      test::measure_files(evidence, list);
      tpm().quote(evidence);
      all.push_back(std::move(evidence));
    }
    return all;
  }
  /// The same boot seen again and again, each time with some files more.
  [[nodiscard]] std::vector<Evidence> rounds() const {
    std::vector<Evidence> all;
    std::vector<codec::ImaEntry> list;
    for (std::size_t i = 0; i < variants; ++i) {
      while (list.size() < list_entries + i * new_entries) list.push_back(measured(files.at(list.size())));
      auto evidence = booted(machine, 0);
      test::measure_files(evidence, list);
      tpm().quote(evidence);
      all.push_back(std::move(evidence));
    }
    return all;
  }
};

std::string per_second(double value) { return fmt::format("{:.0f}/s", value); }

Result<double> cold_rate(const Fleet& fleet, std::size_t entries) {
  const auto boots = fleet.boots(entries);
  check::BootChecker checker(fleet.golden);
  return rate([&](std::size_t i) -> Result<void> {
    TRY(trusted(checker.check(fleet.question, boots[i % variants])));
    return {};
  });
}

Result<double> again_rate(const Fleet& fleet) {
  const auto rounds = fleet.rounds();
  check::BootChecker checker(fleet.golden);
  std::vector<NodeState> states;
  for (const auto& round : rounds) states.push_back(*TRY(trusted(checker.check(fleet.question, round))).state);
  double seconds = 0;
  std::size_t count = 0;
  while (seconds < measured_seconds) {
    TRY(trusted(checker.check(fleet.question, rounds[0])));
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 1; i < variants; ++i) {
      auto question = fleet.question;
      question.last = &states[i - 1];
      TRY(trusted(checker.check(question, rounds[i])));
    }
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    count += variants - 1;
  }
  return static_cast<double>(count) / seconds;
}

/// Decoding of quote and signature, the signature itself, and the digest over the PCR values.
Result<double> quote_rate(const Fleet& fleet) {
  const auto evidence = fleet.boots(1).front();
  const auto area = TRY(codec::decode_tpm_public(evidence.ak_public));
  const auto handle = TRY(codec::public_key(area));
  return rate([&](std::size_t) -> Result<void> {
    const auto signature = TRY(codec::decode_tpm_signature(evidence.quote_signature));
    const auto quote = TRY(codec::decode_tpm_quote(evidence.quote_attest));
    TRY(codec::verify_tpm_signature(area, handle, signature, evidence.quote_attest));
    if (TRY(codec::quoted_pcr_digest(HashAlg::sha256, quote.selections, evidence.pcrs)) == quote.pcr_digest) return {};
    return fail(ErrorCode::internal, "the bench's quote does not hold");
  });
}

/// "rsa 2048 bits 0.000320s 0.000020s   3124.5  50763.3": the last number.
Result<double> openssl_rate() {
  const auto done = TRY(builder::run_checked({.argv = {"openssl", "speed", "-seconds", "2", "rsa2048"}}));
  const auto text = as_text(done.output);
  const auto line = text.rfind("rsa 2048 bits");
  if (line == std::string_view::npos) return fail(ErrorCode::tool_failed, "openssl speed printed no line for rsa2048");
  const auto end = text.find_last_not_of(" \n");
  return std::stod(std::string(text.substr(text.rfind(' ', end) + 1)));
}

/// Logs a second with tpm2_eventlog and a YAML parser on its output, which is where most checkers start.
Result<double> peer_rate(const Bench& bench, const Fleet& fleet) {
  const auto folder = bench.file("verify");
  TRY(builder::run_checked({.argv = {"mkdir", "-p", folder}}));
  TRY(write_file(folder + "/log", codec::encode_event_log(fleet.machine.log)));
  constexpr std::string_view script =
      "import subprocess, time, yaml\n"
      "start, count = time.time(), 0\n"
      "while time.time() - start < 3:\n"
      "    text = subprocess.run(['tpm2_eventlog', 'log'], check=True, capture_output=True).stdout\n"
      "    yaml.load(text, Loader=yaml.CSafeLoader)\n"
      "    count += 1\n"
      "print(count / (time.time() - start))\n";
  const auto done =
      TRY(builder::run_checked({.argv = {bench.peers, "run", folder, "python3", "-c", std::string(script)}}));
  return std::stod(std::string(as_text(done.output)));
}

std::uint64_t resident_kib() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

}  // namespace

Result<void> bench_verify(const Bench& bench) {
  const Fleet large(TRY(server()));
  const Fleet own(TRY(own_image(bench)));
  const auto peer = TRY(peer_rate(bench, large));
  const auto cold = TRY(cold_rate(large, list_entries));
  row(fmt::format("verdicts, log of {} KB, {} files, RSA quote / tpm2_eventlog", server_log_bytes / 1000, list_entries),
      per_second(cold), per_second(peer), fmt::format("{:.2f} of 1000/s (>= 1)", cold / 1000));
  const auto again = TRY(again_rate(large));
  row(fmt::format("the same node again, {} new files, new quote", new_entries), per_second(again), "-",
      fmt::format("{:.2f} of 10000/s (>= 1)", again / 10000));
  const auto small = TRY(cold_rate(own, 1));
  row("our own image's log, cold, with RSA quote", per_second(small), "-",
      fmt::format("{:.2f} of 10000/s (>= 1)", small / 10000));
  const auto theirs = TRY(openssl_rate());
  const auto quotes = TRY(quote_rate(large));
  row("RSA-2048 quotes / openssl speed rsa2048", per_second(quotes), per_second(theirs),
      fmt::format("{:.2f} of its rate (>= 0.7)", quotes / theirs));
  return {};
}

Result<void> bench_verify_memory() {
  const Fleet fleet(TRY(server()));
  const auto rounds = fleet.rounds();
  check::BootChecker checker(fleet.golden);
  constexpr std::size_t all = 1'000'000;
  std::uint64_t early = 0;
  std::optional<NodeState> last;
  for (std::size_t i = 0; i < all; ++i) {
    auto question = fleet.question;
    if (i % variants != 0) question.last = &*last;
    last = TRY(trusted(checker.check(question, rounds[i % variants]))).state;
    if (i == all / 100) early = resident_kib();
  }
  const auto late = resident_kib();
  row("resident memory after 10,000 and 1,000,000 verdicts", fmt::format("{} KiB", late), fmt::format("{} KiB", early),
      fmt::format("{:.3f} of it (<= 1.01)", static_cast<double>(late) / static_cast<double>(early)));
  return {};
}

}  // namespace ingot::bench
