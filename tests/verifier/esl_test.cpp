#include "ingot/codec/esl.hpp"

#include <catch2/catch.hpp>

#include "decoder_checks.hpp"
#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/crypto/certificate.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

constexpr Guid owner = make_guid("77fa9abd-0359-4d32-bd60-28f4e78f784b");
constexpr Guid other_type = make_guid("826ca512-cf10-4ac9-b187-be01496631bd");

std::vector<SignatureList> example() {
  return {x509_list(owner, Buffer(300, 0x30)),
          {efi_cert_sha256_guid, {}, {{owner, Buffer(32, 1)}, {Guid{}, Buffer(32, 2)}, {owner, Buffer(32)}}},
          {other_type, {9, 8, 7}, {{owner, {1}}}}};
}

/// EFI_SIGNATURE_LIST from its fields.
Buffer list(const Guid& type, std::uint32_t list_size, std::uint32_t header_size, std::uint32_t entry_size,
            std::size_t body) {
  return Writer{}.bytes(type.bytes).u32le(list_size).u32le(header_size).u32le(entry_size).fill(body, 7).take();
}

}  // namespace

TEST_CASE("esl: the layout is the specification's") {
  // UEFI 2.10, "EFI_SIGNATURE_LIST": type, list size, header size, signature size, header, signatures.
  const auto bytes = encode_signature_lists({{efi_cert_sha256_guid, {}, {{owner, Buffer(32, 0xAB)}}}});
  CHECK(to_hex(bytes) ==
        "2616c4c14c509240aca941f936934328"
        "4c000000"
        "00000000"
        "30000000" +
            to_hex(owner.bytes) + to_hex(Buffer(32, 0xAB)));
  CHECK(encode_signature_data({owner, {1, 2}}) == Writer{}.bytes(owner.bytes).u8(1).u8(2).take());
  CHECK(encode_signature_lists({}).empty());
}

TEST_CASE("esl: what is encoded is decoded, and every byte counts") {
  const auto lists = example();
  const auto bytes = encode_signature_lists(lists);
  CHECK(decode_signature_lists(bytes) == lists);
  test::notices_every_byte(bytes, 0, bytes.size(), decode_signature_lists);
  CHECK(decode_signature_lists({})->empty());
  const std::vector<SignatureList> without_entries = {{other_type, {1, 2}, {}}};
  CHECK(decode_signature_lists(encode_signature_lists(without_entries)) == without_entries);
}

TEST_CASE("esl: no prefix is whole, but for those that end with a list") {
  test::rejects_every_prefix(encode_signature_lists({example()[1]}),
                             // Nothing is a whole list of no lists.
                             [](Bytes data) { return !data.empty() && decode_signature_lists(data).has_value(); });
}

TEST_CASE("esl: certificates of different sizes become lists of their own") {
  SignatureList mixed{efi_cert_x509_guid,
                      {},
                      {{owner, Buffer(10, 1)}, {owner, Buffer(10, 2)}, {owner, Buffer(11, 3)}, {owner, Buffer(10, 4)}}};
  const auto decoded = decode_signature_lists(encode_signature_lists({mixed}));
  REQUIRE(decoded);
  REQUIRE(decoded->size() == 3);
  CHECK((*decoded)[0].signatures.size() == 2);
  CHECK((*decoded)[1].signatures == std::vector<SignatureData>{{owner, Buffer(11, 3)}});
  CHECK((*decoded)[2].signatures == std::vector<SignatureData>{{owner, Buffer(10, 4)}});
}

TEST_CASE("esl: damage is malformed") {
  struct Row {
    const char* name;
    Buffer bytes;
    const char* said;
  };
  const Row rows[] = {
      {"list size 0", list(other_type, 0, 0, 17, 17), "smaller than its header"},
      {"list smaller than its header", list(other_type, 27, 0, 17, 17), "smaller than its header"},
      {"header larger than the list", list(other_type, 45, 18, 17, 17), "smaller than its header"},
      {"header size that overflows", list(other_type, 45, 0xFFFFFFF0, 17, 17), "smaller than its header"},
      {"entries of size 0", list(other_type, 45, 0, 0, 17), "no multiple"},
      {"entries without data", list(other_type, 44, 0, 16, 16), "no multiple"},
      {"half an entry", list(other_type, 28 + 17 + 8, 0, 17, 25), "no multiple"},
      {"entry larger than the list", list(other_type, 45, 0, 18, 17), "no multiple"},
      {"list larger than the data", list(other_type, 28 + 34, 0, 17, 17), "truncated"},
      {"list of 4 GiB", list(other_type, 0xFFFFFFFF, 0xFFFFFFFF - 28 - 17, 17, 17), "truncated"},
      {"list of 4 GiB of entries", list(other_type, 28 + 17 * 200000000u, 0, 17, 17), "truncated"},
      {"a digest of 31 bytes", list(efi_cert_sha256_guid, 28 + 47, 0, 47, 47), "31 bytes"},
      {"digests with a header", list(efi_cert_sha256_guid, 28 + 1 + 48, 1, 48, 49), "with a header"},
      {"a certificate with a header", list(efi_cert_x509_guid, 28 + 1 + 48, 1, 48, 49), "with a header"},
      {"bytes behind the last list", list(other_type, 45, 0, 17, 18), "truncated"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const auto lists = decode_signature_lists(row.bytes);
    REQUIRE_FALSE(lists);
    CHECK(lists.error().code == ErrorCode::malformed);
    CHECK_THAT(lists.error().message, Catch::Contains(row.said));
  }
  CHECK(decode_signature_lists(list(other_type, 28 + 17 * 65537, 0, 17, 17 * 65537)).error().code == ErrorCode::limit);
  CHECK(decode_signature_lists(list(other_type, 28 + 17 * 65536, 0, 17, 17 * 65536)));
}

TEST_CASE("esl: Debian's enrolled keys, made by edk2, are read and written back as they are") {
  const auto flash = read_file("/usr/share/OVMF/OVMF_VARS_4M.ms.fd", 16u << 20);
  if (!flash) {
    WARN("skipped: package ovmf is not installed");
    return;
  }
  std::size_t certificates = 0;
  const auto variables = decode_variable_store(*flash).value();
  for (const auto& variable : variables) {
    if (variable.name != "PK" && variable.name != "KEK" && variable.name != "db" && variable.name != "dbx") continue;
    INFO(variable.name);
    const auto lists = decode_signature_lists(variable.data);
    REQUIRE(lists);
    CHECK(encode_signature_lists(*lists) == variable.data);
    for (const auto& one : *lists)
      for (const auto& entry : one.signatures)
        if (one.type == efi_cert_x509_guid) certificates += crypto::Certificate::from_der(entry.data).has_value();
  }
  CHECK(certificates >= 5);
}
