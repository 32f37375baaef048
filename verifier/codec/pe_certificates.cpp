// What changes in a PE file when it is signed: the certificate table and CheckSum.
#include <algorithm>
#include <bit>
#include <cstring>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/pe.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint64_t certificate_table_cap_bytes = 1u << 20;
constexpr std::size_t certificate_count_cap = 16;
constexpr std::uint32_t certificate_header_size = 8;
constexpr std::uint64_t alignment = 8;

/// A number that is the same modulo 2^16 - 1 as the sum of the bytes' 16-bit words: 2^16 is 1 there, and so is 2^64.
/// Zero for zeros alone.
std::uint64_t sum_of_words(std::uint64_t offset, Bytes bytes) {
  std::uint64_t first = 0, sum = 0, carries = 0;
  if (offset % 2 != 0 && !bytes.empty()) {
    first = std::uint64_t{bytes[0]} << 8;
    bytes = bytes.subspan(1);
  }
  std::size_t at = 0;
  for (; bytes.size() - at >= sizeof(std::uint64_t); at += sizeof(std::uint64_t)) {
    static_assert(std::endian::native == std::endian::little);
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    sum += word;
    carries += sum < word ? 1 : 0;
  }
  sum = (sum & 0xFFFFFFFF) + (sum >> 32) + carries + first;
  for (; at < bytes.size(); ++at) sum += std::uint64_t{bytes[at]} << (at % 2 * 8);
  return sum;
}

std::uint64_t folded(std::uint64_t sum) {
  while (sum > 0xFFFF) sum = (sum >> 16) + (sum & 0xFFFF);
  return sum;
}

}  // namespace

// Each entry starts on 8 bytes; dwLength counts its own header.
Result<std::vector<WinCertificate>> pe_certificates(const ByteSource& file, const Pe& pe) {
  std::vector<WinCertificate> certificates;
  if (!pe.is_signed()) return certificates;
  const auto table =
      TRY(read_part(file, pe.certificate_table_offset, pe.certificate_table_size, certificate_table_cap_bytes));
  Reader in{table};
  while (in.ok() && in.left() > 0) {
    const std::size_t start = in.at();
    const std::uint32_t length = in.u32le();
    WinCertificate certificate;
    certificate.revision = in.u16le();
    certificate.type = in.u16le();
    if (in.ok() && length < certificate_header_size) in.fail_with("a certificate is shorter than its own header");
    certificate.content = to_buffer(in.bytes(length - certificate_header_size));
    // The last entry's padding may be left out of the table's size.
    const std::uint64_t end = start + std::uint64_t{length};
    in.skip(std::min<std::uint64_t>(in.left(), (end + alignment - 1) / alignment * alignment - end));
    if (certificates.size() == certificate_count_cap) return fail(ErrorCode::limit, "more than 16 signatures");
    if (in.ok()) certificates.push_back(std::move(certificate));
  }
  auto result = in.finish(std::move(certificates));
  if (result) return result;
  auto error = std::move(result).error().in("certificate table");
  error.offset_bytes = error.offset_bytes.value_or(0) + pe.certificate_table_offset;
  return fail(std::move(error));
}

Buffer encode_certificate_table(const std::vector<WinCertificate>& certificates) {
  Writer out;
  for (const auto& certificate : certificates)
    out.u32le(static_cast<std::uint32_t>(certificate_header_size + certificate.content.size()))
        .u16le(certificate.revision)
        .u16le(certificate.type)
        .bytes(certificate.content)
        .align(alignment);
  return out.take();
}

Result<std::vector<Buffer>> pe_signatures(const ByteSource& file, const Pe& pe) {
  std::vector<Buffer> signatures;
  for (auto& certificate : TRY(pe_certificates(file, pe)))
    if (certificate.type == WinCertificate::pkcs_signed_data) signatures.push_back(std::move(certificate.content));
  return signatures;
}

void PeChecksum::add(std::uint64_t offset, Bytes bytes) { sum_ += folded(sum_of_words(offset, bytes)); }

void PeChecksum::take_back(std::uint64_t offset, Bytes bytes) { sum_ += 0xFFFF - folded(sum_of_words(offset, bytes)); }

std::uint32_t PeChecksum::value(std::uint64_t file_size) const {
  return static_cast<std::uint32_t>(folded(sum_) + file_size);
}

Result<std::uint32_t> pe_checksum(const ByteSource& file, const Pe& pe) {
  PeChecksum checksum;
  std::uint64_t at = 0;
  TRY(for_each_chunk(file, 0, pe.file_size, [&](Bytes chunk) -> Result<void> {
    checksum.add(at, chunk);
    at += chunk.size();
    return {};
  }));
  checksum.take_back(pe.checksum_offset, Writer{}.u32le(pe.checksum).view());
  return checksum.value(pe.file_size);
}

}  // namespace ingot::codec
