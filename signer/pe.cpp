#include "ingot/signer/pe.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/crypto/authenticode.hpp"
#include "ingot/measure/authenticode.hpp"
#include "ingot/measure/image_name.hpp"
#include "pe_output.hpp"

namespace ingot::signer {
namespace {

using codec::WinCertificate;

/// The hashes that the signatures to keep are over. One that says none of those we know is kept as it is.
std::vector<HashAlg> algorithms(const std::vector<WinCertificate>& kept) {
  std::vector<HashAlg> algs = {HashAlg::sha256};
  for (const auto& one : kept) {
    const auto over = crypto::signed_image_digest(one.content);
    if (over && std::find(algs.begin(), algs.end(), over->alg) == algs.end()) algs.push_back(over->alg);
  }
  return algs;
}

/// A signature over other bytes says that the file was changed since; one more would hide it.
Result<void> check_kept(const std::vector<WinCertificate>& kept, const Digests& digests) {
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto over = crypto::signed_image_digest(kept[i].content);
    if (over && !(digests.at(over->alg) == over->digest))
      return fail(ErrorCode::crypto,
                  fmt::format("signature {} is over other bytes: the file was changed after it was signed", i + 1),
                  "find out by whom; replacing the signatures takes the file as it is now");
  }
  return {};
}

Result<void> check_checksum(const codec::Pe& pe, std::uint32_t right) {
  if (pe.checksum == 0 || pe.checksum == right) return {};
  return fail(Error{ErrorCode::malformed,
                    fmt::format("CheckSum is 0x{:08x}, and the file's bytes make 0x{:08x}: it was damaged or changed",
                                pe.checksum, right),
                    "make the file anew; pesign leaves the old one, so for a file that it signed, say --any-checksum",
                    pe.checksum_offset, std::nullopt});
}

Result<Buffer> signer_of(Bytes signature) {
  const auto decoded = TRY(crypto::decode_authenticode(signature));
  if (!decoded.signer_certificate) return Buffer{};
  return decoded.signer_certificate->der();
}

}  // namespace

struct PeToSign::State {
  PeOutput out;
  std::vector<WinCertificate> kept;
  Digest digest;
};

PeToSign::PeToSign(std::unique_ptr<State> state) : state_(std::move(state)) {}
PeToSign::PeToSign(PeToSign&&) noexcept = default;
PeToSign::~PeToSign() = default;

Result<PeToSign> PeToSign::copy(SharedSource file, const std::string& out_path, const PeSigning& how) {
  const auto pe = TRY(codec::decode_pe(*file));
  if (pe.is_signed() && how.signatures == OldSignatures::refuse)
    return fail(ErrorCode::unsupported, "the file is already signed", "say --add or --replace");
  // Read in any case: a table that does not add up is not signed over.
  auto kept = TRY(codec::pe_certificates(*file, pe));
  Buffer old_table;
  if (pe.is_signed())
    old_table = TRY(read_part(*file, pe.certificate_table_offset, pe.certificate_table_size, 1u << 20));
  if (how.signatures == OldSignatures::replace) kept.clear();
  auto hasher = TRY(measure::AuthenticodeHasher::create(pe, algorithms(kept)));
  auto out = TRY(PeOutput::copy(
      *file, pe, out_path, [&](Bytes chunk) { hasher.pass(chunk); }, how.durability));
  if (how.checksum == OldChecksum::must_fit) TRY(check_checksum(pe, out.checksum_before(old_table)));
  const auto digests = TRY(hasher.finish(out));
  TRY(check_kept(kept, digests));
  return PeToSign(std::make_unique<State>(State{std::move(out), std::move(kept), digests.at(HashAlg::sha256)}));
}

const Digest& PeToSign::digest() const { return state_->digest; }

Result<void> PeToSign::finish(Bytes signature) {
  const auto over = TRY(crypto::signed_image_digest(signature));
  if (over.alg != HashAlg::sha256 || !(state_->digest == over.digest))
    return fail(ErrorCode::crypto, "the signature is over another file's digest", "sign this file's");
  const auto signer = TRY(signer_of(signature));
  for (std::size_t i = 0; i < state_->kept.size(); ++i)
    if (const auto earlier = signer_of(state_->kept[i].content); earlier && !signer.empty() && *earlier == signer)
      return fail(ErrorCode::crypto, fmt::format("signature {} is by the same certificate already", i + 1),
                  "say --replace to sign anew");
  auto table = state_->kept;
  // dwLength counts the padding, too: sbsign and Windows' tools write it so.
  WinCertificate own{.content = to_buffer(signature)};
  own.content.resize((own.content.size() + 7) / 8 * 8);
  table.push_back(std::move(own));
  return state_->out.finish(codec::encode_certificate_table(table));
}

Result<void> sign_pe(const SharedSource& file, const SigningKey& key, const std::string& out_path,
                     const PeSigning& how) {
  auto copy = TRY(PeToSign::copy(file, out_path, how));
  const auto name = measure::image_name(*file, TRY(codec::decode_pe(*file)));
  return copy.finish(TRY(authenticode_signature(copy.digest(), key, name, how.signing_time)));
}

}  // namespace ingot::signer
