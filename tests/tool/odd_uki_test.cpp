// A hundred UKIs of odd shapes: our Authenticode digest is sbsign's and pesign's, sbverify takes our signature, and we
// take sbsign's. Some of them boot in tests/rig/odd_uki_test.cpp.
//
// Where the tools differ (Debian 12: sbsigntool 0.9.4, pesign 0.112, osslsigncode 2.9), found by recomputing what each
// of them hashes for all of these files:
// - Gaps between sections. "Calculating the PE Image Hash" counts bytes and goes on at that count, so behind gaps it
//   hashes the end of the last sections twice and leaves the gaps out. Firmware (edk2), sbsign and pesign do so.
//   osslsigncode gives another digest for exactly the files with gaps between sections, so it is not asked.
// - Order. pesign sorts all section headers but the last one of the table: when the last one is not the last in the
//   file, too, its digest is one that nobody else makes.
// - Padding. Without -P pesign does not count the zeros that a signer puts before the table. With it, it pads what lies
//   behind the sections to 8 bytes, which is another number when the sections' sizes are not multiples of 8. So it is
//   shown files that are padded already.
#include "odd_uki.hpp"

#include "ingot/builder/image.hpp"
#include "ingot/check/signed_image.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/crypto/authenticode.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/signer/sign.hpp"
#include "sign_lab.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

/// The stub is its own kernel here: nothing of it runs.
Buffer plain_uki() {
  builder::UkiParts parts;
  parts.stub = file_source(plain_pe).value();
  parts.kernel = parts.stub;
  parts.initrd = memory_source(Buffer(10001, 0x17));
  parts.os_release = "ID=debian\n";
  parts.command_line = "quiet";
  parts.uname = "6.1.0";
  return read_all(*builder::uki_source(parts).value(), 1u << 24).value();
}

Digest digest_of(const Buffer& bytes) {
  const auto file = memory_source(bytes);
  constexpr HashAlg algs[] = {HashAlg::sha256};
  return measure::authenticode_digests(*file, codec::decode_pe(*file).value(), algs).value().at(HashAlg::sha256);
}

/// The digest that the file's first signature is over, as it stands in it.
Buffer signed_digest(const std::string& path) {
  const auto file = file_source(path).value();
  return crypto::signed_image_digest(codec::pe_signatures(*file, codec::decode_pe(*file).value()).value().at(0))
      .value()
      .digest;
}

bool pesign_sorts_all(const Buffer& bytes) {
  const auto pe = codec::decode_pe(*memory_source(bytes)).value();
  const auto& last = pe.sections.back();
  return last.raw_size == 0 || std::all_of(pe.sections.begin(), pe.sections.end(), [&](const auto& section) {
           return section.raw_size == 0 || section.raw_offset <= last.raw_offset;
         });
}

}  // namespace

TEST_CASE("odd UKIs: a hundred shapes hash as sbsign, sbverify and pesign say") {
  const SignLab lab;
  lab.make_signer("db");
  const auto key = signer::SigningKey::load(lab.at("db.key"), lab.at("db.crt")).value();
  const auto db = codec::encode_signature_lists({codec::x509_list({}, key.certificate().value().der())});
  const auto base = plain_uki();
  std::size_t by_pesign = 0, gaps = 0, out_of_order = 0, unaligned = 0, empty_sections = 0;
  for (std::uint32_t number = 0; number < 100; ++number) {
    const OddUki odd(base, number);
    INFO("UKI " << number << ": " << odd.shape.text());
    const auto digest = digest_of(odd.bytes);
    REQUIRE(write_file(lab.at("plain"), odd.bytes));
    lab.sbsign(lab.at("plain"), "db", lab.at("theirs"));
    CHECK(to_hex(signed_digest(lab.at("theirs"))) == to_hex(digest));
    const auto theirs = file_source(lab.at("theirs")).value();
    CHECK(check::judge_image(*theirs, codec::decode_pe(*theirs).value(), {db, {}})->accepted);
    REQUIRE(signer::sign_pe(file_source(lab.at("plain")).value(), key, lab.at("ours")));
    CHECK(lab.sbverifies(lab.at("ours"), "db"));
    if (pesign_sorts_all(odd.bytes)) {
      auto padded = odd.bytes;
      padded.resize((padded.size() + 7) / 8 * 8);
      REQUIRE(write_file(lab.at("padded"), padded));
      CHECK(pesign_hash(lab.at("padded")) == to_hex(digest));
      CHECK(pesign_hash(lab.at("ours")) == to_hex(digest));
      ++by_pesign;
    }
    gaps += odd.shape.gaps;
    out_of_order += odd.shape.out_of_order;
    unaligned += odd.bytes.size() % 8 != 0;
    const auto pe = codec::decode_pe(*memory_source(odd.bytes)).value();
    empty_sections +=
        std::any_of(pe.sections.begin(), pe.sections.end(), [](const auto& s) { return s.raw_size == 0; });
  }
  // The seeds make enough of each oddity.
  CHECK(by_pesign >= 70);
  for (const auto found : {gaps, out_of_order, unaligned, empty_sections}) CHECK(found >= 15);
}
