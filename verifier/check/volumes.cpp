#include "volumes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "ingot/codec/report.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/revocation.hpp"
#include "ingot/measure/tpm_policy.hpp"
#include "ingot/measure/volume_policy.hpp"
#include "settings.hpp"

namespace ingot::check {
namespace {

/// systemd-cryptsetup(8), "tpm2-measure-pcr=": "cryptsetup:NAME:UUID", keyed with the volume key.
constexpr std::string_view volume_key_event = "cryptsetup:";
constexpr PcrIndex node_pcr = 15;
/// Name in NodeState::volumes of what PCR 15 says; no label has a space.
constexpr const char* measured_name = "pcr 15";

std::string pcr_text(const std::vector<PcrIndex>& pcrs) {
  return pcrs.empty() ? "none" : fmt::format("{}", fmt::join(pcrs, "+"));
}

/// What a row of the area asks for, in the words of verifier/codec/report.md. `is_for_next`: the TPM may open several
/// slots, one for each PCR 7; which ones is for check_policy() to say.
std::vector<std::string> facts_of(const codec::ReportedVolume& volume, bool is_for_next) {
  const auto& header = volume.header;
  std::vector<std::string> facts;
  for (const auto& segment : header.segments)
    facts.push_back(
        fmt::format("{} {}{}", segment.type, segment.cipher, segment.integrity.empty() ? "" : "+" + segment.integrity));
  if (header.segments.size() != 1) facts.push_back(fmt::format("{} segments", header.segments.size()));
  std::vector<std::string> openers;
  bool opens_for_next = false;
  for (const auto& slot : header.key_slots) {
    auto opener = header.opened_by(slot);
    facts.push_back(fmt::format("key {} bits", slot.key_bits));
    if (is_for_next && opener == codec::luks_tpm_type) {
      if (std::exchange(opens_for_next, true)) continue;
      opener = codec::luks_next_slots;
    }
    openers.push_back(std::move(opener));
  }
  std::sort(openers.begin(), openers.end());
  facts.push_back(fmt::format("slots {}", openers.empty() ? "none" : fmt::format("{}", fmt::join(openers, " "))));
  for (const auto& token : header.tokens) {
    if (token.type != codec::luks_tpm_type || token.key_slots.empty()) continue;
    facts.push_back(fmt::format("pcrs {} {}", token.tpm.bank, pcr_text(token.tpm.pcrs)));
    facts.push_back(fmt::format("signed pcrs {}", pcr_text(token.tpm.signed_pcrs)));
    facts.emplace_back(token.tpm.has_index ? "release index" : "no release index");
  }
  if (const auto* token = header.token(codec::luks_shares_type))
    facts.push_back(fmt::format("shares {}", fmt::join(token->shares, "+")));
  if (const auto* token = header.token(codec::luks_recovery_type))
    facts.push_back(fmt::format("recovery {}", token->recovery.recipient_sha256));
  if (!header.release.empty()) facts.emplace_back(codec::luks_erased_fact);
  facts.push_back(volume.mapped.empty() ? "closed" : fmt::format("mapped {}", volume.mapped));
  std::sort(facts.begin(), facts.end());
  facts.erase(std::unique(facts.begin(), facts.end()), facts.end());
  return facts;
}

Result<std::vector<codec::ReportedVolume>> reported_volumes(const NodeReport& report) {
  const auto part = report.parts.find("volumes");
  if (part == report.parts.end()) return fail(ErrorCode::missing, "no part volumes");
  return codec::decode_volumes(part->second);
}

void add(Verdict& verdict, std::string subject, std::string expected, std::string observed, std::string cause) {
  verdict.findings.push_back({FindingKind::volume_differs, std::move(subject), std::move(expected), std::move(observed),
                              std::move(cause), Remedy::investigate, std::nullopt, SettingArea::volume});
}

/// The key that signs policies, as the node or the first volume that the TPM opens says; measure::volume_policy()
/// compares it with the image's.
Result<crypto::PublicKey> policy_key(const codec::ReportedRevocation& told,
                                     const std::vector<codec::ReportedVolume>& volumes) {
  if (!told.policy_key_pem.empty()) return crypto::PublicKey::from_pem(told.policy_key_pem);
  for (const auto& volume : volumes)
    if (const auto* token = volume.header.token(codec::luks_tpm_type))
      return crypto::PublicKey::from_pem(token->tpm.policy_key_pem);
  return fail(ErrorCode::missing, "nothing says which key signs policies");
}

codec::ReportedRevocation reported_revocation(const NodeReport& report) {
  const auto part = report.parts.find("revocation");
  if (part == report.parts.end()) return {};
  auto told = codec::decode_revocation(part->second);
  return told ? *std::move(told) : codec::ReportedRevocation{};
}

/// The node's release index, where it is one, and stands for the release's generation.
std::optional<codec::TpmNvPublic> check_index(const GoldenValues& golden, const codec::ReportedRevocation& told,
                                              const Result<crypto::PublicKey>& signs, Verdict& verdict) {
  const auto generation = golden.baseline->generation;
  const auto name_of = [](const crypto::PublicKey& key) -> Result<Buffer> {
    return codec::object_name(codec::encode_tpm_public(TRY(measure::policy_key_public(key))));
  };
  const auto key = signs ? name_of(*signs) : fail(Error(signs.error()));
  const auto index = codec::decode_tpm_nv_public(told.index);
  if (!index || !told.counter || !key || *index != measure::release_index(index->auth_policy)) {
    add(verdict, "release index", fmt::format("generation {}", generation), "none",
        "the node's TPM does not keep volumes from revoked releases");
    return std::nullopt;
  }
  const auto newest = measure::newest_generation(index->auth_policy, *key, *told.counter, generation);
  if (newest != generation)
    add(verdict, "release index", fmt::format("generation {}", generation),
        newest ? fmt::format("generation {}", *newest) : "a counter that does not go with it",
        "the TPM's counter and index do not stand for the newest release that this node booted");
  return *index;
}

/// Digests of both parts of a key, as a token has them; one without a release index.
Result<std::vector<std::string>> policy_digests(const measure::VolumePolicy& policy,
                                                const std::optional<codec::TpmNvPublic>& index) {
  std::vector<std::string> out = {to_hex(policy.digest)};
  if (index) out.push_back(to_hex(TRY(measure::index_policy(policy.by_value, *index))));
  return out;
}

/// One for the machine class as it is, and one for each other PCR 7 that it may have next.
Result<std::vector<std::vector<std::string>>> expected_policies(const GoldenValues& golden,
                                                                const crypto::PublicKey& key,
                                                                const std::optional<codec::TpmNvPublic>& index) {
  const auto now = TRY(measure::volume_policy(*golden.baseline, *golden.platform, key));
  std::vector<std::vector<std::string>> out = {TRY(policy_digests(now, index))};
  for (const auto& value : golden.baseline->next_pcr_7)
    out.push_back(TRY(policy_digests(TRY(measure::volume_policy(value, key)), index)));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::string policies_text(const std::vector<std::vector<std::string>>& policies) {
  std::vector<std::string> out;
  for (const auto& one : policies) out.push_back(fmt::format("{}", fmt::join(one, ", ")));
  return fmt::format("{}", fmt::join(out, "; "));
}

/// Under which policies the TPM gives the key out, compared with what the golden values predict.
void check_policy(const GoldenValues& golden, const codec::ReportedVolume& volume,
                  const std::optional<codec::TpmNvPublic>& index, Verdict& verdict) {
  const auto* token = volume.header.token(codec::luks_tpm_type);
  if (token == nullptr || golden.platform == nullptr) return;  // a finding of the slots, and of the platform
  const auto subject = fmt::format("volume: {}, policy", volume.label);
  const auto observed = volume.header.sealed();
  const auto key = crypto::PublicKey::from_pem(token->tpm.policy_key_pem);
  const auto expected = key ? expected_policies(golden, *key, index) : fail(Error(key.error()));
  if (!expected)
    return add(verdict, subject, "the policy that image and machine class give", policies_text(observed),
               fmt::format("the key is sealed to something else: {}", expected.error().message));
  if (observed == *expected) return;
  const bool is_part = std::includes(expected->begin(), expected->end(), observed.begin(), observed.end());
  add(verdict, subject, policies_text(*expected), policies_text(observed),
      is_part ? "the node has not sealed the key to all values of PCR 7 that it is to open for"
              : "the TPM gives the key out under another policy than the profile's: somebody sealed it anew");
}

/// The same for the TPM's share of a key that others hold, too. Its policy is the release index's alone.
void check_share(const GoldenValues& golden, const codec::ReportedVolume& volume,
                 const Result<crypto::PublicKey>& signs, const std::optional<codec::TpmNvPublic>& index,
                 Verdict& verdict) {
  const auto* token = volume.header.token(codec::luks_shares_type);
  if (token == nullptr || !token->share_policy || golden.platform == nullptr || !index || !signs) return;
  const auto policy = measure::volume_policy(*golden.baseline, *golden.platform, *signs);
  const auto expected = policy ? measure::index_policy(policy->by_value, *index) : fail(Error(policy.error()));
  if (!expected || *token->share_policy != *expected)
    add(verdict, fmt::format("volume: {}, policy", volume.label),
        expected ? to_hex(*expected) : expected.error().message, to_hex(*token->share_policy),
        "the TPM gives its share of the key out under another policy than the profile's: somebody sealed it anew");
}

/// Between what knows a volume's key, and the root hash of the image that made it anew.
constexpr std::string_view of_image = " of image ";

/// Values of NodeState::volumes: the image that the node runs now came after the one of `last`, and erases the volume.
bool was_erased(std::string_view last, std::string_view now) {
  const auto image = now.find(of_image);
  return image != std::string_view::npos && !last.ends_with(now.substr(image));
}

/// What `now` is remembered by. Of a volume that each image makes anew, together with the image.
void remember_volumes(const Baseline& baseline, const std::vector<codec::ReportedVolume>& volumes,
                      const std::optional<FirstOfNode>& first, NodeState& now) {
  const auto image = fmt::format("{}{}", of_image, baseline.root_hash);
  for (const auto& volume : volumes) {
    const auto* suffix = volume.header.release.empty() ? "" : image.c_str();
    const auto key = crypto::sha256_hex(as_bytes(fmt::format("{}\n{}", volume.uuid, volume.header.key_digest)));
    now.volumes[volume.label] = key + suffix;
    if (first && first->text.starts_with(fmt::format("{}{}:", volume_key_event, volume.label)))
      now.volumes[measured_name] = first->digest + suffix;
  }
  if (first && !now.volumes.contains(measured_name)) now.volumes[measured_name] = first->digest;
}

/// A volume that somebody else made and sealed to this TPM opens like the node's own: all that is needed is public.
void check_identity(const NodeState& last, const NodeState& now, Verdict& verdict) {
  for (const auto& [name, key] : last.volumes) {
    const auto found = now.volumes.find(name);
    if (found != now.volumes.end() && (found->second == key || was_erased(key, found->second))) continue;
    const bool measured = name == measured_name;
    add(verdict, measured ? "pcr 15, volume key" : fmt::format("volume: {}, key", name), key,
        found == now.volumes.end() ? "none" : found->second,
        "it is not the volume that this node had: its disk was exchanged or made anew. After a redeployment that was "
        "to lose the data, remove the node's state; else somebody may have put in a volume whose key is known");
    if (!measured) continue;
    verdict.findings.back().setting = std::nullopt;
    verdict.findings.back().pcr = node_pcr;
  }
}

}  // namespace

void judge_volumes(AreaJudge& judge, const Rows& rows) {
  const auto decode = [&]() -> Result<std::vector<codec::ReportedVolume>> {
    return TRY_IN("volumes", codec::decode_volumes(TRY(judge.part("volumes"))));
  };
  const auto volumes = judge.take(decode());
  if (!volumes) return;
  Facts facts;
  for (const auto& volume : *volumes) {
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const Setting* one) { return one->name == volume.label; });
    const bool is_for_next = row != rows.end() && (*row)->value.find(codec::luks_next_slots) != std::string::npos;
    auto observed = facts_of(volume, is_for_next);
    if (row == rows.end() || facts.contains(volume.label)) {
      judge.unexpected(volume.device, fmt::format("{}", fmt::join(observed, ", ")),
                       fmt::format("an encrypted volume{} that the profile does not have",
                                   volume.label.empty() ? "" : fmt::format(" \"{}\"", volume.label)));
      continue;
    }
    facts[volume.label] = std::move(observed);
  }
  for (const auto* row : rows) {
    const auto found = facts.find(row->name);
    auto wanted = listed(row->value);
    std::sort(wanted.begin(), wanted.end());
    if (found == facts.end())
      judge.missing(*row, "no such encrypted volume");
    else if (found->second != wanted)
      judge.differs(*row, fmt::format("{}", fmt::join(found->second, ", ")));
  }
}

void check_volumes(const GoldenValues& golden, const NodeQuestion& question, const Evidence& evidence,
                   const std::optional<FirstOfNode>& first, Verdict& verdict) {
  const auto& settings = golden.baseline->settings;
  const bool has_volumes =
      std::any_of(settings.begin(), settings.end(), [](const Setting& one) { return one.area == SettingArea::volume; });
  if (!has_volumes) return;
  if (!first || !first->text.starts_with(volume_key_event)) {
    add(verdict, "pcr 15, volume key", "a volume's key, before anything else", first ? first->text : "nothing",
        "no encrypted volume was open when the initrd ended: the node's data are somewhere else");
    verdict.findings.back().setting = std::nullopt;
    verdict.findings.back().pcr = node_pcr;
  }
  if (!evidence.report) return;  // a finding already
  const auto volumes = reported_volumes(*evidence.report);
  if (!volumes) return;
  const bool is_sealed = std::any_of(volumes->begin(), volumes->end(), [](const auto& volume) {
    const auto* shares = volume.header.token(codec::luks_shares_type);
    return volume.header.token(codec::luks_tpm_type) != nullptr || (shares != nullptr && shares->share_policy);
  });
  const auto told = reported_revocation(*evidence.report);
  const auto signs = policy_key(told, *volumes);
  const auto index = is_sealed ? check_index(golden, told, signs, verdict) : std::nullopt;
  for (const auto& volume : *volumes) {
    check_policy(golden, volume, index, verdict);
    check_share(golden, volume, signs, index, verdict);
    const auto& made_by = volume.header.release;
    if (!made_by.empty() && made_by != golden.baseline->root_hash)
      add(verdict, fmt::format("volume: {}, image", volume.label), golden.baseline->root_hash, made_by,
          "another image made it, and this one was to destroy its keys on its first boot");
  }
  if (!verdict.state) return;
  remember_volumes(*golden.baseline, *volumes, first, *verdict.state);
  if (question.last != nullptr) check_identity(*question.last, *verdict.state, verdict);
}

}  // namespace ingot::check
