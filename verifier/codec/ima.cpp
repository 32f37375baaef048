#include "ingot/codec/ima.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::codec {
namespace {

constexpr std::size_t name_cap_bytes = 64;
constexpr std::size_t legacy_digest_bytes = 20;
constexpr std::size_t legacy_name_bytes = 256;  // IMA_EVENT_NAME_LEN_MAX + 1
constexpr std::string_view legacy_template = "ima";

enum class Field { digest, digest_v2, name, signature, buffer, modsig_digest, modsig, number };

/// Field lists of security/integrity/ima/ima_template.c, "builtin_templates". evm-sig's numbers say nothing about
/// content.
const std::vector<Field>* fields_of(std::string_view template_name) {
  using enum Field;
  static const std::map<std::string_view, std::vector<Field>> templates = {
      {"ima-ng", {digest, Field::name}},
      {"ima-sig", {digest, Field::name, signature}},
      {"ima-ngv2", {digest_v2, Field::name}},
      {"ima-sigv2", {digest_v2, Field::name, signature}},
      {"ima-buf", {digest, Field::name, buffer}},
      {"ima-modsig", {digest, Field::name, signature, modsig_digest, modsig}},
      {"evm-sig", {digest, Field::name, signature, number, number, number, number, number, number}},
  };
  const auto found = templates.find(template_name);
  return found == templates.end() ? nullptr : &found->second;
}

/// "sha256", "sha3-256", "verity".
bool is_plain(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

/// Offset of the digest behind "sha256:\0", or behind "verity:sha256:\0"; nothing when there is no such prefix.
std::optional<std::size_t> read_prefix(std::string_view text, bool with_type, std::string& type, std::string& alg) {
  const auto nul = text.find('\0');
  if (nul == std::string_view::npos || nul < 2 || text[nul - 1] != ':') return std::nullopt;
  std::string_view prefix = text.substr(0, nul - 1);
  if (with_type) {
    const auto colon = prefix.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    type = prefix.substr(0, colon);
    prefix = prefix.substr(colon + 1);
  }
  if (!is_plain(prefix) || (with_type && !is_plain(type))) return std::nullopt;
  alg = prefix;
  return nul + 1;
}

/// Takes the place of what was there, in the memory that was there.
void assign(Buffer& to, Bytes bytes) { to.assign(bytes.begin(), bytes.end()); }

void read_digest(Reader& in, Bytes data, bool with_type, ImaEntry& entry) {
  if (data.empty()) return in.fail_with("a digest field without content");
  const auto at = read_prefix(as_text(data), with_type, entry.digest_type, entry.digest_alg);
  if (!at) return in.fail_with("a digest field without an algorithm");
  assign(entry.digest, data.subspan(*at));
}

void read_name(Reader& in, Bytes data, ImaEntry& entry) {
  if (data.empty() || data.back() != 0) return in.fail_with("a name that does not end in NUL");
  entry.path = as_text(data.first(data.size() - 1));
  if (entry.path.find('\0') != std::string::npos) in.fail_with("a name with a NUL inside");
}

void read_field(Reader& in, Field field, ImaEntry& entry) {
  const std::uint32_t size = in.u32le();
  if (in.ok() && size > ima_field_cap_bytes) return in.fail_with(fmt::format("a field of {} bytes", size));
  const Bytes data = in.bytes(size);
  if (!in.ok()) return;
  switch (field) {
    case Field::digest:
      return read_digest(in, data, false, entry);
    case Field::digest_v2:
      return read_digest(in, data, true, entry);
    case Field::name:
      return read_name(in, data, entry);
    case Field::signature:
      return assign(entry.signature, data);
    case Field::buffer:
      return assign(entry.buffer, data);
    case Field::modsig_digest:
      return assign(entry.modsig_digest, data);
    case Field::modsig:
      return assign(entry.modsig, data);
    case Field::number:
      return;
  }
}

/// Template "ima": raw digest, length of the name, name without NUL; the kernel hashes the name padded to 256 bytes.
void read_legacy(Reader& in, ImaEntry& entry) {
  entry.digest_alg = "sha1";
  assign(entry.digest, in.bytes(legacy_digest_bytes));
  const std::uint32_t size = in.u32le();
  if (in.ok() && size >= legacy_name_bytes)
    return in.fail_with(fmt::format("a name of {} bytes in template \"ima\"", size));
  entry.path = as_text(in.bytes(size));
  entry.template_data = entry.digest;
  entry.template_data.insert(entry.template_data.end(), entry.path.begin(), entry.path.end());
  entry.template_data.resize(legacy_digest_bytes + legacy_name_bytes);
}

void read_template(Reader& in, ImaEntry& entry) {
  if (entry.template_name == legacy_template) return read_legacy(in, entry);
  const auto* fields = fields_of(entry.template_name);
  const std::uint32_t size = in.u32le();
  if (in.ok() && fields == nullptr) return in.fail_with("an unknown template");
  assign(entry.template_data, in.bytes(size));
  if (!in.ok()) return;
  Reader data{entry.template_data};
  for (const auto field : *fields) read_field(data, field, entry);
  if (data.ok() && data.left() != 0) data.fail_with(fmt::format("{} bytes behind the last field", data.left()));
  if (!data.ok()) in.fail_with("template data: " + data.error().message);
}

/// Into an entry that may hold an earlier one: its memory is used again.
void read_entry(Reader& in, std::size_t template_hash_size, ImaEntry& entry) {
  entry.digest_type.clear();
  for (auto* field : {&entry.signature, &entry.buffer, &entry.modsig_digest, &entry.modsig}) field->clear();
  entry.pcr = in.u32le();
  if (in.ok() && entry.pcr >= pcr_count) in.fail_with(fmt::format("PCR {}; there are 24", entry.pcr));
  assign(entry.template_hash, in.bytes(template_hash_size));
  const std::uint32_t name_size = in.u32le();
  if (in.ok() && name_size > name_cap_bytes) in.fail_with(fmt::format("a template name of {} bytes", name_size));
  entry.template_name = as_text(in.bytes(in.ok() ? name_size : 0));
  if (in.ok()) read_template(in, entry);
}

Buffer field_bytes(Field field, const ImaEntry& entry) {
  Writer out;
  switch (field) {
    case Field::digest_v2:
      return out.text(entry.digest_type).text(":").text(entry.digest_alg).text(":").u8(0).bytes(entry.digest).take();
    case Field::digest:
      return out.text(entry.digest_alg).text(":").u8(0).bytes(entry.digest).take();
    case Field::name:
      return out.text(entry.path).u8(0).take();
    case Field::signature:
      return entry.signature;
    case Field::buffer:
      return entry.buffer;
    case Field::modsig_digest:
      return entry.modsig_digest;
    case Field::modsig:
      return entry.modsig;
    case Field::number:
      break;
  }
  return {};
}

// --- the ASCII list

/// The next word of a line, up to one blank.
std::string_view take_word(std::string_view& line) {
  const auto end = std::min(line.find(' '), line.size());
  const auto word = line.substr(0, end);
  line.remove_prefix(std::min(line.size(), end + 1));
  return word;
}

/// "sha256:HEX" or "verity:sha256:HEX".
Result<void> parse_digest_word(std::string_view word, bool with_type, ImaEntry& entry) {
  if (with_type) {
    entry.digest_type = word.substr(0, word.find(':'));
    word.remove_prefix(std::min(word.size(), entry.digest_type.size() + 1));
  }
  const auto colon = word.find(':');
  const auto digest = colon == std::string_view::npos ? std::nullopt : parse_hex(word.substr(colon + 1));
  if (!digest || !is_plain(word.substr(0, colon)) || (with_type && !is_plain(entry.digest_type)))
    return fail(ErrorCode::malformed, fmt::format("\"{}\" is no digest", to_hex(as_bytes(word)).substr(0, 64)));
  entry.digest_alg = word.substr(0, colon);
  entry.digest = *digest;
  return {};
}

Result<Buffer> parse_hex_word(std::string_view word) {
  const auto bytes = parse_hex(word);
  if (!bytes) return fail(ErrorCode::malformed, "a field that is not hexadecimal");
  return *bytes;
}

Result<void> parse_field(Field field, std::string_view& line, ImaEntry& entry) {
  const auto word = take_word(line);
  switch (field) {
    case Field::digest:
    case Field::digest_v2:
      return parse_digest_word(word, field == Field::digest_v2, entry);
    case Field::name:
      entry.path = word;
      return {};
    case Field::signature:
      entry.signature = TRY(parse_hex_word(word));
      return {};
    case Field::buffer:
      entry.buffer = TRY(parse_hex_word(word));
      return {};
    case Field::modsig_digest: {
      if (word.empty()) return {};
      ImaEntry other;
      TRY(parse_digest_word(word, false, other));
      entry.modsig_digest = field_bytes(Field::digest, other);
      return {};
    }
    case Field::modsig:
      entry.modsig = TRY(parse_hex_word(word));
      return {};
    case Field::number:
      return fail(ErrorCode::unsupported, "template evm-sig in an ASCII list", "give the binary list");
  }
  return {};
}

Result<ImaEntry> parse_line(std::string_view line) {
  ImaEntry entry;
  while (line.starts_with(' ')) line.remove_prefix(1);  // the kernel writes "%2d"
  const auto pcr = take_word(line);
  const auto [end, error] = std::from_chars(pcr.data(), pcr.data() + pcr.size(), entry.pcr);
  if (error != std::errc{} || end != pcr.data() + pcr.size() || entry.pcr >= pcr_count)
    return fail(ErrorCode::malformed, "a line that does not start with a PCR number");
  entry.template_hash = TRY(parse_hex_word(take_word(line)));
  entry.template_name = take_word(line);
  if (entry.template_name == legacy_template) {
    entry.digest_alg = "sha1";
    entry.digest = TRY(parse_hex_word(take_word(line)));
    entry.path = line;
    line = {};
    if (entry.digest.size() != legacy_digest_bytes || entry.path.size() >= legacy_name_bytes)
      return fail(ErrorCode::malformed, "a digest or name that template \"ima\" cannot hold");
  } else {
    const auto* fields = fields_of(entry.template_name);
    if (fields == nullptr) return fail(ErrorCode::malformed, "an unknown template");
    for (const auto field : *fields) TRY(parse_field(field, line, entry));
  }
  if (!line.empty()) return fail(ErrorCode::malformed, "more fields than the template has");
  const Buffer hash = entry.template_hash;
  TRY(seal_ima_entry(entry));
  entry.template_hash = hash;
  return entry;
}

std::string field_text(Field field, const ImaEntry& entry) {
  switch (field) {
    case Field::digest:
      return fmt::format("{}:{}", entry.digest_alg, to_hex(entry.digest));
    case Field::digest_v2:
      return fmt::format("{}:{}:{}", entry.digest_type, entry.digest_alg, to_hex(entry.digest));
    case Field::name:
      return entry.path;
    case Field::modsig_digest: {
      std::string type, alg;
      const auto at = read_prefix(as_text(entry.modsig_digest), false, type, alg);
      return at ? fmt::format("{}:{}", alg, to_hex(Bytes(entry.modsig_digest).subspan(*at))) : std::string{};
    }
    default:
      return to_hex(field_bytes(field, entry));
  }
}

/// for_each_ima() of an ASCII list.
Result<void> for_each_ima_line(Bytes text, const ImaPlace& from, const ImaVisitor& visit) {
  if (from.offset_bytes > text.size()) return fail(ErrorCode::internal, "an IMA list read from behind its end");
  auto rest = as_text(text).substr(from.offset_bytes);
  for (std::size_t i = from.entry; !rest.empty(); ++i) {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos)
      return fail(Error{ErrorCode::malformed, "the last line has no end", {}, text.size(), std::nullopt});
    if (i == ima_entry_cap) return fail(ErrorCode::limit, fmt::format("more than {} entries", ima_entry_cap));
    const auto entry = parse_line(rest.substr(0, end));
    if (!entry) {
      auto error = entry.error();
      error.message = fmt::format("line {}: {}", i + 1, error.message);
      error.offset_bytes = text.size() - rest.size();
      return fail(std::move(error));
    }
    rest.remove_prefix(end + 1);
    visit(*entry, {i + 1, text.size() - rest.size()});
  }
  return {};
}

}  // namespace

bool ImaEntry::is_violation() const {
  return std::all_of(template_hash.begin(), template_hash.end(), [](auto byte) { return byte == 0; });
}

Result<void> for_each_ima(Bytes list, const ImaPlace& from, const ImaVisitor& visit, std::size_t template_hash_size) {
  if (from.offset_bytes > list.size()) return fail(ErrorCode::internal, "an IMA list read from behind its end");
  Reader in{list};
  in.skip(from.offset_bytes);
  ImaEntry entry;
  for (std::size_t i = from.entry; in.ok() && in.left() > 0; ++i) {
    if (i == ima_entry_cap) in.fail_with(fmt::format("more than {} entries", ima_entry_cap));
    read_entry(in, template_hash_size, entry);
    if (!in.ok()) {
      auto error = in.error();
      error.message = fmt::format("entry {}: {}", i, error.message);
      return fail(std::move(error));
    }
    visit(entry, {i + 1, in.at()});
  }
  return {};
}

Result<std::vector<ImaEntry>> decode_ima(Bytes list, std::size_t template_hash_size) {
  std::vector<ImaEntry> entries;
  TRY(for_each_ima(
      list, {}, [&](const ImaEntry& entry, const ImaPlace&) { entries.push_back(entry); }, template_hash_size));
  return entries;
}

Result<std::vector<ImaEntry>> decode_ima_ascii(Bytes text) {
  std::vector<ImaEntry> entries;
  TRY(for_each_ima_line(text, {}, [&](const ImaEntry& entry, const ImaPlace&) { entries.push_back(entry); }));
  return entries;
}

Result<void> for_each_any_ima(Bytes list, const ImaPlace& from, const ImaVisitor& visit) {
  // A binary list starts with a PCR number of four bytes, of which the upper three are zero.
  const bool ascii = list.size() >= 4 && list[1] != 0;
  return ascii ? for_each_ima_line(list, from, visit) : for_each_ima(list, from, visit);
}

Result<std::vector<ImaEntry>> decode_any_ima(Bytes list) {
  std::vector<ImaEntry> entries;
  TRY(for_each_any_ima(list, {}, [&](const ImaEntry& entry, const ImaPlace&) { entries.push_back(entry); }));
  return entries;
}

Buffer encode_ima(const std::vector<ImaEntry>& entries) {
  Writer out;
  for (const auto& entry : entries) {
    out.u32le(entry.pcr).bytes(entry.template_hash);
    out.u32le(static_cast<std::uint32_t>(entry.template_name.size())).text(entry.template_name);
    if (entry.template_name == legacy_template) {
      out.bytes(entry.digest).u32le(static_cast<std::uint32_t>(entry.path.size())).text(entry.path);
    } else {
      out.u32le(static_cast<std::uint32_t>(entry.template_data.size())).bytes(entry.template_data);
    }
  }
  return out.take();
}

std::string encode_ima_ascii(const std::vector<ImaEntry>& entries) {
  std::string out;
  for (const auto& entry : entries) {
    out += fmt::format("{:2} {} {}", entry.pcr, to_hex(entry.template_hash), entry.template_name);
    const auto* fields = fields_of(entry.template_name);
    if (fields == nullptr) {
      out += fmt::format(" {} {}", to_hex(entry.digest), entry.path);
    } else {
      for (const auto field : *fields) out += " " + field_text(field, entry);
    }
    out += "\n";
  }
  return out;
}

Digest ima_extend_value(HashAlg alg, const ImaEntry& entry) {
  if (entry.is_violation()) return {digest_size_bytes(alg), 0xFF};
  return crypto::hash(alg, entry.template_data);
}

Result<void> seal_ima_entry(ImaEntry& entry) {
  Writer out;
  if (entry.template_name == legacy_template) {
    out.bytes(entry.digest).text(entry.path);
    out.fill(legacy_digest_bytes + legacy_name_bytes - std::min(out.size(), legacy_digest_bytes + legacy_name_bytes));
  } else {
    const auto* fields = fields_of(entry.template_name);
    if (fields == nullptr) return fail(ErrorCode::unsupported, "an unknown IMA template");
    for (const auto field : *fields) {
      const auto bytes = field_bytes(field, entry);
      out.u32le(static_cast<std::uint32_t>(bytes.size())).bytes(bytes);
    }
  }
  entry.template_data = out.take();
  entry.template_hash = crypto::hash(HashAlg::sha1, entry.template_data);
  return {};
}

}  // namespace ingot::codec
