#include "ingot/check/signed_image.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "ingot/codec/esl.hpp"
#include "ingot/crypto/authenticode.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::check {
namespace {

/// UEFI 2.10, "Signature Database": the kinds of entries that are digests of an image.
std::optional<HashAlg> digest_kind(const Guid& type) {
  constexpr Guid sha384 = make_guid("ff3e5307-9fd0-48c9-85f1-8ad56c701e01");
  constexpr Guid sha512 = make_guid("093e0fae-a6c4-4f50-9f1b-d41e2b89c19a");
  if (type == codec::efi_cert_sha256_guid) return HashAlg::sha256;
  if (type == sha384) return HashAlg::sha384;
  if (type == sha512) return HashAlg::sha512;
  return std::nullopt;
}

struct Entries {
  std::vector<crypto::Certificate> certificates;
  std::vector<std::pair<HashAlg, Buffer>> digests;
};

Result<Entries> read_db(Bytes data) {
  Entries out;
  for (const auto& list : TRY_IN("db", codec::decode_signature_lists(data)))
    for (const auto& entry : list.signatures) {
      if (const auto alg = digest_kind(list.type)) out.digests.emplace_back(*alg, entry.data);
      // What cannot be read allows nothing.
      if (list.type != codec::efi_cert_x509_guid) continue;
      if (auto certificate = crypto::Certificate::from_der(entry.data)) out.certificates.push_back(*certificate);
    }
  return out;
}

Result<Entries> read_dbx(Bytes data) {
  Entries out;
  for (const auto& list : TRY_IN("dbx", codec::decode_signature_lists(data)))
    for (const auto& entry : list.signatures) {
      if (const auto alg = digest_kind(list.type)) {
        out.digests.emplace_back(*alg, entry.data);
      } else if (list.type == codec::efi_cert_x509_guid) {
        out.certificates.push_back(TRY_IN("dbx", crypto::Certificate::from_der(entry.data)));
      } else {
        return fail(ErrorCode::unsupported,
                    fmt::format("dbx has entries of kind {}, which are not judged here", to_text(list.type)),
                    "verify against a dbx of X.509 certificates and SHA-256, -384 and -512 digests");
      }
    }
  return out;
}

const crypto::Certificate* signed_under(Bytes signature, const std::vector<crypto::Certificate>& anchors) {
  for (const auto& anchor : anchors)
    if (crypto::verify_authenticode(signature, anchor)) return &anchor;
  return nullptr;
}

std::optional<HashAlg> listed(const Digests& image, const Entries& entries) {
  for (const auto& [alg, digest] : entries.digests)
    if (image.at(alg) == digest) return alg;
  return std::nullopt;
}

/// Every digest that a signature or an entry speaks of.
Result<Digests> image_digests(const ByteSource& file, const codec::Pe& pe,
                              const std::vector<codec::WinCertificate>& signatures,
                              std::initializer_list<const Entries*> databases) {
  std::set<HashAlg> algs = {HashAlg::sha256};
  for (const auto* entries : databases)
    for (const auto& entry : entries->digests) algs.insert(entry.first);
  for (const auto& signature : signatures)
    if (const auto over = crypto::signed_image_digest(signature.content)) algs.insert(over->alg);
  return measure::authenticode_digests(file, pe, std::vector(algs.begin(), algs.end()));
}

}  // namespace

Result<ImageJudgement> judge_image(const ByteSource& file, const codec::Pe& pe, const SignatureDatabases& databases) {
  const auto allowed = TRY(read_db(databases.db));
  const auto forbidden = TRY(read_dbx(databases.dbx));
  const auto signatures = TRY(codec::pe_certificates(file, pe));
  const auto image = TRY(image_digests(file, pe, signatures, {&allowed, &forbidden}));
  if (const auto alg = listed(image, forbidden))
    return ImageJudgement{false, fmt::format("its {} digest {} is in dbx", to_text(*alg), to_hex(image.at(*alg)))};
  std::string accepted_by;
  std::vector<std::string> reasons;
  for (std::size_t i = 0; i < signatures.size(); ++i) {
    const std::string which = fmt::format("signature {}", i + 1);
    if (signatures[i].type != codec::WinCertificate::pkcs_signed_data) {
      reasons.push_back(fmt::format("{} is of type 0x{:04x}, not PKCS#7", which, signatures[i].type));
      continue;
    }
    const Bytes signature = signatures[i].content;
    if (const auto* anchor = signed_under(signature, forbidden.certificates))
      return ImageJudgement{false, fmt::format("{} is under \"{}\", which is in dbx", which, anchor->subject())};
    const auto over = crypto::signed_image_digest(signature);
    if (!over) {
      reasons.push_back(which + ": " + over.error().message);
    } else if (!(image.at(over->alg) == over->digest)) {
      reasons.push_back(which + " is over other bytes: the file was changed after it was signed");
    } else if (const auto* anchor = signed_under(signature, allowed.certificates)) {
      if (accepted_by.empty()) accepted_by = fmt::format("{} is under \"{}\"", which, anchor->subject());
    } else {
      reasons.push_back(which + " is under no certificate of db");
    }
  }
  if (!accepted_by.empty()) return ImageJudgement{true, accepted_by};
  if (const auto alg = listed(image, allowed))
    return ImageJudgement{true, fmt::format("its {} digest is in db", to_text(*alg))};
  if (signatures.empty()) reasons.emplace_back("it is not signed, and its digest is not in db");
  return ImageJudgement{false, fmt::format("{}", fmt::join(reasons, "; "))};
}

}  // namespace ingot::check
