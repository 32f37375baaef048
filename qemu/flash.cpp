#include "flash.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>

#include "ingot/base/guid.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/firmware.hpp"
#include "ingot/codec/variable_store.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;

constexpr Guid nv_data_volume = make_guid("fff12b8d-7696-4c8b-a985-2747075b4f50");
constexpr Guid authenticated_store = make_guid("aaf32c78-947b-439a-a180-2e144ec37792");
constexpr Guid working_block = make_guid("9e58292b-7c68-497d-a0ce-6500fd9f1b95");
constexpr std::uint64_t block_size = 4096;

// edk2 OvmfPkg/VarStore.fdf.inc: variables, event log, working space, spare; all in 4 KiB blocks.
struct StoreLayout {
  std::uint64_t size_bytes;
  std::uint32_t variables_bytes;
};
constexpr std::array<StoreLayout, 2> layouts = {{{0x20000, 0xE000}, {0x84000, 0x40000}}};
constexpr std::uint64_t event_log_bytes = 0x1000;

/// The size of a variable volume at the start of a file that holds variables and code; 0 when it starts with code.
std::uint64_t leading_variables(Bytes firmware) {
  Reader in{firmware};
  in.skip(16);
  const Bytes file_system = in.bytes(16);
  const std::uint64_t size = in.u64le();
  if (!in.ok() || guid_from(file_system) != nv_data_volume || size >= firmware.size()) return 0;
  return size;
}

/// QEMU maps code directly below 4 GiB and variables below the code; OVMF is linked for both together filling a power
/// of two.
Result<std::uint64_t> variables_size_for(const std::string& firmware, std::uint64_t code_size) {
  const std::uint64_t size = std::bit_ceil(code_size + 1) - code_size;
  if (code_size % block_size != 0 || size % block_size != 0)
    return fail(ErrorCode::malformed,
                fmt::format("{} ({} bytes) is not a whole number of 4096-byte flash blocks", firmware, code_size),
                "give the CODE.fd of an OVMF build, not compressed and not qcow2");
  return size;
}

/// The 16-bit word that makes the header's sum zero. PI 1.8 volume 3, "Firmware Volume Header".
std::uint16_t checksum16(Bytes header) {
  Reader in{header};
  std::uint16_t sum = 0;
  while (in.left() >= 2) sum = static_cast<std::uint16_t>(sum + in.u16le());
  return static_cast<std::uint16_t>(0x10000 - sum);
}

Buffer volume_header(const StoreLayout& layout, std::uint16_t checksum) {
  constexpr std::uint16_t header_size = 0x48;
  Writer out;
  out.fill(16).bytes(nv_data_volume.bytes).u64le(layout.size_bytes).text("_FVH").u32le(0x0004FEFF);
  out.u16le(header_size).u16le(checksum).u16le(0).u8(0).u8(2);  // no extended header; revision 2
  out.u32le(static_cast<std::uint32_t>(layout.size_bytes / block_size)).u32le(block_size).u64le(0);
  return out.take();
}

Result<void> copy_or_rewrite(const std::string& from, const std::string& to, std::uint64_t wanted_size) {
  const auto bytes = TRY(read_file(from, codec::variable_store_size_cap_bytes));
  const auto variables = TRY_IN(from, codec::decode_variable_store(bytes));
  if (bytes.size() == wanted_size) return write_file(to, bytes, 0600);
  const auto empty = TRY(empty_variable_store(wanted_size));
  return write_file(to, TRY_IN(from, codec::write_variables(empty, variables)), 0600);
}

}  // namespace

Result<Buffer> empty_variable_store(std::uint64_t size_bytes) {
  const auto layout = std::find_if(layouts.begin(), layouts.end(),
                                   [&](const StoreLayout& row) { return row.size_bytes == size_bytes; });
  if (layout == layouts.end())
    return fail(ErrorCode::unsupported, fmt::format("no known layout for a variable store of {} bytes", size_bytes),
                "give a VARS.fd of the same firmware build with --vars");
  const auto header = volume_header(*layout, checksum16(volume_header(*layout, 0)));
  Writer out;
  out.bytes(header);
  // VARIABLE_STORE_HEADER (MdeModulePkg/Include/Guid/VariableFormat.h): formatted, healthy.
  out.bytes(authenticated_store.bytes)
      .u32le(layout->variables_bytes - static_cast<std::uint32_t>(header.size()))
      .u8(0x5A)
      .u8(0xFE)
      .u16le(0)
      .u32le(0);
  out.fill(static_cast<std::size_t>(layout->variables_bytes + event_log_bytes) - out.size(), 0xFF);
  // EFI_FAULT_TOLERANT_WORKING_BLOCK_HEADER (MdeModulePkg/Include/Guid/SystemNvDataGuid.h): CRC, valid, length of the
  // queue.
  out.bytes(working_block.bytes).u32le(0x642CAF2C).u32le(0xFFFFFFFE).u64le(block_size - 32);
  out.fill(static_cast<std::size_t>(size_bytes) - out.size(), 0xFF);
  return out.take();
}

Result<Flash> prepare_flash(const std::string& firmware, const std::string& vars, const std::string& vars_copy,
                            const std::string& run) {
  const auto bytes = TRY(read_file(firmware, codec::firmware_size_cap_bytes));
  const auto volumes = TRY_IN(firmware, codec::decode_firmware(bytes));
  Flash flash{firmware, vars_copy, codec::requires_smm(volumes)};
  const std::uint64_t in_front = leading_variables(bytes);
  if (in_front != 0) {
    flash.code = run + "/CODE.fd";
    TRY(write_file(flash.code, Bytes(bytes).subspan(static_cast<std::size_t>(in_front))));
  }
  const std::uint64_t wanted = TRY(variables_size_for(firmware, bytes.size() - in_front));
  std::error_code ec;
  if (!fs::exists(vars_copy, ec)) {
    TRY(copy_or_rewrite(vars, vars_copy, wanted));
    return flash;
  }
  const auto kept = fs::file_size(vars_copy, ec);
  if (ec) return fail(io_error(vars_copy, ec.value()));
  if (kept != wanted)
    return fail(
        ErrorCode::usage,
        fmt::format("this node's variables ({} bytes) belong to another firmware layout ({} bytes)", kept, wanted),
        "boot the node with the firmware it was made with, or give another --node folder");
  return flash;
}

}  // namespace ingot::rig
