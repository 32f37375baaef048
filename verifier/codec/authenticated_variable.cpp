#include "ingot/codec/authenticated_variable.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdio>

#include "efi_time.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/certificate_names.hpp"
#include "ingot/codec/der.hpp"

namespace ingot::codec {
namespace {

// UEFI 2.10, "WIN_CERTIFICATE" and "WIN_CERTIFICATE_UEFI_GUID".
constexpr std::uint16_t certificate_revision = 0x0200;
constexpr std::uint16_t certificate_type_guid = 0x0EF1;
constexpr Guid pkcs7_guid = make_guid("4aafd29d-68df-49ee-8aa9-347d375665a7");
constexpr std::uint32_t certificate_header_size = 8 + 16;
constexpr std::size_t signed_parts_cap = 64;  ///< certificates and signers; one of each is usual

bool is_leap(unsigned year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

}  // namespace

const KeyVariable* find_key_variable(std::string_view name) {
  const auto* found = std::find_if(std::begin(key_variables), std::end(key_variables),
                                   [&](const KeyVariable& one) { return one.name == name; });
  return found == std::end(key_variables) ? nullptr : found;
}

Result<AuthenticatedUpdate> decode_authenticated_update(Bytes file) {
  if (file.size() > authenticated_update_cap_bytes)
    return fail(ErrorCode::limit, "an update of more than 1 MiB, which no variable takes");
  Reader in{file};
  AuthenticatedUpdate update;
  const auto time = read_efi_time(in);
  refuse_finer_time(in, time);
  update.time = time.time;
  const std::uint32_t length = in.u32le();
  const std::uint16_t revision = in.u16le();
  const std::uint16_t type = in.u16le();
  const Bytes kind = in.bytes(16);
  if (!in.ok()) return fail(in.error());
  if (revision != certificate_revision || type != certificate_type_guid || guid_from(kind) != pkcs7_guid)
    in.fail_with("not an authenticated update: no PKCS#7 certificate of UEFI behind the time stamp");
  else if (length <= certificate_header_size)
    in.fail_with(fmt::format("an authenticated update whose certificate of {} bytes has no signature", length));
  Reader body = in.sub(length - certificate_header_size);
  if (!in.ok()) return fail(in.error());
  const std::size_t body_at = in.at() - body.left();
  update.signed_data = to_buffer(read_der(body, der_sequence).whole);
  if (auto filled = body.finish(true); !filled) {
    auto error = std::move(filled).error().in("the update's signature");
    error.offset_bytes = error.offset_bytes.value_or(0) + body_at;
    return fail(std::move(error));
  }
  update.content = to_buffer(in.rest());
  return update;
}

Buffer encode_authenticated_update(const AuthenticatedUpdate& update) {
  Writer out;
  write_efi_time(out, update.time);
  out.u32le(static_cast<std::uint32_t>(certificate_header_size + update.signed_data.size()));
  out.u16le(certificate_revision).u16le(certificate_type_guid).bytes(pkcs7_guid.bytes);
  return out.bytes(update.signed_data).bytes(update.content).take();
}

Buffer signed_bytes(const KeyVariable& variable, UpdateKind kind, const EfiTime& time, Bytes content) {
  Writer out;
  out.bytes(to_utf16le(variable.name)).bytes(variable.guid.bytes).u32le(attributes_of(kind));
  write_efi_time(out, time);
  return out.bytes(content).take();
}

bool is_valid(const EfiTime& time) {
  constexpr unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (time.year < 1998 || time.year > 9999 || time.month < 1 || time.month > 12) return false;
  const unsigned last = days[time.month - 1] + (time.month == 2 && is_leap(time.year) ? 1 : 0);
  return time.day >= 1 && time.day <= last && time.hour < 24 && time.minute < 60 && time.second < 60;
}

std::string to_text(const EfiTime& time) {
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", time.year, time.month, time.day, time.hour, time.minute,
                     time.second);
}

std::optional<EfiTime> parse_efi_time(std::string_view text) {
  std::string plain(text);
  if (plain.size() == 20 && plain[10] == 'T' && plain[19] == 'Z') {
    plain[10] = ' ';
    plain.pop_back();
  }
  constexpr std::string_view form = "dddd-dd-dd dd:dd:dd";
  if (plain.size() != form.size()) return std::nullopt;
  for (std::size_t i = 0; i < form.size(); ++i)
    if (form[i] == 'd' ? plain[i] < '0' || plain[i] > '9' : plain[i] != form[i]) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t size) {
    unsigned value = 0;
    for (std::size_t i = at; i < at + size; ++i) value = value * 10 + static_cast<unsigned>(plain[i] - '0');
    return value;
  };
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(number(at, 2)); };
  const EfiTime time{static_cast<std::uint16_t>(number(0, 4)), byte(5), byte(8), byte(11), byte(14), byte(17)};
  if (!is_valid(time)) return std::nullopt;
  return time;
}

std::optional<EfiTime> efi_time_of(std::int64_t seconds_since_1970) {
  const time_t seconds = seconds_since_1970;
  tm utc{};
  if (::gmtime_r(&seconds, &utc) == nullptr || utc.tm_year + 1900 > 9999 || utc.tm_year + 1900 < 0) return std::nullopt;
  const auto byte = [](int value) { return static_cast<std::uint8_t>(value); };
  const EfiTime time{static_cast<std::uint16_t>(utc.tm_year + 1900),
                     byte(utc.tm_mon + 1),
                     byte(utc.tm_mday),
                     byte(utc.tm_hour),
                     byte(utc.tm_min),
                     byte(utc.tm_sec)};
  if (!is_valid(time)) return std::nullopt;
  return time;
}

Result<SignedDataParts> decode_signed_data(Bytes signed_data) {
  Reader file{signed_data};
  auto outer = TRY(file.finish(read_der(file, der_sequence)));
  Reader in{outer.content};
  if (next_der_is(in, der_oid)) {  // ContentInfo: a type, and the SignedData in [0]
    (void)read_der(in, der_oid);
    Reader explicit_content{read_der(in, der_context_0).content};
    if (!in.ok()) return fail(in.error());
    outer = TRY(explicit_content.finish(read_der(explicit_content, der_sequence)));
    in = Reader{outer.content};
  }
  SignedDataParts parts;
  (void)read_der(in, der_integer);
  (void)read_der(in, der_set);       // digest algorithms
  (void)read_der(in, der_sequence);  // what is signed: nothing, it lies outside
  if (next_der_is(in, der_context_0)) {
    Reader certificates{read_der(in).content};
    while (certificates.ok() && certificates.left() > 0 && parts.certificates.size() < signed_parts_cap)
      parts.certificates.push_back(read_der(certificates, der_sequence).whole);
    TRY(certificates.finish(true));
  }
  if (next_der_is(in, der_context_1)) (void)read_der(in);  // revocation lists
  Reader signers{read_der(in, der_set).content};
  while (signers.ok() && signers.left() > 0 && parts.signers.size() < signed_parts_cap) {
    Reader signer{read_der(signers, der_sequence).content};
    (void)read_der(signer, der_integer);
    Reader who{read_der(signer, der_sequence).content};
    const Bytes issuer = read_der(who, der_sequence).whole;
    const Bytes serial_number = read_der(who, der_integer).whole;
    if (!signer.ok()) return fail(signer.error());
    TRY(who.finish(true));
    parts.signers.push_back({issuer, serial_number});
  }
  TRY(signers.finish(true));
  return in.finish(std::move(parts));
}

Bytes signer_certificate(const SignedDataParts& parts) {
  if (parts.signers.empty()) return {};
  const auto& signer = parts.signers.front();
  for (const auto certificate : parts.certificates) {
    const auto names = decode_certificate_names(certificate);
    if (names && std::ranges::equal(names->issuer, signer.issuer) &&
        std::ranges::equal(names->serial_number, signer.serial_number))
      return certificate;
  }
  return {};
}

}  // namespace ingot::codec
