#include "ingot/measure/authenticode.hpp"

#include <algorithm>

#include "ingot/measure/uki.hpp"

namespace ingot::measure {
namespace {

using Range = AuthenticodeHasher::Range;

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

AuthenticodeHasher::AuthenticodeHasher(const codec::Pe& pe, std::span<const HashAlg> algs)
    : algs_(algs.begin(), algs.end()), hashers_(algs.begin(), algs.end()), left_(hashed_ranges(pe)) {
  std::reverse(left_.begin(), left_.end());
  // "The Attribute Certificate Table" starts on 8 bytes: a signer pads the file first, and hashes the padding.
  if (!pe.is_signed()) padding_ = (8 - pe.file_size % 8) % 8;
}

Result<AuthenticodeHasher> AuthenticodeHasher::create(const codec::Pe& pe, std::span<const HashAlg> algs) {
  if (pe.security_directory_offset + 8u > pe.size_of_headers)
    return fail(ErrorCode::malformed, "SizeOfHeaders ends before the certificate table's directory entry");
  return AuthenticodeHasher(pe, algs);
}

void AuthenticodeHasher::feed(Bytes bytes) {
  for (auto& hasher : hashers_) hasher.update(bytes);
}

void AuthenticodeHasher::pass(Bytes bytes) {
  const std::uint64_t start = passed_;
  passed_ += bytes.size();
  while (!left_.empty()) {
    auto& next = left_.back();
    // Behind these bytes; or, where sections leave gaps, before them: finish() goes back for it.
    if (next.offset < start || next.offset >= passed_) return;
    const std::uint64_t here = std::min(next.size, passed_ - next.offset);
    feed(bytes.subspan(static_cast<std::size_t>(next.offset - start), static_cast<std::size_t>(here)));
    next = {next.offset + here, next.size - here};
    if (next.size == 0) left_.pop_back();
  }
}

Result<Digests> AuthenticodeHasher::finish(const ByteSource& file) {
  for (; !left_.empty(); left_.pop_back())
    TRY(for_each_chunk(file, left_.back().offset, left_.back().size, [&](Bytes chunk) -> Result<void> {
      feed(chunk);
      return {};
    }));
  feed(Buffer(static_cast<std::size_t>(padding_)));
  Digests digests;
  for (std::size_t i = 0; i < algs_.size(); ++i) digests[algs_[i]] = hashers_[i].finish();
  return digests;
}

Result<Digests> authenticode_digests(const ByteSource& file, const codec::Pe& pe, std::span<const HashAlg> algs) {
  return TRY(AuthenticodeHasher::create(pe, algs)).finish(file);
}

}  // namespace ingot::measure
