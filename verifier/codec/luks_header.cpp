#include "ingot/codec/luks_header.hpp"

#include <algorithm>
#include <charconv>

#include "ingot/base/reader.hpp"
#include "ingot/codec/tpm_object.hpp"
#include "ingot/crypto/hash.hpp"
#include "json.hpp"

namespace ingot::codec {
namespace {

constexpr std::string_view magic_first{"LUKS\xba\xbe", 6}, magic_second{"SKUL\xba\xbe", 6};
constexpr std::uint16_t version_2 = 2;
constexpr std::size_t metadata_least_bytes = 16u << 10;
constexpr std::size_t label_bytes = 48, algorithm_bytes = 32, salt_bytes = 64, uuid_bytes = 40, subsystem_bytes = 48;
constexpr std::size_t padding_bytes = 184, checksum_bytes = 64;
constexpr std::size_t checksum_offset = 448;
/// LUKS2 has 32 key slots and 32 tokens, and a segment for each part that is being encrypted anew.
constexpr std::size_t objects_cap = 64;

/// Up to the first NUL, printable ASCII; anything else makes it no text of ours.
std::string text_of(Bytes field) {
  auto text = as_text(field);
  text = text.substr(0, text.find('\0'));
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < '\x7F'; });
  return printable ? std::string(text) : "?";
}

struct BinaryHeader {
  std::uint64_t size_bytes = 0;
  std::uint64_t sequence = 0;
  LuksMetadata names;
  std::string algorithm;
};

Result<BinaryHeader> decode_binary(Bytes beginning, std::string_view magic) {
  Reader in{beginning};
  if (as_text(in.bytes(magic.size())) != magic)
    return fail(ErrorCode::missing, "no LUKS volume begins here", "give the partition of an encrypted volume");
  const auto version = in.u16be();
  BinaryHeader header;
  header.size_bytes = in.u64be();
  header.sequence = in.u64be();
  header.names.label = text_of(in.bytes(label_bytes));
  header.algorithm = text_of(in.bytes(algorithm_bytes));
  in.skip(salt_bytes);
  header.names.uuid = text_of(in.bytes(uuid_bytes));
  in.skip(subsystem_bytes + sizeof(std::uint64_t) + padding_bytes + checksum_bytes);
  if (in.ok() && version != version_2) in.fail_with(fmt::format("LUKS version {}; 2 is handled", version));
  if (in.ok() && (header.size_bytes < metadata_least_bytes || header.size_bytes > luks_metadata_cap_bytes ||
                  (header.size_bytes & (header.size_bytes - 1)) != 0))
    in.fail_with(fmt::format("LUKS2 metadata of {} bytes; a power of two from 16 KiB to 4 MiB belongs there",
                             header.size_bytes));
  return in.finish_prefix(std::move(header));
}

/// One copy, with its checksum.
Result<std::pair<BinaryHeader, std::string>> decode_copy(Bytes copy, std::string_view magic) {
  auto header = TRY(decode_binary(copy, magic));
  if (header.size_bytes != copy.size()) return fail(ErrorCode::malformed, "the LUKS2 metadata are cut off");
  if (header.algorithm != "sha256")
    return fail(ErrorCode::unsupported, fmt::format("LUKS2 metadata with a checksum by {}", header.algorithm));
  auto zeroed = to_buffer(copy);
  std::fill_n(zeroed.begin() + checksum_offset, checksum_bytes, std::uint8_t{0});
  const auto sum = crypto::sha256(zeroed);
  if (!std::equal(sum.begin(), sum.end(), copy.begin() + checksum_offset))
    return fail(ErrorCode::malformed, "the checksum of the LUKS2 metadata does not hold");
  const auto json = as_text(copy.subspan(luks_binary_header_bytes));
  return std::pair{std::move(header), std::string(json.substr(0, json.find('\0')))};
}

Result<std::uint32_t> object_number(std::string_view key) {
  std::uint32_t number = 0;
  const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), number);
  if (code != std::errc{} || end != key.data() + key.size() || key.empty())
    return fail(ErrorCode::malformed, fmt::format("\"{}\" is not the number of a LUKS2 object", key));
  return number;
}

/// LUKS2 writes 64-bit numbers as texts (3.1).
Result<std::uint64_t> text_number(const json::Value& object, const char* name) {
  const auto text = TRY(json::text(object, name));
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc{} || end != text.data() + text.size())
    return fail(ErrorCode::malformed, fmt::format("{} is \"{}\", expected a number", name, text));
  return number;
}

/// Calls `take` with number and value of each object of a section, in the order of numbers.
template <typename Take>
Result<void> each_object(const json::Value& document, const char* section, Take take) {
  const auto* objects = TRY(json::member(document, section));
  if (!objects->is_object()) return fail(ErrorCode::malformed, fmt::format("{} is no object", section));
  if (objects->size() > objects_cap)
    return fail(ErrorCode::limit, fmt::format("more than {} {}", objects_cap, section));
  std::vector<std::pair<std::uint32_t, const json::Value*>> sorted;
  for (const auto& [key, value] : objects->items()) sorted.emplace_back(TRY(object_number(key)), &value);
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [number, value] : sorted) TRY_IN(fmt::format("{} {}", section, number), take(number, *value));
  return {};
}

Result<std::vector<PcrIndex>> pcr_list(const json::Value& token, const char* name) {
  std::vector<PcrIndex> pcrs;
  if (json::find(token, name) == nullptr) return pcrs;
  for (const auto& one : *TRY(json::array(token, name, pcr_count))) {
    if (!one.is_number_unsigned() || one.get<std::uint64_t>() >= pcr_count)
      return fail(ErrorCode::malformed, fmt::format("{} has what is no PCR", name));
    pcrs.push_back(one.get<PcrIndex>());
  }
  std::sort(pcrs.begin(), pcrs.end());
  return pcrs;
}

bool is_true(const json::Value& token, const char* name) {
  const auto* value = json::find(token, name);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

Result<LuksTpmPolicy> decode_tpm_policy(const json::Value& token) {
  LuksTpmPolicy policy;
  const auto* digests = TRY(json::member(token, "tpm2-policy-hash"));
  const auto list = digests->is_array() ? *digests : json::Value::array({*digests});
  for (const auto& one : list) policy.digests.push_back(to_hex(TRY(json::hex(one, "tpm2-policy-hash"))));
  policy.pcrs = TRY(pcr_list(token, "tpm2-pcrs"));
  policy.signed_pcrs = TRY(pcr_list(token, "tpm2_pubkey_pcrs"));
  policy.bank = TRY(json::optional_text(token, "tpm2-pcr-bank"));
  policy.policy_key_pem = std::string(as_text(TRY(json::optional_base64(token, "tpm2_pubkey"))));
  policy.has_pin = is_true(token, "tpm2-pin");
  policy.has_index = is_true(token, "tpm2_pcrlock");
  return policy;
}

/// RFC 4648, chapter 5, without padding.
std::optional<Buffer> parse_base64url(std::string text) {
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return parse_base64(text);
}

/// "public" of the TPM's share: TPM2B_PUBLIC.
Result<Buffer> share_policy(const json::Value& share) {
  const auto area = parse_base64url(TRY(json::text(share, "public")));
  Reader in(area ? Bytes(*area) : Bytes());
  const auto object = TRY(in.finish(in.bytes(in.u16be())));
  return TRY(decode_tpm_sealed_public(object)).auth_policy;
}

Result<LuksTokenEntry> decode_token(std::uint32_t number, const json::Value& value) {
  LuksTokenEntry token;
  token.id = number;
  token.type = TRY(json::text(value, "type"));
  for (const auto& slot : *TRY(json::array(value, "keyslots", objects_cap))) {
    if (!slot.is_string()) return fail(ErrorCode::malformed, "keyslots has what is no text");
    token.key_slots.push_back(TRY(object_number(slot.get_ref<const std::string&>())));
  }
  if (token.type == luks_tpm_type) token.tpm = TRY(decode_tpm_policy(value));
  if (token.type == luks_shares_type) {
    for (const auto& [name, member] : value.items())
      if (name != "type" && name != "keyslots") token.shares.push_back(name);
    if (const auto* share = json::find(value, "tpm")) token.share_policy = TRY(share_policy(*share));
  }
  if (token.type == luks_recovery_type)
    token.recovery = {TRY(json::text(value, "recipient")), TRY(json::optional_base64(value, "message"))};
  return token;
}

Result<LuksSegment> decode_segment(const json::Value& value) {
  LuksSegment segment;
  segment.type = TRY(json::text(value, "type"));
  segment.cipher = TRY(json::optional_text(value, "encryption"));
  segment.offset_bytes = TRY(text_number(value, "offset"));
  if (json::find(value, "sector_size") != nullptr) segment.sector_bytes = TRY(json::number(value, "sector_size"));
  if (const auto* integrity = json::find(value, "integrity")) segment.integrity = TRY(json::text(*integrity, "type"));
  return segment;
}

}  // namespace

Result<std::size_t> luks_metadata_size(Bytes beginning) {
  return TRY(decode_binary(beginning, magic_first)).size_bytes;
}

Result<LuksMetadata> decode_luks_metadata(Bytes both_copies) {
  if (both_copies.size() % 2 != 0) return fail(ErrorCode::malformed, "the LUKS2 metadata are cut off");
  const auto half = both_copies.size() / 2;
  auto first = decode_copy(both_copies.first(half), magic_first);
  auto second = decode_copy(both_copies.subspan(half), magic_second);
  if (!first && !second) return fail(first.error());
  const bool take_second = !first || (second && second->first.sequence > first->first.sequence);
  auto& [header, json] = take_second ? *second : *first;
  header.names.json = std::move(json);
  return std::move(header.names);
}

Result<LuksMetadata> read_luks_metadata(const ByteSource& volume) {
  const auto first = TRY(
      read_part(volume, 0, std::min<std::uint64_t>(luks_binary_header_bytes, volume.size()), luks_binary_header_bytes));
  const auto copies = 2 * TRY(luks_metadata_size(first));
  return decode_luks_metadata(TRY(read_part(volume, 0, copies, copies)));
}

std::string encode_luks_recovery(const LuksRecovery& recovery, std::uint32_t key_slot) {
  const json::Value token = {{"type", luks_recovery_type},
                             {"keyslots", {std::to_string(key_slot)}},
                             {"recipient", recovery.recipient_sha256},
                             {"message", to_base64(recovery.message)}};
  return token.dump();
}

Result<LuksHeader> decode_luks_json(std::string_view text) {
  const auto document = TRY(json::parse(as_bytes(text)));
  LuksHeader header;
  TRY(each_object(document, "keyslots", [&](std::uint32_t number, const json::Value& value) -> Result<void> {
    LuksKeySlot slot;
    slot.id = number;
    slot.key_bits = TRY(json::number(value, "key_size")) * 8;
    if (const auto* kdf = json::find(value, "kdf")) slot.kdf = TRY(json::text(*kdf, "type"));
    header.key_slots.push_back(std::move(slot));
    return {};
  }));
  TRY(each_object(document, "tokens", [&](std::uint32_t number, const json::Value& value) -> Result<void> {
    header.tokens.push_back(TRY(decode_token(number, value)));
    if (header.tokens.back().type == luks_release_type) header.release = TRY(json::text(value, "release"));
    return {};
  }));
  TRY(each_object(document, "segments", [&](std::uint32_t, const json::Value& value) -> Result<void> {
    header.segments.push_back(TRY(decode_segment(value)));
    return {};
  }));
  TRY(each_object(document, "digests", [&](std::uint32_t, const json::Value& value) -> Result<void> {
    header.key_digest += fmt::format("{}:{} ", TRY(json::text(value, "salt")), TRY(json::text(value, "digest")));
    return {};
  }));
  return header;
}

namespace {

/// Settings write openers as words, and somebody else chooses the types of his tokens.
std::string_view word_of(std::string_view type) {
  const bool is_word = !type.empty() && std::all_of(type.begin(), type.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
  return is_word ? type : "unknown";
}

}  // namespace

std::string LuksHeader::opened_by(const LuksKeySlot& slot) const {
  std::string out;
  for (const auto& token : tokens)
    if (std::find(token.key_slots.begin(), token.key_slots.end(), slot.id) != token.key_slots.end())
      out.append(out.empty() ? "" : "+").append(word_of(token.type));
  return out.empty() ? "passphrase" : out;
}

const LuksTokenEntry* LuksHeader::token(std::string_view type) const {
  for (const auto& token : tokens)
    if (token.type == type && !token.key_slots.empty()) return &token;
  return nullptr;
}

std::vector<std::vector<std::string>> LuksHeader::sealed() const {
  std::vector<std::vector<std::string>> out;
  for (const auto& token : tokens)
    if (token.type == luks_tpm_type) out.insert(out.end(), token.key_slots.size(), token.tpm.digests);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace ingot::codec
