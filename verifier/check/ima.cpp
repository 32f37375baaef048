#include "ima.hpp"

#include <fmt/format.h>

#include <map>

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
Start start_of(const BootQuestion& question, const Verdict& verdict, const std::vector<HashAlg>& banks,
               std::size_t entries) {
  Start start;
  for (const auto bank : banks) start.values[bank] = codec::pcr_start_value(bank, ima_pcr, 0);
  const auto* last = question.last;
  if (last == nullptr || !verdict.state || last->reset_count != verdict.state->reset_count ||
      last->restart_count != verdict.state->restart_count || last->ima_count > entries)
    return start;
  for (const auto bank : banks)
    if (!last->ima_values.contains(bank)) return start;
  return {last->ima_count, last->ima_values};
}

/// The shortest stretch of the list that leads to the quoted values. More may have been measured since the quote.
std::optional<std::size_t> quoted_end(const std::vector<codec::ImaEntry>& list, Start& start,
                                      const std::vector<HashAlg>& banks, const PcrValues& pcrs) {
  const auto reached = [&] {
    for (const auto bank : banks)
      if (start.values.at(bank) != pcrs.at(bank).at(ima_pcr)) return false;
    return true;
  };
  for (std::size_t i = start.count;; ++i) {
    if (reached()) return i;
    if (i == list.size()) return std::nullopt;
    if (list[i].pcr != ima_pcr) continue;
    for (const auto bank : banks) {
      auto& value = start.values[bank];
      value = codec::extend(bank, value, codec::ima_extend_value(bank, list[i]));
    }
  }
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
  FileJudge(const std::vector<FileDigest>* manifest, const PcrValues& pcrs, Verdict& verdict)
      : has_manifest_(manifest != nullptr), pcrs_(pcrs), verdict_(verdict) {
    if (manifest == nullptr) return;
    for (const auto& file : *manifest) files_.emplace(file.path, file.sha256);
  }

  void judge(const codec::ImaEntry& entry) {
    if (entry.path == "boot_aggregate") return judge_aggregate(entry);
    if (!entry.buffer.empty() || entry.template_name == "ima-buf") return void(++buffers_);
    ++entries_;
    if (!has_manifest_) return;
    if (entry.is_violation())
      return report(FindingKind::file_differs, entry, "content that stays", "it changed while it was read",
                    "somebody wrote to the file while it was in use: what was run is not known");
    const auto file = files_.find(entry.path);
    if (file == files_.end())
      return report(FindingKind::file_unknown, entry, "only files of the image", digest_text(entry),
                    "something was run or read that the image does not contain");
    // The manifest has SHA-256 digests; what IMA hashed otherwise cannot be compared, and is no match.
    if (entry.digest_alg != "sha256" || to_hex(entry.digest) != file->second)
      report(FindingKind::file_differs, entry, "sha256:" + file->second, digest_text(entry),
             "the file is not the image's: another file system was mounted over it, or the root was changed");
  }

  void finish() {
    if (has_manifest_) verdict_.files_judged = entries_;
    if (reported_ > finding_cap)
      verdict_.notes.push_back(fmt::format("IMA: {} further findings of this kind", reported_ - finding_cap));
    if (entries_ != 0)
      verdict_.notes.push_back(fmt::format("IMA: {} measured files {}", entries_,
                                           has_manifest_ ? "judged" : "not judged: no manifest was given"));
    if (buffers_ != 0) verdict_.notes.push_back(fmt::format("IMA: {} measured buffers are not files", buffers_));
  }

 private:
  static std::string digest_text(const codec::ImaEntry& entry) { return entry.digest_alg + ":" + to_hex(entry.digest); }

  void report(FindingKind kind, const codec::ImaEntry& entry, std::string expected, std::string observed,
              std::string cause) {
    if (++reported_ > finding_cap) return;
    verdict_.findings.push_back(
        {kind, "file " + entry.path, std::move(expected), std::move(observed), std::move(cause), Remedy::redeploy});
  }

  void judge_aggregate(const codec::ImaEntry& entry) {
    const auto expected = boot_aggregate(entry.digest_alg, pcrs_);
    if (expected && *expected == entry.digest) return;
    verdict_.findings.push_back({FindingKind::ima_replay_differs, "boot_aggregate", expected ? to_hex(*expected) : "",
                                 digest_text(entry), "the IMA list is of another boot", Remedy::investigate});
  }

  bool has_manifest_;
  std::map<std::string, std::string, std::less<>> files_;
  const PcrValues& pcrs_;
  Verdict& verdict_;
  std::size_t entries_ = 0;
  std::size_t buffers_ = 0;
  std::size_t reported_ = 0;
};

}  // namespace

Result<void> check_ima(const BootQuestion& question, const Evidence& evidence, const std::vector<HashAlg>& banks,
                       Verdict& verdict) {
  const auto list = TRY_IN("IMA list", codec::decode_any_ima(evidence.ima_log));
  for (const auto bank : banks) {
    const auto values = evidence.pcrs.find(bank);
    if (values == evidence.pcrs.end() || !values->second.contains(ima_pcr)) return {};  // a finding already
  }
  auto start = start_of(question, verdict, banks, list.size());
  const std::size_t first = start.count;
  const auto end = quoted_end(list, start, banks, evidence.pcrs);
  if (!end) {
    const auto bank = banks.front();
    verdict.findings.push_back({FindingKind::ima_replay_differs, fmt::format("pcr 10, {}", to_text(bank)),
                                to_hex(evidence.pcrs.at(bank).at(ima_pcr)), to_hex(start.values.at(bank)),
                                "entries of the IMA list were cut, added or changed", Remedy::investigate});
    return {};
  }
  // Remembered as judged is only what was: a later verdict starts behind it.
  if (verdict.state && question.manifest != nullptr) {
    verdict.state->ima_count = *end;
    verdict.state->ima_values = start.values;
  }
  FileJudge judge(question.manifest, evidence.pcrs, verdict);
  for (std::size_t i = first; i < *end; ++i)
    if (list[i].pcr == ima_pcr) judge.judge(list[i]);
  judge.finish();
  return {};
}

}  // namespace ingot::check
