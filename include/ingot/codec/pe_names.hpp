// Names of sections that are longer than the 8 bytes which a section's header has for them. Microsoft "PE Format"
// revision 2024-09.
#pragma once

#include "ingot/codec/pe.hpp"

namespace ingot::codec {

/// The section of that name, which may be longer than 8 characters: GNU's linker writes "/N" then, N a place in the
/// string table behind the symbols ("Section Table", Name; "COFF String Table"). Null when there is none; errors
/// (malformed): "/N" outside of that table.
Result<const PeSection*> find_long_section(const ByteSource& file, const Pe& pe, std::string_view name);

}  // namespace ingot::codec
