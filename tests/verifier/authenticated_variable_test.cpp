#include "ingot/codec/authenticated_variable.hpp"

#include <catch2/catch.hpp>

#include "decoder_checks.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/certificate_names.hpp"
#include "ingot/codec/der.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

constexpr EfiTime may{2024, 5, 6, 7, 8, 9};

Buffer der(std::uint8_t tag, std::initializer_list<Bytes> parts) {
  Writer content;
  for (const auto part : parts) content.bytes(part);
  return encode_der(tag, content.view());
}
Buffer number(std::uint8_t value) { return encode_der(der_integer, Buffer{value}); }

/// "CN=<text>".
Buffer name(std::string_view text) {
  const Buffer common_name = {0x06, 0x03, 0x55, 0x04, 0x03};
  return der(der_sequence, {der(der_set, {der(der_sequence, {common_name, encode_der(0x0C, as_bytes(text))})})});
}

/// The shape of a certificate; its key and signature are of no interest here.
Buffer certificate(std::string_view subject, std::uint8_t serial) {
  const auto nothing = encode_der(der_sequence, {});
  const Buffer version = {0xA0, 0x03, 0x02, 0x01, 0x02};
  const auto body =
      der(der_sequence, {version, number(serial), nothing, name("issuer"), nothing, name(subject), nothing});
  return der(der_sequence, {body, nothing, Buffer{0x03, 0x01, 0x00}});
}

Buffer signed_data(std::initializer_list<Bytes> certificates, std::uint8_t signer) {
  const auto nothing = encode_der(der_sequence, {});
  const auto who = der(der_sequence, {name("issuer"), number(signer)});
  const auto signer_info =
      der(der_sequence, {number(1), who, nothing, nothing, encode_der(der_octet_string, Buffer(8, 1))});
  return der(der_sequence, {number(1), encode_der(der_set, {}), nothing, der(der_context_0, certificates),
                            encode_der(der_set, signer_info)});
}

AuthenticatedUpdate example() { return {may, signed_data({certificate("one", 1), certificate("two", 2)}, 2), {}}; }

/// EFI_TIME, WIN_CERTIFICATE_UEFI_GUID and a body, from their fields.
Buffer update(Bytes time, std::uint32_t length, std::uint16_t revision, std::uint16_t type, const Guid& kind,
              Bytes body) {
  return Writer{}.bytes(time).u32le(length).u16le(revision).u16le(type).bytes(kind.bytes).bytes(body).take();
}

}  // namespace

TEST_CASE("authenticated variable: the layout is the specification's") {
  const AuthenticatedUpdate one{may, Buffer{0x30, 0x01, 0xAA}, Buffer{1, 2, 3}};
  CHECK(to_hex(encode_authenticated_update(one)) ==
        "e807"
        "05060708"
        "09"
        "00"
        "00000000"
        "0000"
        "00"
        "00"  // EFI_TIME
        "1b000000"
        "0002"
        "f10e"                              // dwLength, wRevision, wCertificateType
        "9dd2af4adf68ee498aa9347d375665a7"  // EFI_CERT_TYPE_PKCS7_GUID
        "3001aa"
        "010203");
  CHECK(to_hex(signed_bytes(*find_key_variable("db"), UpdateKind::append, may, Buffer{0xEE})) ==
        "64006200"
        "cbb219d73a3d9645a3bcdad00e67656f"
        "67000000"
        "e8070506070809000000000000000000"
        "ee");
  CHECK(to_hex(signed_bytes(*find_key_variable("PK"), UpdateKind::replace, may, {})) ==
        "50004b00"
        "61dfe48bca93d211aa0d00e098032b8c"
        "27000000"
        "e8070506070809000000000000000000");
}

TEST_CASE("authenticated variable: what is encoded is decoded, and every byte counts") {
  auto one = example();
  const auto bytes = encode_authenticated_update(one);
  CHECK(decode_authenticated_update(bytes) == one);
  test::notices_every_byte(bytes, 0, bytes.size(), decode_authenticated_update);
  test::rejects_every_prefix(bytes, decode_authenticated_update);
  one.content = {1, 2, 3};
  CHECK(decode_authenticated_update(encode_authenticated_update(one)) == one);
}

TEST_CASE("authenticated variable: what firmware refuses whatever the keys is malformed") {
  const Guid pkcs7 = make_guid("4aafd29d-68df-49ee-8aa9-347d375665a7");
  const Guid other = make_guid("a7717414-c616-4977-9420-844712a735bf");  // EFI_CERT_TYPE_RSA2048_SHA256_GUID
  const Buffer time = {0xE8, 7, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  auto zoned = time;
  zoned[12] = 60;
  const Buffer body = {0x30, 0x01, 0xAA};
  struct Row {
    const char* name;
    Buffer bytes;
    const char* said;
  };
  const Row rows[] = {
      {"a time zone", update(zoned, 27, 0x200, 0xEF1, pkcs7, body), "time zone"},
      {"another revision", update(time, 27, 0x100, 0xEF1, pkcs7, body), "not an authenticated update"},
      {"a PE file's certificate", update(time, 27, 0x200, 2, pkcs7, body), "not an authenticated update"},
      {"another kind of certificate", update(time, 27, 0x200, 0xEF1, other, body), "not an authenticated update"},
      {"a length of 0", update(time, 0, 0x200, 0xEF1, pkcs7, body), "has no signature"},
      {"no signature", update(time, 24, 0x200, 0xEF1, pkcs7, body), "has no signature"},
      {"a length of 4 GiB", update(time, 0xFFFFFFFF, 0x200, 0xEF1, pkcs7, body), "truncated"},
      {"bytes behind the signature", update(time, 28, 0x200, 0xEF1, pkcs7, Buffer{0x30, 1, 0xAA, 0}), "trailing"},
      {"half a signature", update(time, 26, 0x200, 0xEF1, pkcs7, body), "truncated"},
      {"no SEQUENCE", update(time, 27, 0x200, 0xEF1, pkcs7, Buffer{0x04, 1, 0xAA}), "tag 0x04"},
      {"signature lists alone", Buffer(100, 0x2A), "time zone"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const auto decoded = decode_authenticated_update(row.bytes);
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == ErrorCode::malformed);
    CHECK_THAT(decoded.error().message, Catch::Contains(row.said));
  }
  CHECK(decode_authenticated_update(Buffer(authenticated_update_cap_bytes + 1)).error().code == ErrorCode::limit);
}

TEST_CASE("authenticated variable: the signer's certificate is found by issuer and serial number") {
  const auto one = certificate("one", 1), two = certificate("two", 2);
  const auto bare = signed_data({one, two}, 2);
  const auto check = [&](const Buffer& bytes) {
    const auto parts = decode_signed_data(bytes);
    REQUIRE(parts);
    REQUIRE(parts->certificates.size() == 2);
    CHECK(to_buffer(signer_certificate(*parts)) == two);
  };
  check(bare);
  const Buffer signed_data_oid = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02};
  const auto wrapped = der(der_sequence, {signed_data_oid, encode_der(der_context_0, bare)});
  check(wrapped);
  const auto absent = signed_data({one}, 2);
  CHECK(signer_certificate(*decode_signed_data(absent)).empty());
  test::rejects_every_prefix(wrapped, decode_signed_data);
}

TEST_CASE("certificate names: subject and issuer of a certificate, for people") {
  const auto bytes = certificate("Site\x1B[2J KEK", 5);
  const auto names = decode_certificate_names(bytes);
  REQUIRE(names);
  CHECK(name_text(names->subject) == "CN=Site?[2J KEK");
  CHECK(name_text(names->issuer) == "CN=issuer");
  CHECK(to_hex(names->serial_number) == "020105");
  test::rejects_every_prefix(bytes, decode_certificate_names);
  const auto one = name("one");
  test::rejects_every_prefix(one, name_text);
  CHECK(name_text(Buffer{0x30, 0x00}) == "");
}

TEST_CASE("der: the shortest length, and no other") {
  for (const std::size_t size : {0u, 1u, 127u, 128u, 255u, 256u, 65535u, 65536u, 70000u}) {
    INFO(size);
    const Buffer content(size, 0x5A);
    const auto bytes = encode_der(der_octet_string, content);
    Reader in{bytes};
    const auto element = read_der(in);
    CHECK(in.finish(true));
    CHECK(to_buffer(element.content) == content);
    CHECK(to_buffer(element.whole) == bytes);
  }
  for (const auto& [bytes, said] :
       std::initializer_list<std::pair<Buffer, const char*>>{{{0x30, 0x80, 0, 0}, "indefinite"},
                                                             {{0x30, 0x81, 0x01, 0}, "shortest"},
                                                             {{0x30, 0x82, 0x00, 0x80}, "shortest"},
                                                             {{0x30, 0x85, 1, 0, 0, 0, 0}, "4 GiB"},
                                                             {{0x1F, 0x81, 0x01, 0}, "several bytes"},
                                                             {{0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF}, "truncated"}}) {
    Reader in{bytes};
    (void)read_der(in);
    REQUIRE_FALSE(in.ok());
    CHECK_THAT(in.error().message, Catch::Contains(said));
  }
}

TEST_CASE("efi time: dates as people and SOURCE_DATE_EPOCH give them") {
  CHECK(parse_efi_time("2024-05-06 07:08:09") == may);
  CHECK(parse_efi_time("2024-05-06T07:08:09Z") == may);
  CHECK(efi_time_of(1714979289) == may);
  CHECK(to_text(may) == "2024-05-06 07:08:09");
  CHECK(parse_efi_time("2024-02-29 00:00:00"));
  for (const char* bad :
       {"", "2024-05-06", "2024-05-06 07:08", "2023-02-29 00:00:00", "2024-13-01 00:00:00", "2024-00-01 00:00:00",
        "2024-04-31 00:00:00", "2024-01-01 24:00:00", "2024-01-01 00:00:60", "1997-01-01 00:00:00",
        "2024-05-06 07:08:09Z", "2024-05-06T07:08:09", "2024-05-06 07:08:0x"}) {
    INFO(bad);
    CHECK_FALSE(parse_efi_time(bad));
  }
  CHECK_FALSE(efi_time_of(0));
  CHECK_FALSE(efi_time_of(-1));
  CHECK_FALSE(efi_time_of(INT64_MAX));
}
