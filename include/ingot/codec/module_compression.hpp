// How kernel modules are compressed: as the kernel's own decompressor and kmod's take them. Linux, kernel/module/
// decompress.c, scripts/Makefile.modinst.
#pragma once

#include <optional>
#include <string_view>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

/// Larger than any module, also than GPU drivers with their symbols.
inline constexpr std::uint64_t module_cap_bytes = 512u << 20;

enum class ModuleCompression { none, xz, zstd, gzip };

/// By the first bytes; `none` for everything that is no compressed file.
ModuleCompression module_compression(Bytes file);
/// What modprobe(8) expects: ".ko", ".ko.xz", ".ko.zst", ".ko.gz".
std::string_view module_suffix(ModuleCompression compression);

/// The whole of one compressed stream; the bytes themselves for `none`. Errors: malformed, damaged, truncated, bytes
/// behind the stream; limit, more than `cap_bytes` (at most module_cap_bytes) before or after.
Result<Buffer> decompress_module(Bytes file, ModuleCompression compression, std::uint64_t cap_bytes = module_cap_bytes);

/// The same bytes for the same version of the library. xz: CRC32, dictionary of 1 MiB, one thread, which is what the
/// kernel's build does; zstd: level 3 with checksum; gzip: level 9, no name, no time. Error: internal.
Result<Buffer> compress_module(Bytes module, ModuleCompression compression);

}  // namespace ingot::codec
