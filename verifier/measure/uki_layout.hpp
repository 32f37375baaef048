// Where a stub finds what it measures and hands on. Internal to measure/.
#pragma once

#include "ingot/codec/pe.hpp"
#include "ingot/model/event.hpp"
#include "pieces.hpp"

namespace ingot::measure {

inline constexpr std::uint64_t text_section_cap_bytes = 64u << 10;

/// Refuses what cannot be predicted: a file without .linux or .cmdline, a section twice, several profiles or
/// device trees of which the machine picks one.
Result<void> check_predictable(const codec::Pe& pe);

/// The section's bytes as loaded; an error (limit) past 64 KiB. Precondition: it is one of the file's sections.
Result<Buffer> read_section(const ByteSource& uki, const codec::PeSection& section);

/// What people want to read of a section: text on one line, or how large it is.
Result<std::string> section_text(const ByteSource& uki, const codec::PeSection& section);

/// The initrd as the stub concatenates it. `text` names its parts.
struct InitrdStream {
  Stream stream;
  std::string text;
};
Result<InitrdStream> initrd_stream(const ByteSource& uki, const codec::Pe& pe);

/// newc archive with one file in /.extra, byte for byte what systemd-stub's pack_cpio_literal() makes.
Stream extra_file_cpio(std::string_view name, const codec::PeSection& section);

}  // namespace ingot::measure
