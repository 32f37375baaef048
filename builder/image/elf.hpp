// What a dynamically linked program needs at run time. System V ABI, "Dynamic Linking"; ELF-64 Object File Format 1.5.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/base/source.hpp"

namespace ingot::builder::detail {

struct ElfNeeds {
  std::string interpreter;             ///< PT_INTERP; empty for libraries and static programs
  std::vector<std::string> libraries;  ///< DT_NEEDED, in order
  std::vector<std::string> search;  ///< DT_RUNPATH, or DT_RPATH where there is none, split at ":"; "$ORIGIN" is left in
  bool operator==(const ElfNeeds&) const = default;
};

/// Nothing for a file that is not ELF. Errors: 32-bit or big-endian (unsupported), tables that leave the file
/// (malformed).
Result<std::optional<ElfNeeds>> read_elf(const ByteSource& file);

}  // namespace ingot::builder::detail
