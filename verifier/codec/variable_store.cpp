#include "ingot/codec/variable_store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "efi_time.hpp"
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
/// VAR_ADDED & VAR_IN_DELETED_TRANSITION: a newer copy was being written; live until that one is.
constexpr std::uint8_t state_in_transition = 0x3E;
/// The header itself was being written when power failed; nothing in it counts.
constexpr std::uint8_t state_erased = 0xFF;
constexpr std::size_t store_header_size = 28;
constexpr std::size_t variable_header_size = 60;
constexpr std::size_t variable_count_cap = 4096;
constexpr std::size_t name_size_cap = 2048;

constexpr std::uint32_t nv_bs = 0x03;
constexpr std::uint32_t nv_bs_time_authenticated = 0x23;
constexpr std::uint32_t nv_bs_rt_time_authenticated = 0x27;

tl::unexpected<Error> malformed(std::string message, std::uint64_t offset, std::string remedy = {}) {
  return fail(Error{ErrorCode::malformed, std::move(message), std::move(remedy), offset, std::nullopt});
}

/// PI 1.8 volume 3, "Firmware Volume Header": the sum over its 16-bit words is zero.
bool sums_to_zero(Bytes header) {
  Reader in{header};
  std::uint32_t sum = 0;
  while (in.left() >= 2) sum += in.u16le();
  return (sum & 0xFFFF) == 0 && in.left() == 0;
}

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
  if (!in.ok() || guid_from(file_system) != nv_data_volume || signature != volume_signature)
    return malformed("no firmware volume for variables at its start", 0, "give a VARS.fd of OVMF");
  if (volume_size > flash.size() || header_size < in.at() || header_size > volume_size)
    return malformed("truncated: the firmware volume is larger than the file", 32);
  if (header_size % 4 != 0) return malformed("the firmware volume's header leaves the store unaligned", 48);
  if (!sums_to_zero(flash.first(header_size)))
    return malformed("the firmware volume's header has a wrong checksum", 50);
  Reader store{flash.subspan(header_size, static_cast<std::size_t>(volume_size) - header_size)};
  const Bytes kind = store.bytes(16);
  const std::uint32_t size = store.u32le();
  const std::uint8_t format = store.u8();
  const std::uint8_t state = store.u8();
  store.skip(6);
  if (!store.ok()) return malformed("truncated: no variable store behind the volume's header", header_size);
  if (guid_from(kind) != authenticated_store)
    return fail(Error{ErrorCode::unsupported,
                      "the variable store is not of the authenticated kind that Secure Boot needs",
                      "give a VARS.fd of an OVMF built with Secure Boot", header_size, std::nullopt});
  if (format != store_formatted || state != store_healthy)
    return malformed("the variable store is not formatted and healthy", header_size + 20u);
  if (size < store_header_size || size > volume_size - header_size)
    return malformed("the variable store leaves its volume", header_size + 16u);
  return Store{header_size + store_header_size, std::size_t{header_size} + size};
}

std::size_t align4(std::size_t value) { return (value + 3) / 4 * 4; }

/// AUTHENTICATED_VARIABLE_HEADER with name and data.
struct Record {
  std::uint8_t state = 0;
  std::size_t size = 0;  ///< without the padding behind it
  Variable variable;
  [[nodiscard]] bool is_live() const { return state == state_added || state == state_in_transition; }
};

/// `in` stands behind StartId.
Result<Record> decode_record(Reader in, std::size_t at) {
  Record record;
  record.state = in.u8();
  in.skip(1);
  record.variable.attributes = in.u32le();
  in.skip(8);
  record.variable.time = read_efi_time(in).time;
  in.skip(4);
  const std::uint32_t name_size = in.u32le();
  const std::uint32_t data_size = in.u32le();
  const Bytes guid = in.bytes(16);
  record.size = variable_header_size;
  // edk2 MdeModulePkg/Universal/Variable/RuntimeDxe/VariableParsing.c, NameSizeOfVariable(): such a header has no
  // sizes.
  if (in.ok() && record.state == state_erased) return record;
  const Bytes name = in.bytes(name_size);
  const Bytes data = in.bytes(data_size);
  record.size += std::size_t{name_size} + data_size;
  if (!in.ok()) return malformed("truncated: a variable does not fit the store", at);
  if (!record.is_live()) return record;
  if (name_size < 4 || name_size % 2 != 0 || name_size > name_size_cap || name[name_size - 1] != 0 ||
      name[name_size - 2] != 0)
    return malformed("a variable's name is not a text of up to 1023 characters with a NUL", at);
  record.variable.name = from_utf16le(name.first(name_size - 2));
  record.variable.guid = guid_from(guid);
  record.variable.data = to_buffer(data);
  return record;
}

bool same_variable(const Variable& a, const Variable& b) { return a.name == b.name && a.guid == b.guid; }

struct Walk {
  std::vector<Record> live;
  std::size_t free_at = 0;  ///< offset of the first unused header
};

Result<Walk> walk(Bytes flash, const Store& store) {
  Walk out;
  std::size_t at = store.variables_at;
  for (std::size_t count = 0; at < store.end; ++count) {
    Reader in{flash.subspan(at, store.end - at)};
    const std::uint16_t start = in.u16le();
    if (!in.ok() || start != variable_start) break;
    if (count >= variable_count_cap) return fail(ErrorCode::limit, "more than 4096 variables");
    auto record = TRY(decode_record(in, at));
    at = align4(at + record.size);
    if (record.is_live()) out.live.push_back(std::move(record));
  }
  out.free_at = std::min(at, store.end);
  // The old copy of a variable counts only as long as there is no new one.
  std::vector<Record> kept;
  for (const auto& record : out.live) {
    const bool replaced =
        record.state == state_in_transition && std::any_of(out.live.begin(), out.live.end(), [&](const Record& other) {
          return other.state == state_added && same_variable(other.variable, record.variable);
        });
    if (!replaced) kept.push_back(record);
  }
  out.live = std::move(kept);
  return out;
}

Buffer encode_variable(const Variable& variable) {
  Writer out;
  const auto name = to_utf16le(variable.name);
  out.u16le(variable_start).u8(state_added).u8(0).u32le(variable.attributes).u64le(0);
  write_efi_time(out, variable.time);
  out.u32le(0)
      .u32le(static_cast<std::uint32_t>(name.size() + 2))
      .u32le(static_cast<std::uint32_t>(variable.data.size()));
  out.bytes(variable.guid.bytes).bytes(name).u16le(0).bytes(variable.data);
  return out.align(4, 0xFF).take();
}

/// `taken`: what the store holds already.
Result<void> check_new(const Variable& variable, const std::vector<Variable>& taken) {
  const auto& name = variable.name;
  if (name.empty() || name.find('\0') != std::string::npos || to_utf16le(name).size() + 2 > name_size_cap)
    return fail(ErrorCode::usage, fmt::format("\"{}\" is no name for a variable: 1 to 1023 characters, no NUL", name));
  // UEFI 2.10, "SetVariable()": a variable without data is a deleted one; firmware asserts that it never meets one.
  if (variable.data.empty()) return fail(ErrorCode::usage, fmt::format("variable {} has no data", name));
  if (std::any_of(taken.begin(), taken.end(), [&](const Variable& other) { return same_variable(variable, other); }))
    return fail(ErrorCode::usage, fmt::format("the store already has a variable {}", name),
                "start from an empty store, such as OVMF_VARS_4M.fd");
  return {};
}

}  // namespace

Result<std::vector<Variable>> decode_variable_store(Bytes flash) {
  auto found = TRY(walk(flash, TRY(find_store(flash))));
  std::vector<Variable> out;
  for (auto& record : found.live) out.push_back(std::move(record.variable));
  return out;
}

Result<Buffer> write_variables(Bytes empty_flash, const std::vector<Variable>& variables) {
  const auto store = TRY(find_store(empty_flash));
  const auto before = TRY(walk(empty_flash, store));
  std::vector<Variable> taken;
  for (const auto& record : before.live) taken.push_back(record.variable);
  Buffer out = to_buffer(empty_flash);
  std::size_t at = before.free_at;
  for (const auto& variable : variables) {
    TRY(check_new(variable, taken));
    const auto bytes = encode_variable(variable);
    if (bytes.size() > store.end - at)
      return fail(ErrorCode::limit,
                  fmt::format("{} does not fit: the store has {} bytes left, {} are needed", variable.name,
                              store.end - at, bytes.size()),
                  "use firmware with a larger store (the 4M builds of OVMF)");
    const MutableBytes place = MutableBytes(out).subspan(at, bytes.size());
    if (!std::all_of(place.begin(), place.end(), [](std::uint8_t byte) { return byte == 0xFF; }))
      return malformed("the store's free space is not erased", at, "start from a store as the firmware ships it");
    std::copy(bytes.begin(), bytes.end(), place.begin());
    at += bytes.size();
    taken.push_back(variable);
  }
  return out;
}

// The values that edk2's own enrolment leaves behind (OvmfPkg/EnrollDefaultKeys; SecurityPkg/Library/AuthVariableLib):
// SecureBootEnable asks for Secure Boot, which is on once there is a PK; CustomMode 0 is standard mode; VendorKeysNv 0
// says that the keys are the owner's. certdb and the rest are made by firmware at the next boot, and none is measured.
std::vector<Variable> secure_boot_variables(const SecureBootKeys& keys) {
  std::vector<Variable> out;
  const auto authenticated = [&](const char* name, const Guid& guid, const Buffer& lists) {
    if (!lists.empty()) out.push_back({name, guid, nv_bs_rt_time_authenticated, keys.time, lists});
  };
  authenticated("PK", efi_global_variable_guid, keys.pk);
  authenticated("KEK", efi_global_variable_guid, keys.kek);
  authenticated("db", efi_image_security_database_guid, keys.db);
  authenticated("dbx", efi_image_security_database_guid, keys.dbx);
  out.push_back({"SecureBootEnable", efi_secure_boot_enable_guid, nv_bs, {}, {1}});
  out.push_back({"CustomMode", efi_custom_mode_enable_guid, nv_bs, {}, {0}});
  out.push_back({"VendorKeysNv", efi_vendor_keys_nv_guid, nv_bs_time_authenticated, {}, {0}});
  return out;
}

}  // namespace ingot::codec
