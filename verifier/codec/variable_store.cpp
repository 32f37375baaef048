#include "ingot/codec/variable_store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::codec {
namespace {

// MdePkg/Include/Pi/PiFirmwareVolume.h; MdeModulePkg/Include/Guid/VariableFormat.h.
constexpr Guid nv_data_volume = make_guid("fff12b8d-7696-4c8b-a985-2747075b4f50");
constexpr Guid authenticated_store = make_guid("aaf32c78-947b-439a-a180-2e144ec37792");
constexpr std::uint32_t volume_signature = 0x4856465F;  // "_FVH"
constexpr std::uint16_t variable_start = 0x55AA;
constexpr std::uint8_t store_formatted = 0x5A;
constexpr std::uint8_t store_healthy = 0xFE;
constexpr std::uint8_t state_added = 0x3F;
/// VAR_IN_DELETED_TRANSITION & VAR_ADDED: a newer copy was being written; live until that one is.
constexpr std::uint8_t state_in_transition = 0x3E;
constexpr std::size_t store_header_size = 28;
constexpr std::size_t variable_header_size = 60;
constexpr std::size_t variable_count_cap = 4096;
constexpr std::size_t name_size_cap = 2048;

constexpr std::uint32_t nv_bs = 0x03;
constexpr std::uint32_t nv_bs_rt_time_authenticated = 0x27;

struct Store {
  std::size_t variables_at = 0;  ///< offset of the first variable's header in the flash image
  std::size_t end = 0;           ///< offset behind the store
};

Result<Store> find_store(Bytes flash) {
  Reader in{flash};
  in.skip(16);
  const Bytes file_system = in.bytes(16);
  const std::uint64_t volume_size = in.u64le();
  const std::uint32_t signature = in.u32le();
  in.skip(4);
  const std::uint16_t header_size = in.u16le();
  if (!in.ok() || guid_from(file_system) != nv_data_volume || signature != volume_signature || volume_size > flash.size() || header_size > volume_size)
    return fail(Error{ErrorCode::malformed, "no firmware volume for variables at its start", "give a VARS.fd of OVMF", 0, std::nullopt});
  Reader store{flash.subspan(header_size)};
  const Bytes kind = store.bytes(16);
  const std::uint32_t size = store.u32le();
  const std::uint8_t format = store.u8();
  const std::uint8_t state = store.u8();
  store.skip(6);
  if (!store.ok() || guid_from(kind) != authenticated_store)
    return fail(Error{ErrorCode::unsupported, "the variable store is not of the authenticated kind that Secure Boot needs", {}, header_size, std::nullopt});
  if (format != store_formatted || state != store_healthy || size < store_header_size || size > volume_size - header_size)
    return fail(Error{ErrorCode::malformed, "the variable store is not formatted and healthy", {}, header_size, std::nullopt});
  return Store{header_size + store_header_size, std::size_t{header_size} + size};
}

std::size_t align4(std::size_t value) { return (value + 3) / 4 * 4; }

EfiTime decode_time(Reader& in) {
  EfiTime time;
  time.year = in.u16le();
  time.month = in.u8();
  time.day = in.u8();
  time.hour = in.u8();
  time.minute = in.u8();
  time.second = in.u8();
  in.skip(9);
  return time;
}

struct Walk {
  std::vector<Variable> live;
  std::size_t free_at = 0;  ///< offset of the first unused header
};

Result<Walk> walk(Bytes flash) {
  const auto store = TRY(find_store(flash));
  Walk out;
  std::size_t at = store.variables_at;
  for (std::size_t count = 0;; ++count) {
    Reader in{flash.subspan(at, store.end - at)};
    const std::uint16_t start = in.u16le();
    if (!in.ok() || start != variable_start) break;
    if (count >= variable_count_cap) return fail(ErrorCode::limit, "more than 4096 variables");
    const std::uint8_t state = in.u8();
    in.skip(1);
    Variable variable;
    variable.attributes = in.u32le();
    in.skip(8);
    variable.time = decode_time(in);
    in.skip(4);
    const std::uint32_t name_size = in.u32le();
    const std::uint32_t data_size = in.u32le();
    const Bytes guid = in.bytes(16);
    const Bytes name = in.bytes(name_size);
    const Bytes data = in.bytes(data_size);
    if (!in.ok() || name_size < 2 || name_size % 2 != 0 || name_size > name_size_cap)
      return fail(Error{ErrorCode::malformed, "a variable does not fit the store", {}, at, std::nullopt});
    if (state == state_added || state == state_in_transition) {
      variable.name = from_utf16le(name.first(name_size - 2));
      variable.guid = guid_from(guid);
      variable.data = to_buffer(data);
      out.live.push_back(std::move(variable));
    }
    at = align4(at + variable_header_size + name_size + data_size);
    if (at >= store.end) break;
  }
  out.free_at = std::min(at, store.end);
  return out;
}

Buffer encode_variable(const Variable& variable) {
  Writer out;
  const auto name = to_utf16le(variable.name);
  out.u16le(variable_start).u8(state_added).u8(0).u32le(variable.attributes).u64le(0);
  const auto& time = variable.time;
  out.u16le(time.year).u8(time.month).u8(time.day).u8(time.hour).u8(time.minute).u8(time.second).fill(9);
  out.u32le(0).u32le(static_cast<std::uint32_t>(name.size() + 2)).u32le(static_cast<std::uint32_t>(variable.data.size()));
  out.bytes(variable.guid.bytes).bytes(name).u16le(0).bytes(variable.data);
  return out.align(4, 0xFF).take();
}

}  // namespace

Result<std::vector<Variable>> decode_variable_store(Bytes flash) { return TRY(walk(flash)).live; }

Result<Buffer> write_variables(Bytes empty_flash, const std::vector<Variable>& variables) {
  const auto store = TRY(find_store(empty_flash));
  const auto before = TRY(walk(empty_flash));
  Buffer out = to_buffer(empty_flash);
  std::size_t at = before.free_at;
  for (const auto& variable : variables) {
    for (const auto& existing : before.live)
      if (existing.name == variable.name && existing.guid == variable.guid)
        return fail(ErrorCode::usage, fmt::format("the store already has a variable {}", variable.name), "start from an empty store, such as OVMF_VARS_4M.fd");
    const auto bytes = encode_variable(variable);
    if (bytes.size() > store.end - at)
      return fail(ErrorCode::limit, fmt::format("{} does not fit: the store has {} bytes left, {} are needed", variable.name, store.end - at, bytes.size()),
                  "use firmware with a larger store (the 4M builds of OVMF)");
    if (!std::all_of(out.begin() + static_cast<std::ptrdiff_t>(at), out.begin() + static_cast<std::ptrdiff_t>(at + bytes.size()),
                     [](std::uint8_t byte) { return byte == 0xFF; }))
      return fail(Error{ErrorCode::malformed, "the store's free space is not erased", {}, at, std::nullopt});
    std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
    at += bytes.size();
  }
  return out;
}

std::vector<Variable> secure_boot_variables(const SecureBootKeys& keys) {
  const auto authenticated = [&](const char* name, const Guid& guid, const Buffer& lists) {
    return Variable{name, guid, nv_bs_rt_time_authenticated, keys.time, lists};
  };
  return {authenticated("PK", efi_global_variable_guid, keys.pk),
          authenticated("KEK", efi_global_variable_guid, keys.kek),
          authenticated("db", efi_image_security_database_guid, keys.db),
          authenticated("dbx", efi_image_security_database_guid, keys.dbx),
          {"SecureBootEnable", efi_secure_boot_enable_guid, nv_bs, {}, {1}},
          {"CustomMode", efi_custom_mode_enable_guid, nv_bs, {}, {0}},
          {"VendorKeysNv", efi_vendor_keys_nv_guid, nv_bs | 0x20, {}, {1}}};
}

}  // namespace ingot::codec
