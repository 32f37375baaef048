// What a kernel module says of itself: the strings of its .modinfo section. Linux, include/linux/moduleparam.h; ELF-64
// Object File Format 1.5.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

struct ModuleInfo {
  std::string name;      ///< as /proc/modules has it, with "_"
  std::string vermagic;  ///< "6.12.0 SMP preempt mod_unload modversions ": the kernel loads it with equal ones only
  std::vector<std::string> depends;  ///< names, with "_"
  bool in_tree = false;              ///< built as a part of the kernel
  bool operator==(const ModuleInfo&) const = default;
};

/// Of a module that is not compressed, signed or not. Errors: malformed, no 64-bit little-endian object file, tables
/// that leave the file, no .modinfo, or one without name or vermagic; limit.
Result<ModuleInfo> decode_module_info(Bytes module);

}  // namespace ingot::codec
