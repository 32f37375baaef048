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
  std::uint64_t certificate_table_offset = 0;  ///< 0 when unsigned
  std::uint64_t certificate_table_size = 0;
  std::uint64_t file_size = 0;
  std::vector<PeSection> sections;

  [[nodiscard]] const PeSection* find(std::string_view name) const;
  [[nodiscard]] bool is_signed() const { return certificate_table_size != 0; }
};

/// Rejects overlapping or out-of-file sections, tables past the end, PE32 (32 bit), more than 96 sections.
Result<Pe> decode_pe(const ByteSource& file);

/// WIN_CERTIFICATE entries of type PKCS#7 (0x0002): their bCertificate bytes, in order.
Result<std::vector<Buffer>> pe_signatures(const ByteSource& file, const Pe& pe);

}  // namespace ingot::codec
