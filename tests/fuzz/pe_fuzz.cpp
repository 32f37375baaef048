// Any file: decoding ends, every offset and size that comes out lies inside the file, the hash and the signatures
// follow.
#include "fuzz.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/measure/uki.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = memory_source(Buffer(data, data + size));
  const auto pe = codec::decode_pe(*file);
  if (!pe) return 0;
  FUZZ_REQUIRE(pe->size_of_headers <= size && pe->security_directory_offset + 8u <= size);
  for (const auto& section : pe->sections) {
    if (section.raw_size != 0) FUZZ_REQUIRE(slice_source(file, section.raw_offset, section.raw_size));
    FUZZ_REQUIRE(pe->find(section.name) != nullptr);
  }
  (void)codec::pe_signatures(*file, *pe);
  constexpr HashAlg algs[] = {HashAlg::sha256};
  const auto digests = measure::authenticode_digests(*file, *pe, algs);
  if (!digests || pe->is_signed()) return 0;
  // Without a table, CheckSum is the one field that never counts.
  Buffer changed(data, data + size);
  changed[pe->checksum_offset] ^= 0xFF;
  FUZZ_REQUIRE(measure::authenticode_digests(*memory_source(changed), *pe, algs) == *digests);
  return 0;
}
