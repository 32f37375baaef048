// nlohmann::json keeps members sorted and dump() writes no white space, so equal values are equal bytes.
#include "ingot/codec/baseline.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "statement.hpp"

namespace ingot::codec {
namespace {

constexpr const char* baseline_type = "https://ingot.dev/baseline/v1";
constexpr const char* platform_type = "https://ingot.dev/platform/v1";
constexpr std::size_t event_cap = 4096;
constexpr std::size_t phase_cap = 64;
constexpr std::size_t alternative_cap = 4096;
constexpr std::size_t partition_type_cap = 64;
constexpr std::size_t setting_cap = 65536;  // a firewall's rules are one each
constexpr std::size_t volume_cap = 128;     // as many as a partition table has entries
constexpr std::size_t module_cap = 4096;

// --- digests and PCR values

json::Value encode_digests(const Digests& digests) {
  auto out = json::Value::object();
  for (const auto& [alg, digest] : digests) out[to_text(alg)] = to_hex(digest);
  return out;
}

Result<Digests> decode_digests(const json::Value& object) {
  if (!object.is_object() || object.empty())
    return fail(ErrorCode::malformed, "digests are not an object with at least one member");
  Digests digests;
  for (const auto& [name, value] : object.items()) {
    const auto alg = parse_hash_alg(name);
    if (!alg) return fail(ErrorCode::malformed, fmt::format("\"{}\" is not a digest algorithm", name));
    const auto digest = TRY(json::hex(value, name));
    if (digest.size() != digest_size_bytes(*alg))
      return fail(ErrorCode::malformed, fmt::format("a {} digest of {} bytes", name, digest.size()));
    digests[*alg] = digest;
  }
  return digests;
}

json::Value encode_pcrs(const PcrValues& pcrs) {
  auto out = json::Value::array();
  for (const auto& [alg, bank] : pcrs)
    for (const auto& [index, value] : bank)
      out.push_back({{"bank", to_text(alg)}, {"pcr", index}, {"value", to_hex(value)}});
  return out;
}

Result<PcrIndex> decode_index(const json::Value& object) {
  const auto index = TRY(json::number(object, "pcr"));
  if (index >= pcr_count) return fail(ErrorCode::malformed, fmt::format("PCR {}; there are 24", index));
  return static_cast<PcrIndex>(index);
}

Result<PcrValues> decode_pcrs(const json::Value& predicate) {
  PcrValues pcrs;
  for (const auto& one : *TRY(json::array(predicate, "pcrs", pcr_count * 8))) {
    TRY(json::only(one, {"bank", "pcr", "value"}));
    const auto name = TRY(json::text(one, "bank"));
    const auto alg = parse_hash_alg(name);
    if (!alg) return fail(ErrorCode::malformed, fmt::format("\"{}\" is not a bank", name));
    auto value = TRY(json::hex(*TRY(json::member(one, "value")), "a PCR value"));
    if (value.size() != digest_size_bytes(*alg))
      return fail(ErrorCode::malformed, fmt::format("a {} PCR of {} bytes", name, value.size()));
    if (!pcrs[*alg].emplace(TRY(decode_index(one)), std::move(value)).second)
      return fail(ErrorCode::malformed, "one PCR twice");
  }
  return pcrs;
}

// --- events

void encode_meaning(const EventMeaning& meaning, json::Value& event) {
  if (const auto* gpt = std::get_if<GptMeaning>(&meaning)) {
    auto types = json::Value::array();
    for (const auto& type : gpt->allowed_types) types.push_back({{"type", to_text(type)}});
    event["gpt"] = {{"golden", to_base64(gpt->golden)}, {"allowed_types", types}};
  }
  if (const auto* entry = std::get_if<BootEntryMeaning>(&meaning))
    event["boot_entry"] = {{"device_path", to_base64(entry->device_path)}};
}

Result<EventMeaning> decode_meaning(const json::Value& event) {
  if (const auto* gpt = json::find(event, "gpt")) {
    TRY(json::only(*gpt, {"golden", "allowed_types"}));
    GptMeaning meaning;
    meaning.golden = TRY(json::optional_base64(*gpt, "golden"));
    for (const auto& one : *TRY(json::array(*gpt, "allowed_types", partition_type_cap))) {
      TRY(json::only(one, {"type"}));
      const auto type = parse_guid(TRY(json::text(one, "type")));
      if (!type) return fail(ErrorCode::malformed, "a partition type that is no GUID");
      meaning.allowed_types.push_back(*type);
    }
    return meaning;
  }
  if (const auto* entry = json::find(event, "boot_entry")) {
    TRY(json::only(*entry, {"device_path"}));
    return BootEntryMeaning{TRY(json::optional_base64(*entry, "device_path"))};
  }
  return EventMeaning{};
}

json::Value encode_events(const std::vector<ExpectedEvent>& events) {
  auto out = json::Value::array();
  for (const auto& event : events) {
    json::Value one{{"pcr", event.pcr},
                    {"type", to_text(event.type)},
                    {"digests", encode_digests(event.digests)},
                    {"cause", event.cause}};
    if (!event.text.empty()) one["text"] = event.text;
    if (!event.optional_block.empty()) one["optional_block"] = event.optional_block;
    for (const auto& digests : event.alternatives) one["alternatives"].push_back(encode_digests(digests));
    encode_meaning(event.meaning, one);
    out.push_back(std::move(one));
  }
  return out;
}

Result<ExpectedEvent> decode_event(const json::Value& one) {
  TRY(json::only(one,
                 {"pcr", "type", "digests", "cause", "text", "optional_block", "alternatives", "gpt", "boot_entry"}));
  ExpectedEvent event;
  event.pcr = TRY(decode_index(one));
  const auto type_name = TRY(json::text(one, "type"));
  const auto type = parse_event_type(type_name);
  if (!type) return fail(ErrorCode::malformed, fmt::format("\"{}\" is not an event type", type_name));
  event.type = *type;
  event.digests = TRY(decode_digests(*TRY(json::member(one, "digests"))));
  event.cause = TRY(json::text(one, "cause"));
  event.text = TRY(json::optional_text(one, "text"));
  event.optional_block = TRY(json::optional_text(one, "optional_block"));
  if (json::find(one, "alternatives") != nullptr)
    for (const auto& digests : *TRY(json::array(one, "alternatives", alternative_cap)))
      event.alternatives.push_back(TRY(decode_digests(digests)));
  event.meaning = TRY(decode_meaning(one));
  return event;
}

Result<std::vector<ExpectedEvent>> decode_events(const json::Value& predicate) {
  std::vector<ExpectedEvent> events;
  for (const auto& one : *TRY(json::array(predicate, "events", event_cap)))
    events.push_back(TRY_IN(fmt::format("event {}", events.size()), decode_event(one)));
  return events;
}

/// Seconds since 1970; 0 when there is no such member.
Result<std::int64_t> decode_time(const json::Value& object, const char* name) {
  constexpr std::uint64_t year_10000 = 253402300800;
  if (json::find(object, name) == nullptr) return 0;
  const auto seconds = TRY(json::number(object, name));
  if (seconds >= year_10000) return fail(ErrorCode::malformed, fmt::format("\"{}\" is no time", name));
  return static_cast<std::int64_t>(seconds);
}

/// 0 when there is no such member.
Result<std::uint32_t> decode_generation(const json::Value& object) {
  constexpr const char* name = "generation";
  if (json::find(object, name) == nullptr) return 0;
  const auto generation = TRY(json::number(object, name));
  if (generation == 0 || generation > UINT32_MAX)
    return fail(ErrorCode::malformed, fmt::format("\"{}\" is no generation", name));
  return static_cast<std::uint32_t>(generation);
}

// --- phases

json::Value encode_phases(const std::vector<Baseline::PhaseValue>& phases) {
  auto out = json::Value::array();
  for (const auto& phase : phases) out.push_back({{"phase", phase.phase_path}, {"pcr11", encode_digests(phase.value)}});
  return out;
}

Result<std::vector<Baseline::PhaseValue>> decode_phases(const json::Value& predicate) {
  std::vector<Baseline::PhaseValue> phases;
  for (const auto& one : *TRY(json::array(predicate, "phases", phase_cap))) {
    TRY(json::only(one, {"phase", "pcr11"}));
    Baseline::PhaseValue phase;
    phase.phase_path = TRY(json::text(one, "phase"));
    phase.value = TRY(decode_digests(*TRY(json::member(one, "pcr11"))));
    phases.push_back(std::move(phase));
  }
  return phases;
}

// --- settings

json::Value encode_settings(const std::vector<Setting>& settings) {
  auto out = json::Value::array();
  for (const auto& setting : settings) {
    json::Value one{{"area", to_text(setting.area)}, {"name", setting.name}, {"value", setting.value}};
    if (!setting.file.empty()) one["file"] = setting.file;
    if (!setting.source.empty()) one["source"] = setting.source;
    if (!setting.relaxed.empty()) one["relaxed"] = setting.relaxed;
    out.push_back(std::move(one));
  }
  return out;
}

Result<Setting> decode_setting(const json::Value& one) {
  TRY(json::only(one, {"area", "name", "value", "file", "source", "relaxed"}));
  Setting setting;
  const auto name = TRY(json::text(one, "area"));
  const auto area = parse_setting_area(name);
  if (!area) return fail(ErrorCode::malformed, fmt::format("\"{}\" is no area of settings", name));
  setting.area = *area;
  setting.name = TRY(json::text(one, "name"));
  setting.value = TRY(json::text(one, "value"));
  setting.file = TRY(json::optional_text(one, "file"));
  setting.source = TRY(json::optional_text(one, "source"));
  setting.relaxed = TRY(json::optional_text(one, "relaxed"));
  return setting;
}

/// Baselines from before there were settings have no such member.
Result<std::vector<Setting>> decode_settings(const json::Value& predicate) {
  std::vector<Setting> settings;
  if (json::find(predicate, "settings") == nullptr) return settings;
  for (const auto& one : *TRY(json::array(predicate, "settings", setting_cap)))
    settings.push_back(TRY_IN(fmt::format("setting {}", settings.size()), decode_setting(one)));
  return settings;
}

// --- volumes

json::Value encode_volumes(const std::vector<NodeVolume>& volumes) {
  auto out = json::Value::array();
  for (const auto& volume : volumes) out.push_back({{"name", volume.name}, {"maker", to_text(volume.maker)}});
  return out;
}

/// Images without volumes have no such member.
Result<std::vector<NodeVolume>> decode_volumes(const json::Value& predicate) {
  std::vector<NodeVolume> volumes;
  if (json::find(predicate, "volumes") == nullptr) return volumes;
  for (const auto& one : *TRY(json::array(predicate, "volumes", volume_cap))) {
    TRY(json::only(one, {"name", "maker"}));
    const auto word = TRY(json::text(one, "maker"));
    const auto maker = parse_volume_maker(word);
    if (!maker) return fail(ErrorCode::malformed, fmt::format("\"{}\" makes no volumes", word));
    volumes.push_back({TRY(json::text(one, "name")), *maker});
  }
  return volumes;
}

/// None without the member.
Result<std::vector<Digest>> decode_next_values(const json::Value& predicate) {
  constexpr const char* name = "next_pcr7";
  constexpr std::size_t next_value_cap = 32;
  std::vector<Digest> values;
  if (json::find(predicate, name) == nullptr) return values;
  for (const auto& one : *TRY(json::array(predicate, name, next_value_cap))) {
    const auto value = TRY(json::hex(one, "a value of PCR 7"));
    if (value.size() != digest_size_bytes(HashAlg::sha256))
      return fail(ErrorCode::malformed, fmt::format("a value of PCR 7 of {} bytes", value.size()));
    values.emplace_back(value);
  }
  return values;
}

// --- modules

json::Value encode_modules(const std::vector<NodeModule>& modules) {
  auto out = json::Value::array();
  for (const auto& one : modules) out.push_back({{"name", one.name}, {"sha256", one.sha256}, {"signer", one.signer}});
  return out;
}

/// Images without modules of their own have no such member.
Result<std::vector<NodeModule>> decode_modules(const json::Value& predicate) {
  std::vector<NodeModule> modules;
  if (json::find(predicate, "modules") == nullptr) return modules;
  for (const auto& one : *TRY(json::array(predicate, "modules", module_cap))) {
    TRY(json::only(one, {"name", "sha256", "signer"}));
    NodeModule module;
    module.name = TRY(json::text(one, "name"));
    module.sha256 = TRY(json::text(one, "sha256"));
    const auto digest = parse_hex(module.sha256);
    if (!digest || to_hex(*digest) != module.sha256 || digest->size() != digest_size_bytes(HashAlg::sha256))
      return fail(ErrorCode::malformed, fmt::format("the digest of the module {} is no SHA-256", module.name));
    module.signer = TRY(json::text(one, "signer"));
    modules.push_back(std::move(module));
  }
  return modules;
}

}  // namespace

std::string encode_baseline_statement(const Baseline& baseline) {
  json::Value predicate{{"profile", baseline.profile},
                        {"role", baseline.role},
                        {"version", baseline.version},
                        {"root_hash", baseline.root_hash},
                        {"uki_sha256", baseline.uki_sha256},
                        {"uki_authenticode_sha256", baseline.uki_authenticode_sha256},
                        {"manifest_sha256", baseline.manifest_sha256},
                        {"stub", baseline.stub},
                        {"events", encode_events(baseline.events)},
                        {"pcrs", encode_pcrs(baseline.pcrs)},
                        {"phases", encode_phases(baseline.phases)}};
  if (!baseline.settings.empty()) predicate["settings"] = encode_settings(baseline.settings);
  if (!baseline.provenance_key.empty()) predicate["provenance_key"] = baseline.provenance_key;
  if (!baseline.volumes.empty()) predicate["volumes"] = encode_volumes(baseline.volumes);
  if (!baseline.modules.empty()) predicate["modules"] = encode_modules(baseline.modules);
  for (const auto& value : baseline.next_pcr_7) predicate["next_pcr7"].push_back(to_hex(value));
  if (baseline.generation != 0) predicate["generation"] = baseline.generation;
  if (baseline.not_after != 0) predicate["not_after"] = baseline.not_after;
  return encode_statement(baseline.profile, {{"sha256", baseline.uki_sha256}}, baseline_type, std::move(predicate));
}

Result<Baseline> decode_baseline_statement(Bytes text) {
  const auto predicate = TRY_IN("baseline", decode_statement(text, baseline_type));
  TRY_IN("baseline",
         json::only(predicate, {"profile", "role", "version", "not_after", "root_hash", "uki_sha256",
                                "uki_authenticode_sha256", "manifest_sha256", "stub", "events", "pcrs", "phases",
                                "settings", "generation", "volumes", "provenance_key", "modules", "next_pcr7"}));
  Baseline baseline;
  baseline.profile = TRY_IN("baseline", json::text(predicate, "profile"));
  baseline.role = TRY_IN("baseline", json::text(predicate, "role"));
  baseline.version = TRY_IN("baseline", json::number(predicate, "version"));
  baseline.not_after = TRY_IN("baseline", decode_time(predicate, "not_after"));
  baseline.generation = TRY_IN("baseline", decode_generation(predicate));
  baseline.root_hash = TRY_IN("baseline", json::text(predicate, "root_hash"));
  baseline.uki_sha256 = TRY_IN("baseline", json::text(predicate, "uki_sha256"));
  baseline.uki_authenticode_sha256 = TRY_IN("baseline", json::text(predicate, "uki_authenticode_sha256"));
  baseline.manifest_sha256 = TRY_IN("baseline", json::text(predicate, "manifest_sha256"));
  baseline.provenance_key = TRY_IN("baseline", json::optional_text(predicate, "provenance_key"));
  baseline.stub = TRY_IN("baseline", json::text(predicate, "stub"));
  baseline.events = TRY_IN("baseline", decode_events(predicate));
  baseline.pcrs = TRY_IN("baseline", decode_pcrs(predicate));
  baseline.phases = TRY_IN("baseline", decode_phases(predicate));
  baseline.settings = TRY_IN("baseline", decode_settings(predicate));
  baseline.volumes = TRY_IN("baseline", decode_volumes(predicate));
  baseline.modules = TRY_IN("baseline", decode_modules(predicate));
  baseline.next_pcr_7 = TRY_IN("baseline", decode_next_values(predicate));
  return baseline;
}

std::string encode_platform_statement(const Platform& platform) {
  json::Value predicate{{"name", platform.name},
                        {"firmware_sha256", platform.firmware_sha256},
                        {"shape", platform.shape},
                        {"startup_locality", platform.startup_locality},
                        {"events", encode_events(platform.events)},
                        {"pcrs", encode_pcrs(platform.pcrs)}};
  return encode_statement(platform.name, {{"sha256", platform.firmware_sha256}}, platform_type, std::move(predicate));
}

Result<Platform> decode_platform_statement(Bytes text) {
  const auto predicate = TRY_IN("platform", decode_statement(text, platform_type));
  TRY_IN("platform", json::only(predicate, {"name", "firmware_sha256", "shape", "startup_locality", "events", "pcrs"}));
  Platform platform;
  platform.name = TRY_IN("platform", json::text(predicate, "name"));
  platform.firmware_sha256 = TRY_IN("platform", json::text(predicate, "firmware_sha256"));
  platform.shape = TRY_IN("platform", json::text(predicate, "shape"));
  const auto locality = TRY_IN("platform", json::number(predicate, "startup_locality"));
  if (locality != 0 && locality != 3 && locality != 4)
    return fail(ErrorCode::malformed, "platform: a startup locality other than 0, 3 and 4");
  platform.startup_locality = static_cast<std::uint8_t>(locality);
  platform.events = TRY_IN("platform", decode_events(predicate));
  platform.pcrs = TRY_IN("platform", decode_pcrs(predicate));
  return platform;
}

}  // namespace ingot::codec
