#include "ingot/codec/exports.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cbor.hpp"
#include "cel_json.hpp"
#include "ingot/codec/cel.hpp"
#include "ingot/codec/esl.hpp"

namespace ingot::codec {
namespace {

bool is_certain(const ExpectedEvent& event) { return event.optional_block.empty() && event.is_exact(); }

/// The PCRs whose every event is certain: for them alone one value can be given.
PcrValues whole_values(const Baseline& baseline, const Platform* platform) {
  PcrValues values;
  const auto add = [&](const PcrValues& from, const std::vector<ExpectedEvent>& events) {
    const auto is_whole = [&](PcrIndex pcr) {
      return std::none_of(events.begin(), events.end(),
                          [&](const ExpectedEvent& event) { return event.pcr == pcr && !event.is_exact(); });
    };
    for (const auto& [bank, pcrs] : from)
      for (const auto& [pcr, value] : pcrs)
        if (is_whole(pcr)) values[bank][pcr] = value;
  };
  if (platform != nullptr) add(platform->pcrs, platform->events);
  add(baseline.pcrs, baseline.events);
  return values;
}

std::string pcrlock_text(const std::vector<const ExpectedEvent*>& events) {
  auto records = json::Value::array();
  for (const auto* event : events)
    records.push_back({{"pcr", event->pcr}, {"digests", encode_cel_digests(event->digests)}});
  return json::write({{"records", records}});
}

std::string keylime_hex(Bytes bytes) { return "0x" + to_hex(bytes); }

json::Value keylime_digest(const Digests& digests) {
  auto out = json::Value::object();
  for (const auto& [alg, digest] : digests) out[to_text(alg)] = keylime_hex(digest);
  return out;
}

/// Every way in which a machine of the class measures its firmware.
Result<json::Value> keylime_firmware(const Platform& platform) {
  constexpr std::size_t way_cap = 64;
  auto ways = json::Value::array();
  ways.push_back({{"scrtm", json::Value::object()}, {"platform_firmware", json::Value::array()}});
  for (const auto& event : platform.events) {
    const bool version = event.type == EventType::EV_S_CRTM_VERSION;
    const bool blob = event.type == EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB ||
                      event.type == EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB2;
    if (event.pcr != 0 || (!version && !blob)) continue;
    auto choices = event.alternatives;
    choices.insert(choices.begin(), event.digests);
    const bool optional = !event.optional_block.empty();
    if (ways.size() * (choices.size() + (optional ? 1 : 0)) > way_cap)
      return fail(ErrorCode::limit, fmt::format("firmware that is measured in more than {} ways", way_cap));
    auto wider = optional ? ways : json::Value::array();
    for (const auto& way : ways)
      for (const auto& digests : choices) {
        auto one = way;
        if (version)
          one["scrtm"] = keylime_digest(digests);
        else
          one["platform_firmware"].push_back(keylime_digest(digests));
        wider.push_back(std::move(one));
      }
    ways = std::move(wider);
  }
  return ways;
}

Result<json::Value> keylime_keys(const std::vector<Variable>& variables, const Guid& vendor, std::string_view name) {
  auto keys = json::Value::array();
  for (const auto& variable : variables) {
    // A variable of that name and another vendor's is none that firmware looks at.
    if (variable.name != name || variable.guid != vendor) continue;
    for (const auto& list : TRY(decode_signature_lists(variable.data)))
      for (const auto& entry : list.signatures)
        keys.push_back({{"SignatureOwner", to_text(entry.owner)}, {"SignatureData", keylime_hex(entry.data)}});
  }
  return keys;
}

}  // namespace

std::map<std::string, std::string> export_pcrlock(const Baseline& baseline, const Platform* platform) {
  // systemd-pcrlock finds a component's records in the log in their order, with others in between. A component for each
  // PCR keeps it from stumbling over the order in which firmware turns from one PCR to another.
  std::map<std::string, std::string> files;
  const auto add = [&](int position, const std::string& name, const std::vector<ExpectedEvent>& events) {
    for (PcrIndex pcr = 0; pcr < pcr_count; ++pcr) {
      std::vector<const ExpectedEvent*> own;
      for (const auto& event : events)
        if (event.pcr == pcr && is_certain(event)) own.push_back(&event);
      if (!own.empty()) files[fmt::format("{}-{}-pcr{:02}.pcrlock", position, name, pcr)] = pcrlock_text(own);
    }
  };
  if (platform != nullptr) add(200, "ingot-platform", platform->events);
  add(600, fmt::format("ingot-{}-{}", baseline.profile, baseline.version), baseline.events);
  return files;
}

std::string export_keylime_runtime_policy(const std::vector<FileDigest>& manifest) {
  auto digests = json::Value::object();
  for (const auto& file : manifest) digests[file.path] = {file.sha256};
  // keylime/ima/ima.py, "RUNTIME_POLICY_SCHEMA"; generator 0 is "unknown".
  return json::write(
      {{"meta", {{"version", 1}, {"generator", 0}}},
       {"release", 0},
       {"digests", digests},
       {"excludes", json::Value::array({"boot_aggregate"})},
       {"keyrings", json::Value::object()},
       {"ima", {{"ignored_keyrings", json::Value::array()}, {"log_hash_alg", "sha256"}, {"dm_policy", nullptr}}},
       {"ima-buf", json::Value::object()},
       {"verification-keys", ""}});
}

std::string export_keylime_tpm_policy(const Baseline& baseline, const Platform* platform) {
  // keylime/tpm/tpm_abstract.py: PCR index to the list of allowed values, of whichever bank has that length.
  auto policy = json::Value::object();
  for (const auto& [bank, pcrs] : whole_values(baseline, platform))
    for (const auto& [pcr, value] : pcrs) policy[std::to_string(pcr)].push_back(to_hex(value));
  return json::write(policy);
}

Result<std::string> export_keylime_measured_boot(const Baseline& baseline, const Platform& platform,
                                                 const std::vector<Variable>& variables) {
  // keylime/mba/elchecking/example.py: members and their forms.
  json::Value state;
  state["has_secureboot"] = true;
  state["scrtm_and_bios"] = TRY(keylime_firmware(platform));
  state["mokdig"] = json::Value::array();
  state["mokxdig"] = json::Value::array();
  state["kernels"].push_back({{"uki_authcode_sha256", "0x" + baseline.uki_authenticode_sha256}});
  struct Member {
    std::string_view variable;
    Guid vendor;
    const char* name;
  };
  constexpr Member members[] = {{"PK", efi_global_variable_guid, "pk"},
                                {"KEK", efi_global_variable_guid, "kek"},
                                {"db", efi_image_security_database_guid, "db"},
                                {"dbx", efi_image_security_database_guid, "dbx"}};
  for (const auto& [variable, vendor, name] : members)
    state[name] = TRY_IN(std::string(variable), keylime_keys(variables, vendor, variable));
  return json::write(state);
}

Buffer export_corim(const Baseline& baseline, const Platform* platform) {
  // draft-ietf-rats-corim: tags and map keys of "CoRIM Map", "CoMID", "Reference Values Triple".
  constexpr std::uint64_t corim_tag = 500, unsigned_corim_tag = 501, comid_tag = 506;
  constexpr std::uint64_t named_sha256 = 1, named_sha384 = 7;  // IANA Named Information Hash Algorithm Registry
  const auto values = whole_values(baseline, platform);
  std::map<PcrIndex, std::vector<std::pair<std::uint64_t, Buffer>>> by_pcr;
  for (const auto& [bank, pcrs] : values)
    for (const auto& [pcr, value] : pcrs)
      by_pcr[pcr].emplace_back(bank == HashAlg::sha256 ? named_sha256 : named_sha384, value);
  const auto id = fmt::format("ingot/{}/{}", baseline.profile, baseline.version);

  CborWriter comid;
  comid.map(2);
  comid.unsigned_integer(1).map(1).unsigned_integer(0).text(id);  // tag-identity: tag-id
  comid.unsigned_integer(4).map(1).unsigned_integer(0);           // triples: reference-triples
  comid.array(1).array(2);
  // environment: class of vendor and model
  comid.map(1).unsigned_integer(0).map(2).unsigned_integer(1).text("Ingot").unsigned_integer(2).text(baseline.profile);
  comid.array(by_pcr.size());
  for (const auto& [pcr, digests] : by_pcr) {
    comid.map(2).unsigned_integer(0).unsigned_integer(pcr).unsigned_integer(1);  // mkey, mval
    comid.map(1).unsigned_integer(2).array(digests.size());                      // digests
    for (const auto& [algorithm, digest] : digests) comid.array(2).unsigned_integer(algorithm).bytes(digest);
  }

  CborWriter corim;
  corim.tag(corim_tag).tag(unsigned_corim_tag).map(2);
  corim.unsigned_integer(0).text(id);
  corim.unsigned_integer(1).array(1).tag(comid_tag).bytes(comid.take());
  return corim.take();
}

std::string export_cel_json(const Baseline& baseline, const Platform* platform) {
  EventLog log;
  const auto add = [&](const std::vector<ExpectedEvent>& events) {
    for (const auto& event : events)
      if (event.optional_block.empty()) log.events.push_back({event.pcr, event.type, event.digests, {}});
  };
  if (platform != nullptr) add(platform->events);
  add(baseline.events);
  return encode_cel_json(cel_records(log, {}, {}));
}

}  // namespace ingot::codec
