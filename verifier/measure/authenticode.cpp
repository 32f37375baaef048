#include <algorithm>
#include <vector>

#include "ingot/crypto/hash.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::measure {
namespace {

struct Range {
  std::uint64_t offset;
  std::uint64_t size;
};

/// What is hashed, in order. "Calculating the PE Image Hash":
/// 1. the headers without CheckSum and without the certificate table's directory entry;
/// 2. the sections in order of their place in the file;
/// 3. what follows the sections, without the certificate table (which decode_pe() holds to the end of the file).
/// UEFI firmware does the same (edk2 SecurityPkg/Library/DxeImageVerificationLib, HashPeImage(), and
/// SecurityPkg/Tcg/Tcg2Dxe, MeasurePeImageAndExtend()).
std::vector<Range> hashed_ranges(const codec::Pe& pe) {
  std::vector<Range> ranges = {
      {0, pe.checksum_offset},
      {pe.checksum_offset + 4u, pe.security_directory_offset - (pe.checksum_offset + 4u)},
      {pe.security_directory_offset + 8u, pe.size_of_headers - (pe.security_directory_offset + 8u)}};
  std::vector<Range> sections;
  for (const auto& section : pe.sections)
    if (section.raw_size != 0) sections.push_back({section.raw_offset, section.raw_size});
  std::sort(sections.begin(), sections.end(), [](const Range& a, const Range& b) { return a.offset < b.offset; });
  std::uint64_t hashed = pe.size_of_headers;
  for (const auto& section : sections) hashed += section.size;
  ranges.insert(ranges.end(), sections.begin(), sections.end());
  // SUM_OF_BYTES_HASHED is a count that serves as an offset too, so with gaps between sections the rest begins inside
  // the last one. Firmware takes that literally, and so do we.
  const std::uint64_t end = pe.file_size - pe.certificate_table_size;
  if (end > hashed) ranges.push_back({hashed, end - hashed});
  return ranges;
}

}  // namespace

Result<Digests> authenticode_digests(const ByteSource& file, const codec::Pe& pe, std::span<const HashAlg> algs) {
  std::vector<crypto::Hasher> hashers;
  for (const auto alg : algs) hashers.emplace_back(alg);
  const auto feed = [&](Bytes chunk) -> Result<void> {
    for (auto& hasher : hashers) hasher.update(chunk);
    return {};
  };
  if (pe.security_directory_offset + 8u > pe.size_of_headers)
    return fail(ErrorCode::malformed, "SizeOfHeaders ends before the certificate table's directory entry");
  for (const auto& range : hashed_ranges(pe)) TRY(for_each_chunk(file, range.offset, range.size, feed));
  // "The Attribute Certificate Table" starts on 8 bytes: a signer pads the file first, and hashes the padding.
  if (!pe.is_signed() && pe.file_size % 8 != 0) TRY(feed(Buffer(8 - pe.file_size % 8)));
  Digests digests;
  for (std::size_t i = 0; i < algs.size(); ++i) digests[algs[i]] = hashers[i].finish();
  return digests;
}

}  // namespace ingot::measure
