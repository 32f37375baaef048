#include "ingot/codec/cel.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cel_json.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::codec {
namespace {

// --- CEL-TLV: u8 type, u32 length, value. "TLV Encoding", tables of field types.

constexpr std::uint8_t tlv_number = 0;
constexpr std::uint8_t tlv_pcr = 1;
constexpr std::uint8_t tlv_nv_index = 2;
constexpr std::uint8_t tlv_digests = 3;
constexpr std::uint8_t tlv_pcclient_std = 5;
constexpr std::uint8_t tlv_ima_template = 7;
constexpr std::uint8_t tlv_pcclient_type = 0;
constexpr std::uint8_t tlv_pcclient_data = 1;
constexpr std::uint8_t tlv_ima_name = 0;
constexpr std::uint8_t tlv_ima_data = 1;
constexpr std::uint64_t field_cap_bytes = 16u << 20;

struct Field {
  std::uint8_t type = 0;
  Bytes value;
};

Field read_field(Reader& in) {
  Field field;
  field.type = in.u8();
  const std::uint32_t size = in.u32be();
  if (in.ok() && size > field_cap_bytes) in.fail_with(fmt::format("a field of {} bytes", size));
  field.value = in.bytes(in.ok() ? size : 0);
  return field;
}

/// Integers come in as few or as many bytes as their writer liked.
std::uint64_t read_number(Reader& in, const Field& field, std::size_t most_bytes) {
  if (field.value.empty() || field.value.size() > most_bytes) {
    in.fail_with(fmt::format("an integer of {} bytes", field.value.size()));
    return 0;
  }
  std::uint64_t value = 0;
  for (const auto byte : field.value) value = value << 8 | byte;
  return value;
}

void read_digests(Reader& in, Bytes value, Digests& digests) {
  Reader list{value};
  while (list.ok() && list.left() > 0) {
    const auto field = read_field(list);
    const auto alg = static_cast<HashAlg>(field.type);
    const auto size = digest_size_bytes(alg);
    if (!list.ok() || size == 0) continue;  // a bank that we cannot hash is none that we judge by
    if (field.value.size() != size)
      return in.fail_with(fmt::format("a {} digest of {} bytes", to_text(alg), field.value.size()));
    if (!digests.emplace(alg, field.value).second) return in.fail_with("two digests of one algorithm");
  }
  if (!list.ok()) in.fail_with("digests: " + list.error().message);
}

/// Two fields, in order, and nothing behind them.
std::pair<Bytes, Bytes> read_pair(Reader& in, Bytes value, std::uint8_t first, std::uint8_t second) {
  Reader pair{value};
  const auto a = read_field(pair);
  const auto b = read_field(pair);
  if (!pair.ok() || pair.left() != 0 || a.type != first || b.type != second)
    in.fail_with("content with other fields than its type has");
  return {a.value, b.value};
}

void read_content(Reader& in, const Field& field, CelRecord& record) {
  if (field.type == tlv_pcclient_std) {
    const auto [type, data] = read_pair(in, field.value, tlv_pcclient_type, tlv_pcclient_data);
    CelPcClient content;
    if (in.ok()) content.type = static_cast<EventType>(read_number(in, {0, type}, 4));
    content.data = to_buffer(data);
    record.content = std::move(content);
  } else if (field.type == tlv_ima_template) {
    const auto [name, data] = read_pair(in, field.value, tlv_ima_name, tlv_ima_data);
    record.content = CelImaTemplate{std::string(as_text(name)), to_buffer(data)};
  } else {
    record.content = CelOther{fmt::format("{}", field.type), to_buffer(field.value)};
  }
}

/// Nothing for a record about an NV index.
std::optional<CelRecord> read_record(Reader& in) {
  CelRecord record;
  const auto number = read_field(in);
  if (in.ok() && number.type != tlv_number) in.fail_with("a record that does not start with its number");
  if (in.ok()) record.number = read_number(in, number, 8);
  const auto index = read_field(in);
  if (in.ok() && index.type != tlv_pcr && index.type != tlv_nv_index) in.fail_with("a record without PCR or NV index");
  if (in.ok()) record.pcr = static_cast<PcrIndex>(read_number(in, index, 4));
  if (in.ok() && index.type == tlv_pcr && record.pcr >= pcr_count)
    in.fail_with(fmt::format("PCR {}; there are 24", record.pcr));
  const auto digests = read_field(in);
  if (in.ok() && digests.type != tlv_digests) in.fail_with("a record without digests");
  if (in.ok()) read_digests(in, digests.value, record.digests);
  const auto content = read_field(in);
  if (in.ok()) read_content(in, content, record);
  if (!in.ok() || index.type == tlv_nv_index) return std::nullopt;
  return record;
}

void write_field(Writer& out, std::uint8_t type, Bytes value) {
  out.u8(type).u32be(static_cast<std::uint32_t>(value.size())).bytes(value);
}

void write_number(Writer& out, std::uint8_t type, std::uint64_t value) {
  Buffer bytes;
  do {
    bytes.insert(bytes.begin(), static_cast<std::uint8_t>(value));
    value >>= 8;
  } while (value != 0);
  write_field(out, type, bytes);
}

void write_content(Writer& out, const CelRecord& record) {
  Writer inner;
  if (const auto* event = std::get_if<CelPcClient>(&record.content)) {
    write_field(inner, tlv_pcclient_type, Writer{}.u32be(static_cast<std::uint32_t>(event->type)).view());
    write_field(inner, tlv_pcclient_data, event->data);
    write_field(out, tlv_pcclient_std, inner.view());
  } else if (const auto* ima = std::get_if<CelImaTemplate>(&record.content)) {
    write_field(inner, tlv_ima_name, as_bytes(ima->name));
    write_field(inner, tlv_ima_data, ima->data);
    write_field(out, tlv_ima_template, inner.view());
  } else if (const auto* systemd = std::get_if<CelSystemd>(&record.content)) {
    // The format has no type for systemd's records; as EV_IPL they say what they are.
    write_field(inner, tlv_pcclient_type, Writer{}.u32be(static_cast<std::uint32_t>(EventType::EV_IPL)).view());
    write_field(inner, tlv_pcclient_data, as_bytes(systemd->text));
    write_field(out, tlv_pcclient_std, inner.view());
  } else if (const auto* other = std::get_if<CelOther>(&record.content)) {
    write_field(out, static_cast<std::uint8_t>(std::strtoul(other->type.c_str(), nullptr, 10)), other->raw);
  }
}

// --- CEL-JSON

Result<EventType> decode_event_type(const json::Value& content) {
  const auto* value = TRY(json::member(content, "event_type"));
  if (value->is_number_unsigned() && value->get<std::uint64_t>() <= UINT32_MAX)
    return static_cast<EventType>(value->get<std::uint64_t>());
  const auto name = TRY(json::text(content, "event_type"));
  const auto type = parse_event_type(name);
  if (!type) return fail(ErrorCode::malformed, "an event type without a name or number");
  return *type;
}

Result<void> decode_content(const json::Value& document, CelRecord& record) {
  const auto type = TRY(json::text(document, "content_type"));
  const auto& content = *TRY(json::member(document, "content"));
  if (type == "pcclient_std") {
    CelPcClient event;
    event.type = TRY(decode_event_type(content));
    event.data = TRY(json::hex(*TRY(json::member(content, "event_data")), "\"event_data\""));
    record.content = std::move(event);
  } else if (type == "ima_template") {
    CelImaTemplate ima;
    ima.name = TRY(json::text(content, "template_name"));
    ima.data = TRY(json::hex(*TRY(json::member(content, "template_data")), "\"template_data\""));
    record.content = std::move(ima);
  } else if (type == "systemd") {
    record.content = CelSystemd{TRY(json::optional_text(content, "string"))};
  } else {
    record.content =
        CelOther{type, to_buffer(as_bytes(content.dump(-1, ' ', false, json::Value::error_handler_t::replace)))};
  }
  return {};
}

Result<std::optional<CelRecord>> decode_record(const json::Value& document) {
  if (!document.is_object()) return fail(ErrorCode::malformed, "a record that is no object");
  if (json::find(document, "pcr") == nullptr && json::find(document, "nv_index") != nullptr) return std::nullopt;
  CelRecord record;
  if (json::find(document, "recnum") != nullptr) record.number = TRY(json::number(document, "recnum"));
  const auto pcr = TRY(json::number(document, "pcr"));
  if (pcr >= pcr_count) return fail(ErrorCode::malformed, fmt::format("PCR {}; there are 24", pcr));
  record.pcr = static_cast<PcrIndex>(pcr);
  record.digests = TRY(decode_cel_digests(document));
  TRY(decode_content(document, record));
  return record;
}

/// The records of an array, or of a text sequence.
Result<std::vector<json::Value>> documents_of(Bytes text) {
  if (text.empty() || text[0] == json_record_separator) return read_json_sequence(text, cel_record_cap);
  auto whole = TRY(json::parse(text));
  if (!whole.is_array()) return fail(ErrorCode::malformed, "neither an array nor a sequence of records");
  if (whole.size() > cel_record_cap) return fail(ErrorCode::limit, fmt::format("more than {} records", cel_record_cap));
  return std::vector<json::Value>(whole.begin(), whole.end());
}

json::Value encode_record(const CelRecord& record) {
  json::Value out{{"recnum", record.number}, {"pcr", record.pcr}, {"digests", encode_cel_digests(record.digests)}};
  if (const auto* event = std::get_if<CelPcClient>(&record.content)) {
    out["content_type"] = "pcclient_std";
    out["content"] = {{"event_type", to_text(event->type)}, {"event_data", to_hex(event->data)}};
  } else if (const auto* ima = std::get_if<CelImaTemplate>(&record.content)) {
    out["content_type"] = "ima_template";
    out["content"] = {{"template_name", ima->name}, {"template_data", to_hex(ima->data)}};
  } else if (const auto* systemd = std::get_if<CelSystemd>(&record.content)) {
    out["content_type"] = "systemd";
    out["content"] = {{"string", systemd->text}};
  } else if (const auto* other = std::get_if<CelOther>(&record.content)) {
    out["content_type"] = other->type;
    auto content = json::Value::parse(other->raw.begin(), other->raw.end(), nullptr, false);
    out["content"] = content.is_discarded() ? json::Value(to_hex(other->raw)) : std::move(content);
  }
  return out;
}

Result<ImaEntry> ima_entry(const CelRecord& record, const CelImaTemplate& content) {
  ImaEntry entry;
  entry.pcr = record.pcr;
  entry.template_name = content.name;
  entry.template_data = content.data;
  // Through the binary form, so that one decoder alone reads template data.
  const auto sha1 = record.digests.find(HashAlg::sha1);
  entry.template_hash = sha1 == record.digests.end() ? crypto::hash(HashAlg::sha1, content.data) : sha1->second;
  if (std::all_of(entry.template_hash.begin(), entry.template_hash.end(), [](auto byte) { return byte == 0xFF; }))
    entry.template_hash.assign(20, 0);
  if (content.name == "ima") {
    if (content.data.size() < 20) return fail(ErrorCode::malformed, "template data too short for \"ima\"");
    entry.digest.assign(content.data.begin(), content.data.begin() + 20);
    const auto name = as_text(Bytes(content.data).subspan(20));
    entry.path = name.substr(0, name.find('\0'));
  }
  auto decoded = TRY(decode_ima(encode_ima({entry})));
  return std::move(decoded.front());
}

}  // namespace

Result<std::vector<CelRecord>> decode_cel_tlv(Bytes log) {
  Reader in{log};
  std::vector<CelRecord> records;
  for (std::size_t index = 0; in.ok() && in.left() > 0; ++index) {
    if (index == cel_record_cap) in.fail_with(fmt::format("more than {} records", cel_record_cap));
    auto record = read_record(in);
    if (!in.ok()) {
      auto error = in.error();
      error.message = fmt::format("record {}: {}", index, error.message);
      return fail(std::move(error));
    }
    if (record) records.push_back(*std::move(record));
  }
  return records;
}

Buffer encode_cel_tlv(const std::vector<CelRecord>& records) {
  Writer out;
  for (const auto& record : records) {
    write_number(out, tlv_number, record.number);
    write_number(out, tlv_pcr, record.pcr);
    Writer digests;
    for (const auto& [alg, digest] : record.digests) write_field(digests, static_cast<std::uint8_t>(alg), digest);
    write_field(out, tlv_digests, digests.view());
    write_content(out, record);
  }
  return out.take();
}

Result<std::vector<CelRecord>> decode_cel_json(Bytes text) {
  std::vector<CelRecord> records;
  std::size_t index = 0;
  for (const auto& document : TRY(documents_of(text)))
    if (auto record = TRY_IN(fmt::format("record {}", index++), decode_record(document)))
      records.push_back(*std::move(record));
  return records;
}

std::string encode_cel_json(const std::vector<CelRecord>& records) {
  // A record a line: a diff of two logs shows records.
  std::string out = "[";
  for (const auto& record : records)
    out += (out.size() == 1 ? "\n" : ",\n") +
           encode_record(record).dump(-1, ' ', false, json::Value::error_handler_t::replace);
  return out + "\n]\n";
}

std::vector<CelRecord> cel_records(const EventLog& firmware, const std::vector<Event>& userspace,
                                   const std::vector<ImaEntry>& ima) {
  std::vector<CelRecord> records;
  const auto add = [&](PcrIndex pcr, Digests digests, auto content) {
    records.push_back({records.size(), pcr, std::move(digests), std::move(content)});
  };
  for (const auto& event : firmware.events)
    if (event.pcr < pcr_count) add(event.pcr, event.digests, CelPcClient{event.type, event.data});
  for (const auto& event : userspace) add(event.pcr, event.digests, CelSystemd{std::string(as_text(event.data))});
  for (const auto& entry : ima) {
    Digests digests;
    for (const auto alg : {HashAlg::sha1, HashAlg::sha256, HashAlg::sha384})
      digests[alg] = ima_extend_value(alg, entry);
    add(entry.pcr, std::move(digests), CelImaTemplate{entry.template_name, entry.template_data});
  }
  return records;
}

Result<CelParts> split_cel(const std::vector<CelRecord>& records) {
  CelParts parts;
  for (const auto& record : records) {
    if (const auto* event = std::get_if<CelPcClient>(&record.content))
      parts.firmware.push_back({record.pcr, event->type, record.digests, event->data});
    if (const auto* systemd = std::get_if<CelSystemd>(&record.content))
      parts.userspace.push_back({record.pcr, EventType::EV_IPL, record.digests, to_buffer(as_bytes(systemd->text))});
    if (const auto* ima = std::get_if<CelImaTemplate>(&record.content))
      parts.ima.push_back(TRY_IN(fmt::format("record {}", record.number), ima_entry(record, *ima)));
  }
  return parts;
}

}  // namespace ingot::codec
