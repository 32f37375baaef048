#include "ingot/measure/authenticode.hpp"

#include <catch2/catch.hpp>

#include "ingot/crypto/hash.hpp"
#include "ingot/measure/uki.hpp"
#include "pe_image.hpp"

using namespace ingot;
using test::PeImage;
using test::win_certificate;

// The oracles (sbsign, osslsigncode, Debian's signed kernel) are in tests/tool; here is what must not depend on tools.
namespace {

constexpr HashAlg all[] = {HashAlg::sha1, HashAlg::sha256, HashAlg::sha384, HashAlg::sha512};

Digests digests(const PeImage& image, std::span<const HashAlg> algs = all) {
  return measure::authenticode_digests(*image.source(), image.decode().value(), algs).value();
}

/// The definition, for this image: everything but CheckSum, the certificate table's entry and the table.
Buffer hashed_bytes(const PeImage& image, std::size_t end) {
  const auto& b = image.bytes;
  const auto at = [&](std::size_t offset) { return b.begin() + static_cast<std::ptrdiff_t>(offset); };
  Buffer out(b.begin(), at(PeImage::checksum));
  out.insert(out.end(), at(PeImage::checksum + 4), at(PeImage::security_directory));
  out.insert(out.end(), at(PeImage::security_directory + 8), at(end));
  return out;
}

}  // namespace

TEST_CASE("authenticode: all but three fields is hashed, with every algorithm asked for") {
  const PeImage image;
  const auto wanted = hashed_bytes(image, image.bytes.size());
  const auto found = digests(image);
  REQUIRE(found.size() == std::size(all));
  for (const auto alg : all) CHECK(found.at(alg) == crypto::hash(alg, wanted));
  constexpr HashAlg one[] = {HashAlg::sha384};
  CHECK(digests(image, one).size() == 1);
  CHECK(digests(image, {}).empty());
}

TEST_CASE("authenticode: every byte outside of the three fields counts, none inside does") {
  PeImage image;
  image.append(Buffer(16, 5));
  const auto before = digests(image);
  constexpr HashAlg one[] = {HashAlg::sha256};
  // Headers and first bytes of the rest; a byte whose change makes the file unreadable is noticed, too.
  for (std::size_t at = 0; at < image.bytes.size(); ++at) {
    const bool excluded = (at >= PeImage::checksum && at < PeImage::checksum + 4);
    if (at >= PeImage::security_directory && at < PeImage::security_directory + 8) continue;  // makes it a signed file
    image.bytes[at] ^= 0x01;
    const auto pe = image.decode();
    const bool same = pe && measure::authenticode_digests(*image.source(), *pe, one)->at(HashAlg::sha256) ==
                                before.at(HashAlg::sha256);
    if (same != excluded) FAIL("byte " << at << (excluded ? " must not count" : " must count"));
    image.bytes[at] ^= 0x01;
  }
}

TEST_CASE("authenticode: a signature does not change the digest") {
  for (const std::size_t behind : {0u, 1u, 7u, 8u, 100u}) {
    INFO(behind << " bytes behind the sections");
    PeImage plain;
    plain.append(Buffer(behind, 0x77));
    PeImage with_one = plain;
    with_one.sign(win_certificate(Buffer(300, 1)));
    CHECK(digests(with_one) == digests(plain));
    PeImage other = plain;
    other.sign(win_certificate(Buffer(1000, 2)));
    CHECK(digests(other) == digests(plain));
  }
}

TEST_CASE("authenticode: the zeros that a signer pads with are hashed") {
  PeImage image;
  image.append(Buffer(3, 9));
  auto wanted = hashed_bytes(image, image.bytes.size());
  wanted.resize(wanted.size() + 5);
  CHECK(digests(image).at(HashAlg::sha256) == crypto::sha256(wanted));
}

TEST_CASE("authenticode: sections are taken in the order of the file, whatever the table's") {
  PeImage image;
  const auto straight = digests(image).at(HashAlg::sha256);
  // The same bytes with the two headers' file offsets exchanged: only the headers' own bytes differ.
  image.put32(PeImage::section(0, 20), PeImage::data);
  image.put32(PeImage::section(1, 20), PeImage::text);
  CHECK(digests(image).at(HashAlg::sha256) == crypto::sha256(hashed_bytes(image, image.bytes.size())));
  CHECK(digests(image).at(HashAlg::sha256) != straight);
}

TEST_CASE("authenticode: with a gap between sections the rest starts by the count of bytes, as firmware has it") {
  PeImage image;
  image.bytes.resize(0xA00);
  image.put32(PeImage::section(1, 20), 0x800);  // .data moves; 0x600 to 0x800 belong to no section
  std::fill_n(image.bytes.begin() + 0x800, 0x200, std::uint8_t{0xDD});
  auto wanted = hashed_bytes(image, PeImage::data);
  wanted.insert(wanted.end(), image.bytes.begin() + 0x800, image.bytes.end());
  wanted.insert(wanted.end(), image.bytes.begin() + 0x800,
                image.bytes.end());  // counted 0x800 bytes, so again from there
  CHECK(digests(image).at(HashAlg::sha256) == crypto::sha256(wanted));
}

TEST_CASE("authenticode: headers that end before the certificate table's entry are an error") {
  PeImage image;
  auto pe = image.decode().value();
  pe.size_of_headers = static_cast<std::uint32_t>(PeImage::security_directory);
  CHECK(measure::authenticode_digests(*image.source(), pe, all).error().code == ErrorCode::malformed);
}

TEST_CASE("authenticode: bytes that pass by hash as the file does, whole or in part, in pieces of any size") {
  PeImage image;
  image.bytes.resize(0xA03);
  image.put32(PeImage::section(1, 20), 0x800);  // with a gap, so that some bytes are hashed twice
  std::fill(image.bytes.begin() + 0x600, image.bytes.end(), std::uint8_t{0xDD});
  for (const bool gap : {true, false}) {
    if (!gap) image = PeImage{};
    const auto pe = image.decode().value();
    const auto wanted = digests(image);
    for (const std::size_t step : {1u, 5u, 512u, 4096u})
      for (const std::size_t until : {std::size_t{0}, std::size_t{0x123}, image.bytes.size()}) {
        auto hasher = measure::AuthenticodeHasher::create(pe, all).value();
        for (std::size_t at = 0; at < until; at += step)
          hasher.pass(Bytes(image.bytes).subspan(at, std::min(step, until - at)));
        if (!(hasher.finish(*image.source()).value() == wanted))
          FAIL("pieces of " << step << " until " << until << (gap ? ", gap" : ""));
      }
  }
}
