#include "ima.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/codec/event_log.hpp"
#include "ingot/codec/ima.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::check {
namespace {

constexpr PcrIndex ima_pcr = 10;
constexpr std::size_t finding_cap = 100;  // more say no more

/// Where judging starts: at the first entry, or where the last verdict stopped in the same boot.
struct Start {
  std::size_t count = 0;
  Digests values;
};
Start first_entry(const std::vector<HashAlg>& banks) {
  Start start;
  for (const auto bank : banks) start.values[bank] = codec::pcr_start_value(bank, ima_pcr, 0);
  return start;
}
Start start_of(const NodeQuestion& question, const Verdict& verdict, const std::vector<HashAlg>& banks) {
  const auto* last = question.last;
  const bool same_boot = last != nullptr && verdict.state && last->reset_count == verdict.state->reset_count &&
                         last->restart_count == verdict.state->restart_count;
  if (!same_boot ||
      !std::all_of(banks.begin(), banks.end(), [&](const auto bank) { return last->ima_values.contains(bank); }))
    return first_entry(banks);
  return {last->ima_count, last->ima_values};
}

/// Linux, ima_crypto.c, "ima_calc_boot_aggregate_tfm": the hash over PCR 0 to 9, to 7 for SHA-1.
std::optional<Buffer> boot_aggregate(const std::string& alg_name, const PcrValues& pcrs) {
  const auto alg = parse_hash_alg(alg_name);
  if (!alg) return std::nullopt;
  const auto bank = pcrs.find(*alg);
  if (bank == pcrs.end()) return std::nullopt;
  crypto::Hasher hasher(*alg);
  for (PcrIndex pcr = 0; pcr < (*alg == HashAlg::sha1 ? 8u : 10u); ++pcr) {
    const auto value = bank->second.find(pcr);
    if (value == bank->second.end()) return std::nullopt;
    hasher.update(value->second);
  }
  return hasher.finish();
}

class FileJudge {
 public:
  /// Without a manifest only the aggregate is judged.
  FileJudge(const Policy& policy, const PcrValues& pcrs) : policy_(&policy), pcrs_(&pcrs) {}

  void judge(const codec::ImaEntry& entry) {
    if (entry.path == "boot_aggregate") return judge_aggregate(entry);
    if (!entry.buffer.empty() || entry.template_name == "ima-buf") return void(++buffers_);
    ++entries_;
    if (!policy_->has_manifest()) return;
    if (entry.is_violation())
      return report(FindingKind::file_differs, entry, "content that stays", "it changed while it was read",
                    "somebody wrote to the file while it was in use: what was run is not known");
    const auto* file = policy_->file(entry.path);
    if (file == nullptr)
      return report(FindingKind::file_unknown, entry, "only files of the image", digest_text(entry),
                    "something was run or read that the image does not contain");
    // The manifest has SHA-256 digests; what IMA hashed otherwise cannot be compared, and is no match.
    if (entry.digest_alg != "sha256" || !(*file == entry.digest) || file->empty())
      report(FindingKind::file_differs, entry, "sha256:" + to_hex(*file), digest_text(entry),
             "the file is not the image's: another file system was mounted over it, or the root was changed");
  }

  void finish(Verdict& verdict) {
    std::move(findings_.begin(), findings_.end(), std::back_inserter(verdict.findings));
    if (policy_->has_manifest()) verdict.files_judged = entries_;
    if (reported_ > finding_cap)
      verdict.notes.push_back(fmt::format("IMA: {} further findings of this kind", reported_ - finding_cap));
    if (entries_ != 0)
      verdict.notes.push_back(fmt::format("IMA: {} measured files {}", entries_,
                                          policy_->has_manifest() ? "judged" : "not judged: no manifest was given"));
    if (buffers_ != 0) verdict.notes.push_back(fmt::format("IMA: {} measured buffers are not files", buffers_));
  }

 private:
  static std::string digest_text(const codec::ImaEntry& entry) { return entry.digest_alg + ":" + to_hex(entry.digest); }

  void report(FindingKind kind, const codec::ImaEntry& entry, std::string expected, std::string observed,
              std::string cause) {
    if (++reported_ > finding_cap) return;
    findings_.push_back(
        {kind, "file " + entry.path, std::move(expected), std::move(observed), std::move(cause), Remedy::redeploy});
  }

  void judge_aggregate(const codec::ImaEntry& entry) {
    const auto expected = boot_aggregate(entry.digest_alg, *pcrs_);
    if (expected && *expected == entry.digest) return;
    findings_.push_back({FindingKind::ima_replay_differs, "boot_aggregate", expected ? to_hex(*expected) : "",
                         digest_text(entry), "the IMA list is of another boot", Remedy::investigate});
  }

  const Policy* policy_;
  const PcrValues* pcrs_;
  std::vector<Finding> findings_;
  std::size_t entries_ = 0;
  std::size_t buffers_ = 0;
  std::size_t reported_ = 0;
};

/// Goes through the list up to the first place that leads to the quoted values; more may have been measured since the
/// quote.
class Walk {
 public:
  Walk(const Policy& policy, const PcrValues& pcrs, const std::vector<HashAlg>& banks, const Start& start)
      : start_(start.count), judge_(policy, pcrs) {
    for (const auto bank : banks) banks_.push_back({bank, start.values.at(bank), &pcrs.at(bank).at(ima_pcr)});
    reached_ = has_quoted_values();
  }

  /// `from`: a place that is not behind the start.
  Result<void> over(Bytes list, const codec::ImaPlace& from) {
    if (from.entry == start_) place_ = from;
    count_ = from.entry;
    return codec::for_each_any_ima(list, from, [&](const auto& entry, const auto& behind) { visit(entry, behind); });
  }

  /// False when the start lies behind the end of the list.
  [[nodiscard]] bool met_start() const { return count_ >= start_; }
  /// The quoted values were led to.
  [[nodiscard]] bool reached() const { return reached_; }
  /// Where that was.
  [[nodiscard]] const codec::ImaPlace& place() const { return place_; }
  [[nodiscard]] Digests values() const {
    Digests values;
    for (const auto& bank : banks_) values.emplace(bank.alg, bank.value);
    return values;
  }
  void finish(Verdict& verdict) { judge_.finish(verdict); }

 private:
  struct Bank {
    HashAlg alg{};
    Digest value;
    const Buffer* wanted = nullptr;
  };

  void visit(const codec::ImaEntry& entry, const codec::ImaPlace& behind) {
    ++count_;
    if (count_ == start_) place_ = behind;
    if (count_ <= start_ || reached_) return;
    place_ = behind;
    if (entry.pcr != ima_pcr) return;
    for (auto& bank : banks_)
      bank.value = codec::extend(bank.alg, bank.value, codec::ima_extend_value(bank.alg, entry));
    judge_.judge(entry);
    reached_ = has_quoted_values();
  }

  [[nodiscard]] bool has_quoted_values() const {
    return std::all_of(banks_.begin(), banks_.end(), [](const Bank& bank) { return bank.value == *bank.wanted; });
  }

  std::size_t start_;
  std::size_t count_ = 0;
  FileJudge judge_;
  std::vector<Bank> banks_;
  codec::ImaPlace place_;
  bool reached_ = false;
};

}  // namespace

Result<void> check_ima(const Policy& policy, const NodeQuestion& question, const Evidence& evidence,
                       const std::vector<HashAlg>& banks, ImaMemory& memory, Verdict& verdict) {
  for (const auto bank : banks) {
    const auto values = evidence.pcrs.find(bank);
    if (values != evidence.pcrs.end() && values->second.contains(ima_pcr)) continue;
    TRY_IN("IMA list", codec::decode_any_ima(evidence.ima_log));
    return {};  // a finding already
  }
  const auto start = start_of(question, verdict, banks);
  const bool known = memory.place.entry == start.count && memory.values == start.values;
  Walk walk(policy, evidence.pcrs, banks, start);
  TRY_IN("IMA list", walk.over(evidence.ima_log, known ? memory.place : codec::ImaPlace{}));
  if (!walk.met_start()) {
    walk = Walk(policy, evidence.pcrs, banks, first_entry(banks));
    TRY_IN("IMA list", walk.over(evidence.ima_log, {}));
  }
  if (!walk.reached()) {
    const auto bank = banks.front();
    verdict.findings.push_back({FindingKind::ima_replay_differs, fmt::format("pcr 10, {}", to_text(bank)),
                                to_hex(evidence.pcrs.at(bank).at(ima_pcr)), to_hex(walk.values().at(bank)),
                                "entries of the IMA list were cut, added or changed", Remedy::investigate});
    return {};
  }
  memory = {walk.place(), walk.values()};
  // Remembered as judged is only what was: a later verdict starts behind it.
  if (verdict.state && policy.has_manifest()) {
    verdict.state->ima_count = walk.place().entry;
    verdict.state->ima_values = walk.values();
  }
  walk.finish(verdict);
  return {};
}

}  // namespace ingot::check
