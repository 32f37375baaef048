// PE/COFF images (Microsoft "PE Format" revision 2024-09), as far as UEFI boot files use them: PE32+, x86-64
// and AArch64. The decoder reads headers only; section contents stay in their source.
#pragma once

#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/base/source.hpp"

namespace ingot::codec {

struct PeSection {
  std::string name;  ///< at most 8 bytes
  std::uint32_t virtual_size = 0;
  std::uint32_t virtual_address = 0;
  std::uint32_t raw_size = 0;
  std::uint32_t raw_offset = 0;
  std::uint32_t characteristics = 0;
};

struct Pe {
  std::uint16_t machine = 0;
  std::uint32_t pe_header_offset = 0;  ///< of "PE\0\0"
  std::uint32_t optional_header_offset = 0;
  std::uint32_t section_table_offset = 0;
  std::uint32_t checksum_offset = 0;            ///< of OptionalHeader.CheckSum
  std::uint32_t security_directory_offset = 0;  ///< of the certificate table's data directory entry
  std::uint32_t section_alignment = 0;
  std::uint32_t file_alignment = 0;
  std::uint32_t size_of_image = 0;
  std::uint32_t size_of_headers = 0;
  std::uint32_t checksum = 0;  ///< OptionalHeader.CheckSum; 0: not set. UEFI firmware does not look at it
  std::uint64_t certificate_table_offset = 0;  ///< 0 when unsigned
  std::uint64_t certificate_table_size = 0;
  std::uint64_t file_size = 0;
  std::vector<PeSection> sections;

  [[nodiscard]] const PeSection* find(std::string_view name) const;
  [[nodiscard]] bool is_signed() const { return certificate_table_size != 0; }
};

/// Rejects overlapping or out-of-file sections, tables past the end, PE32 (32 bit), more than 96 sections.
Result<Pe> decode_pe(const ByteSource& file);

/// WIN_CERTIFICATE: one entry of the certificate table ("The Attribute Certificate Table").
struct WinCertificate {
  static constexpr std::uint16_t pkcs_signed_data = 0x0002;  ///< wCertificateType of Authenticode

  std::uint16_t revision = 0x0200;
  std::uint16_t type = pkcs_signed_data;
  Buffer content;  ///< bCertificate; may end in padding that dwLength counts
  bool operator==(const WinCertificate&) const = default;
};

/// All entries of the certificate table, in order; none of an unsigned file. Errors: entries that do not add up to the
/// table's size, more than 16 (limit), a table of more than 1 MiB (limit).
Result<std::vector<WinCertificate>> pe_certificates(const ByteSource& file, const Pe& pe);
/// Each entry starts on 8 bytes, and so does what would follow the table.
Buffer encode_certificate_table(const std::vector<WinCertificate>& certificates);

/// The contents of the entries of type PKCS#7, in order.
Result<std::vector<Buffer>> pe_signatures(const ByteSource& file, const Pe& pe);

/// "Optional Header Windows-Specific Fields", CheckSum: "the algorithm for computing the checksum is incorporated into
/// IMAGHELP.DLL": the 16-bit little-endian words of the file, CheckSum itself left out, added with end-around carry,
/// plus the file's size. sbsign and osslsigncode set it; pesign leaves the old one.
class PeChecksum {
 public:
  /// Counts bytes that stand at this offset of the file.
  void add(std::uint64_t offset, Bytes bytes);
  /// Takes back what add() has counted of bytes at this offset.
  void take_back(std::uint64_t offset, Bytes bytes);
  [[nodiscard]] std::uint32_t value(std::uint64_t file_size) const;

 private:
  std::uint64_t sum_ = 0;
};

/// The CheckSum that a file should have.
Result<std::uint32_t> pe_checksum(const ByteSource& file, const Pe& pe);

}  // namespace ingot::codec
