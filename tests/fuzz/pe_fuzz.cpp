// Any file: decoding ends, every offset and size that comes out lies inside the file, the hash, CheckSum, the
// signatures and what they say follow, and the certificate table survives being written again.
#include <algorithm>

#include "fuzz.hpp"
#include "ingot/check/signed_image.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/codec/pe_names.hpp"
#include "ingot/crypto/authenticode.hpp"
#include "ingot/measure/authenticode.hpp"
#include "ingot/measure/boot_chain.hpp"
#include "ingot/measure/uki.hpp"

using namespace ingot;

namespace {

constexpr HashAlg algs[] = {HashAlg::sha256};

void check_table(const ByteSource& file, const codec::Pe& pe) {
  const auto certificates = codec::pe_certificates(file, pe);
  if (!certificates) return;
  const auto table = codec::encode_certificate_table(*certificates);
  codec::Pe again;
  again.certificate_table_size = table.size();
  FUZZ_REQUIRE(codec::pe_certificates(*memory_source(table), again) == *certificates);
  for (const auto& one : *certificates) {
    const auto signature = crypto::decode_authenticode(one.content);
    if (!signature) continue;
    // What can be listed can be judged, and its own certificate is one to judge it by.
    FUZZ_REQUIRE(crypto::signed_image_digest(one.content)->digest == signature->image.digest);
    if (signature->signer_certificate) (void)crypto::verify_authenticode(one.content, *signature->signer_certificate);
  }
}

/// A file whose digest is in db starts unless dbx says no; with its digest in dbx it never does.
void check_judgement(const ByteSource& file, const codec::Pe& pe, const Digest& digest) {
  const auto list = codec::encode_signature_lists({{codec::efi_cert_sha256_guid, {}, {{{}, digest}}}});
  const auto allowed = check::judge_image(file, pe, {list, {}});
  const auto forbidden = check::judge_image(file, pe, {list, list});
  FUZZ_REQUIRE(allowed.has_value() == forbidden.has_value());
  if (allowed) FUZZ_REQUIRE(allowed->accepted && !forbidden->accepted);
}

/// Passing by in pieces hashes what reading hashes.
void check_passing(const ByteSource& file, const codec::Pe& pe, Bytes bytes, const Digests& wanted) {
  auto hasher = measure::AuthenticodeHasher::create(pe, algs);
  FUZZ_REQUIRE(hasher);
  for (std::size_t at = 0; at < bytes.size(); at += 100)
    hasher->pass(bytes.subspan(at, std::min<std::size_t>(100, bytes.size() - at)));
  FUZZ_REQUIRE(hasher->finish(file) == wanted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = memory_source(Buffer(data, data + size));
  const auto pe = codec::decode_pe(*file);
  if (!pe) return 0;
  FUZZ_REQUIRE(pe->size_of_headers <= size && pe->security_directory_offset + 8u <= size);
  for (const auto& section : pe->sections) {
    if (section.raw_size != 0) FUZZ_REQUIRE(slice_source(file, section.raw_offset, section.raw_size));
    FUZZ_REQUIRE(pe->find(section.name) != nullptr);
  }
  // What can be called by a name is one of the two that start UKIs.
  if (measure::describe_first_stage(*file)) FUZZ_REQUIRE(measure::boot_chain_of(*file) != BootChain::uki);
  if (const auto named = codec::find_long_section(*file, *pe, ".sbatlevel"); named && *named != nullptr)
    FUZZ_REQUIRE(*named >= pe->sections.data() && *named < pe->sections.data() + pe->sections.size());
  (void)codec::pe_signatures(*file, *pe);
  (void)measure::describe_image(*file, *pe);
  FUZZ_REQUIRE(codec::pe_checksum(*file, *pe));
  check_table(*file, *pe);
  const auto digests = measure::authenticode_digests(*file, *pe, algs);
  if (!digests) return 0;
  check_judgement(*file, *pe, digests->at(HashAlg::sha256));
  check_passing(*file, *pe, Bytes(data, size), *digests);
  if (pe->is_signed()) return 0;
  // Without a table, CheckSum is the one field that never counts.
  Buffer changed(data, data + size);
  changed[pe->checksum_offset] ^= 0xFF;
  FUZZ_REQUIRE(measure::authenticode_digests(*memory_source(changed), *pe, algs) == *digests);
  return 0;
}
