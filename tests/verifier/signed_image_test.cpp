// What must not depend on tools: digests in db and dbx, and files whose signatures are none. Signatures that sbsign
// made are judged in tests/tool/sign_verify_test.cpp.
#include "ingot/check/signed_image.hpp"

#include <catch2/catch.hpp>

#include "ingot/codec/esl.hpp"
#include "ingot/measure/uki.hpp"
#include "pe_image.hpp"

using namespace ingot;
using test::PeImage;
using test::win_certificate;

namespace {

constexpr Guid sha384_guid = make_guid("ff3e5307-9fd0-48c9-85f1-8ad56c701e01");

Buffer digest_list(const PeImage& image, HashAlg alg, const Guid& type) {
  const HashAlg algs[] = {alg};
  const Buffer digest = measure::authenticode_digests(*image.source(), image.decode().value(), algs)->at(alg);
  return codec::encode_signature_lists({{type, {}, {{{}, digest}}}});
}

check::ImageJudgement judge(const PeImage& image, Bytes db, Bytes dbx) {
  return check::judge_image(*image.source(), image.decode().value(), {db, dbx}).value();
}

}  // namespace

TEST_CASE("signed image: digests of any size allow, and forbid first") {
  const PeImage image;
  PeImage other;
  other.bytes[PeImage::text] ^= 1;
  const auto sha256 = digest_list(image, HashAlg::sha256, codec::efi_cert_sha256_guid);
  const auto sha384 = digest_list(image, HashAlg::sha384, sha384_guid);
  CHECK(judge(image, sha256, {}).accepted);
  CHECK(judge(image, sha384, {}).accepted);
  CHECK_FALSE(judge(other, sha256, {}).accepted);
  CHECK_FALSE(judge(image, {}, {}).accepted);
  CHECK_FALSE(judge(image, sha256, sha384).accepted);
  CHECK(judge(image, sha256, digest_list(other, HashAlg::sha256, codec::efi_cert_sha256_guid)).accepted);
}

TEST_CASE("signed image: an entry that is no signature accepts nothing, and does not hide a digest") {
  PeImage image;
  image.sign(win_certificate(as_bytes("not PKCS#7")));
  const auto judged = judge(image, {}, {});
  CHECK_FALSE(judged.accepted);
  CHECK(judged.reason.find("signature 1: not a PKCS#7 signature") != std::string::npos);
  CHECK(judge(image, digest_list(image, HashAlg::sha256, codec::efi_cert_sha256_guid), {}).accepted);
  PeImage kind;
  kind.sign(win_certificate(Buffer(32, 1), 0x0EF1));
  CHECK(judge(kind, {}, {}).reason.find("type 0x0ef1") != std::string::npos);
}

TEST_CASE("signed image: dbx with a certificate that cannot be read is an error; in db it allows nothing") {
  const PeImage image;
  const auto broken = codec::encode_signature_lists({codec::x509_list({}, Buffer(10, 0x30))});
  CHECK(check::judge_image(*image.source(), image.decode().value(), {{}, broken}).error().code == ErrorCode::malformed);
  CHECK_FALSE(judge(image, broken, {}).accepted);
}

TEST_CASE("describe image: what a file says of itself cannot move the cursor") {
  PeImage image;
  image.put(PeImage::section(0, 0), as_bytes(std::string_view(".uname\0\0", 8)));
  image.put(PeImage::section(1, 0), as_bytes(std::string_view(".cmdline", 8)));
  const auto text = [&] { return measure::describe_image(*image.source(), image.decode().value()).value(); };
  CHECK(text() == "PE, x86-64, 2 sections");  // no .linux
  image.put(PeImage::section(0, 0), as_bytes(std::string_view(".linux\0\0", 8)));
  image.put(PeImage::data, as_bytes(std::string_view("quiet \x1B[2J\x9B splash\0", 18)));
  const auto told = text();
  CHECK(told.find("UKI of a kernel that names no release") == 0);
  CHECK(told.find("command line \"quiet ") != std::string::npos);
  CHECK(told.find('\x1B') == std::string::npos);
}
