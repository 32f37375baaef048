#include "ingot/codec/ima.hpp"

#include <catch2/catch.hpp>

#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;
using codec::ImaEntry;

namespace {

// Lines of real kernels: a ThinkPad T490 (shared/vectors/quotes), keylime's test/test_ima_ast.py, and reports on the
// linux-integrity list. The template hash in each was made by a kernel, so it judges how template data is put together.
const char* const real_lines[] = {
    "10 4fb2e50f9e50dcef468a3ad17079b02ae9b463cc ima-ng sha1:d6524a6f8374eab8a5eb1c9d363ea4794f63ba6e boot_aggregate",
    "10 d7026dc672344d3ee372217bdbc7395947788671 ima 6f66d1d8e2fffcc12dfcb78c04b81fe5b8bbae4e /usr/bin/kmod",
    "10 7936eb315fb4e74b99e7d461bc5c96049e1ee092 ima-ng sha1:bc026ae66d81713e4e852465e980784dc96651f8 "
    "/usr/lib/systemd/systemd",
    "10 4141c82cb516ac3c846e0b08abcd6abeee7efa1a ima-ng "
    "sha256:b75d7f28772f71715a941c77e07e3922815391dd9cc5718ad21f2231c2da09bb /etc/hostname",
    "10 49ab61dd97ea2f759edcb6c6a3387ac67f0aa576 ima-buf "
    "sha256:0c907aab3261194f16b0c2a422a82f145bc9b9ecb8fdb633fa43e3e5379f0af2 kernel_version 372e312e302d7263312b",
    "10 5d4d5141ccd5066d50dc3f21d79ba02fedc24256 ima-sig "
    "sha256:b8ae0b8dd04a5935cd8165aa2260cd11b658bd71629bdb52256a675a1f73907b /usr/bin/zmore "
    "030204531f402500483046022100fe24678d21083ead47660e1a2d553a592d777c478d1b0466de6ed484b54956b3022100cad3adb37f277bbb"
    "03"
    "544d6107751b4cd4f2289d8353fa36257400a99334d5c3",
    "10 5426cf3031a43f5bfca183d79950698a95a728f6 ima-sig "
    "sha256:f1125b940480d20ad841d26d5ea253edc0704b5ec1548c891edf212cb1a9365e "
    "/lib/modules/5.4.48-openpower1/kernel/drivers/usb/common/usb-common.ko ",
};

std::string real_list() {
  std::string text;
  for (const auto* line : real_lines) text += std::string(line) + "\n";
  return text;
}

ImaEntry sealed(ImaEntry entry) {
  REQUIRE(codec::seal_ima_entry(entry));
  return entry;
}

ImaEntry simple(std::string name) {
  ImaEntry entry;
  entry.template_name = std::move(name);
  entry.digest_alg = "sha256";
  entry.digest = Buffer(32, 0xAB);
  entry.path = "/usr/lib/modules/x.ko";
  return entry;
}

/// One entry of each template.
std::vector<ImaEntry> of_every_template() {
  std::vector<ImaEntry> entries;
  for (const auto* name : {"ima-ng", "ima-sig", "ima-buf", "ima-modsig", "ima-ngv2", "ima-sigv2"}) {
    auto entry = simple(name);
    const std::string_view kind = name;
    if (kind.ends_with("v2")) entry.digest_type = "verity";
    if (kind == "ima-sig" || kind == "ima-sigv2" || kind == "ima-modsig") entry.signature = {3, 2, 4, 9};
    if (kind == "ima-buf") entry.buffer = {'k', '=', '1'};
    if (kind == "ima-modsig") {
      entry.modsig_digest = Writer{}.text("sha512:").u8(0).fill(64, 7).take();
      entry.modsig = {0x30, 0x82};
    }
    entries.push_back(sealed(entry));
  }
  auto legacy = simple("ima");
  legacy.digest_alg = "sha1";
  legacy.digest = Buffer(20, 1);
  entries.push_back(sealed(legacy));
  return entries;
}

}  // namespace

TEST_CASE("ima: template data of real lines hashes to what their kernels logged") {
  const auto entries = codec::decode_ima_ascii(as_bytes(real_list())).value();
  REQUIRE(entries.size() == std::size(real_lines));
  for (const auto& entry : entries) {
    INFO(entry.template_name << " " << entry.path);
    CHECK(crypto::hash(HashAlg::sha1, entry.template_data) == entry.template_hash);
    CHECK(codec::ima_extend_value(HashAlg::sha1, entry) == entry.template_hash);
    CHECK(entry.pcr == 10);
  }
  CHECK(entries[4].buffer == to_buffer(as_bytes("7.1.0-rc1+")));
  CHECK(entries[5].signature.size() == 81);
  CHECK(entries[6].signature.empty());
  CHECK(codec::encode_ima_ascii(entries) == real_list());
}

TEST_CASE("ima: the binary list holds the same, and both forms tell themselves apart") {
  const auto entries = codec::decode_ima_ascii(as_bytes(real_list())).value();
  const auto binary = codec::encode_ima(entries);
  CHECK(codec::decode_ima(binary).value() == entries);
  CHECK(codec::decode_any_ima(binary).value() == entries);
  CHECK(codec::decode_any_ima(as_bytes(real_list())).value() == entries);
  CHECK(codec::decode_any_ima({}).value().empty());
}

TEST_CASE("ima: every template survives both forms") {
  const auto entries = of_every_template();
  CHECK(codec::decode_ima(codec::encode_ima(entries)).value() == entries);
  CHECK(codec::decode_ima_ascii(as_bytes(codec::encode_ima_ascii(entries))).value() == entries);
  for (const auto& entry : entries) CHECK_FALSE(entry.is_violation());
}

TEST_CASE("ima: template hashes of another algorithm") {
  auto entries = of_every_template();
  for (auto& entry : entries) entry.template_hash = codec::ima_extend_value(HashAlg::sha256, entry);
  CHECK(codec::decode_ima(codec::encode_ima(entries), 32).value() == entries);
}

TEST_CASE("ima: a violation is logged as zeroes and extended as ones") {
  auto entry = simple("ima-ng");
  entry.digest = Buffer(32);
  entry = sealed(entry);
  entry.template_hash = Buffer(20);
  CHECK(entry.is_violation());
  CHECK(codec::ima_extend_value(HashAlg::sha256, entry) == Buffer(32, 0xFF));
  CHECK(codec::decode_ima(codec::encode_ima({entry})).value().front().is_violation());
}

TEST_CASE("ima: every truncation of a binary list is malformed, or ends between entries") {
  const auto entries = of_every_template();
  const auto binary = codec::encode_ima(entries);
  std::vector<std::size_t> ends = {0};
  for (std::size_t i = 1; i <= entries.size(); ++i)
    ends.push_back(codec::encode_ima({entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(i)}).size());
  for (std::size_t size = 0; size <= binary.size(); ++size) {
    const auto decoded = codec::decode_ima(Bytes(binary).first(size));
    const bool at_end = std::find(ends.begin(), ends.end(), size) != ends.end();
    INFO(size);
    CHECK(decoded.has_value() == at_end);
    if (!decoded) CHECK(decoded.error().code == ErrorCode::malformed);
  }
}

TEST_CASE("ima: defects of a binary list are malformed") {
  struct Row {
    const char* name;
    std::size_t at;
    Buffer bytes;
  };
  // PCR at 0, hash at 4, size of the name at 24, "ima-ng" at 28, size of the data at 34, size of the digest at 38,
  // "sha256:\0" at 42, size of the name at 82, name at 86.
  const Row row = GENERATE(values<Row>({
      {"PCR 24", 0, {24}},
      {"PCR 2^32-1", 0, {0xFF, 0xFF, 0xFF, 0xFF}},
      {"long template name", 24, {0xFF, 0xFF}},
      {"unknown template", 28, {'x'}},
      {"data longer than the list", 34, {0xFF, 0xFF}},
      {"data of 4 GiB", 34, {0xFF, 0xFF, 0xFF, 0xFF}},
      {"data shorter than its fields", 34, {40}},
      {"digest longer than the data", 38, {0xFF}},
      {"empty digest", 38, {0}},
      {"no colon in the algorithm", 48, {'x'}},
      {"no NUL behind the algorithm", 49, {'x'}},
      {"control character in the algorithm", 42, {1}},
      {"name that ends without NUL", 107, {'x'}},
      {"name with a NUL inside", 90, {0}},
  }));
  INFO(row.name);
  auto binary = codec::encode_ima({sealed(simple("ima-ng"))});
  REQUIRE(binary.size() == 108);
  std::copy(row.bytes.begin(), row.bytes.end(), binary.begin() + static_cast<std::ptrdiff_t>(row.at));
  const auto decoded = codec::decode_ima(binary);
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().code == ErrorCode::malformed);
  CHECK(decoded.error().message.find("entry 0") == 0);
}

TEST_CASE("ima: defects of an ASCII list are malformed, with the line") {
  const std::string good = std::string(real_lines[0]) + "\n";
  const std::string text = GENERATE_COPY(values<std::string>({
      good.substr(0, good.size() - 1),
      "x" + good,
      "24" + good.substr(2),
      "-1" + good.substr(2),
      "10 zz" + good.substr(5),
      "10 4fb2e50f9e50dcef468a3ad17079b02ae9b463cc ima-xx sha1:00 x\n",
      "10 4fb2e50f9e50dcef468a3ad17079b02ae9b463cc ima-ng sha1 x\n",
      "10 4fb2e50f9e50dcef468a3ad17079b02ae9b463cc ima-ng :00 x\n",
      "10 4fb2e50f9e50dcef468a3ad17079b02ae9b463cc ima-ng sha1:0 x\n",
      "10 4fb2e50f9e50dcef468a3ad17079b02ae9b463cc ima-ng sha1:00 x more\n",
      "10 4fb2e50f9e50dcef468a3ad17079b02ae9b463cc ima 00 x\n",
      "10 4fb2e50f9e50dcef468a3ad17079b02ae9b463cc ima-buf sha1:00 x zz\n",
      "\n",
  }));
  INFO(text);
  const auto decoded = codec::decode_ima_ascii(as_bytes(good + text));
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().code == ErrorCode::malformed);
}
