#include "luks_header.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "ingot/base/descriptor.hpp"
#include "ingot/base/guid.hpp"
#include "ingot/base/source.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/crypto/random.hpp"
#include "luks_device.hpp"
#include "luks_key_slot.hpp"
#include "pbkdf2.hpp"

namespace ingot::signer {
namespace {

using Json = nlohmann::json;

// LUKS2 On-Disk Format Specification 1.1, "Binary Header": offsets of what is a header's own.
constexpr std::size_t binary_header_bytes = 4096;
constexpr std::size_t salt_at = 104, salt_bytes = 64;
constexpr std::size_t uuid_at = 168, uuid_bytes = 40;
constexpr std::size_t checksum_at = 448, checksum_bytes = 64;
constexpr std::size_t json_bytes = luks_metadata_bytes - binary_header_bytes;

constexpr std::size_t kdf_salt_bytes = 32;
constexpr std::size_t passphrase_bytes = 32;
constexpr std::size_t digest_bytes = 32;  // of luks_hash

tl::unexpected<Error> strange(std::string_view what) {
  return fail(ErrorCode::unsupported, fmt::format("this libcryptsetup formats LUKS2 in another way: {}", what),
              "2.6 to 2.7 are known to do");
}

void put(MutableBytes place, Bytes value) { std::copy(value.begin(), value.end(), place.begin()); }

/// One of the two copies. "Header Checksum": over binary header and JSON, its own field zeroes.
void fill_copy(MutableBytes copy, Bytes binary_header, std::string_view uuid, std::string_view document) {
  put(copy, binary_header);
  put(copy.subspan(salt_at), crypto::random_bytes(salt_bytes));
  std::fill_n(copy.begin() + uuid_at, uuid_bytes, std::uint8_t{0});
  put(copy.subspan(uuid_at), as_bytes(uuid));
  put(copy.subspan(binary_header_bytes), as_bytes(document));
  std::fill_n(copy.begin() + checksum_at, checksum_bytes, std::uint8_t{0});
  put(copy.subspan(checksum_at), crypto::sha256(copy));
}

}  // namespace

Result<LuksModel> LuksModel::make() {
  const Descriptor memory(::memfd_create("luks", MFD_CLOEXEC));
  if (!memory.is_open() || ::ftruncate(memory.get(), volume_header_bytes) != 0)
    return fail(io_error("memory for a LUKS2 header", errno));
  const auto path = fmt::format("/proc/self/fd/{}", memory.get());
  TRY(format_luks_device(path, crypto::random_secret(passphrase_bytes)));
  const auto file = TRY(file_source(path));
  const auto formatted = TRY(read_all(*file, volume_header_bytes));
  LuksModel model;
  TRY(model.read(formatted));
  TRY(model.prove(memory.get()));
  return model;
}

Result<void> LuksModel::read(Bytes formatted) {
  first_ = to_buffer(formatted.first(binary_header_bytes));
  second_ = to_buffer(formatted.subspan(luks_metadata_bytes, binary_header_bytes));
  const auto text = as_text(formatted.subspan(binary_header_bytes, json_bytes));
  document_ = Json::parse(text.substr(0, text.find('\0')), nullptr, false);
  try {
    const auto& slot = document_.at("keyslots").at("0");
    const auto& digest = document_.at("digests").at("0");
    const auto offset = std::stoull(slot.at("area").at("offset").get<std::string>());
    const auto size = std::stoull(slot.at("area").at("size").get<std::string>());
    if (offset < 2 * luks_metadata_bytes || size < luks_slot_bytes || offset > volume_header_bytes - size)
      return strange("a key slot's area elsewhere");
    slot_offset_bytes_ = static_cast<std::size_t>(offset);
    slot_iterations_ = slot.at("kdf").at("iterations").get<std::uint32_t>();
    digest_iterations_ = digest.at("iterations").get<std::uint32_t>();
  } catch (const std::exception& error) {
    return strange(error.what());
  }
  return {};
}

Result<void> LuksModel::prove(int memory) const {
  const auto passphrase = crypto::random_secret(passphrase_bytes);
  const auto key = crypto::random_secret(luks_key_bytes);
  const auto made = TRY(header(passphrase, key, R"({"type":"ingot","keyslots":["0"]})"));
  if (::pwrite(memory, made.start.data(), made.start.size(), 0) != static_cast<ssize_t>(made.start.size()))
    return fail(io_error("memory for a LUKS2 header", errno));
  const auto opened = open_luks_device(fmt::format("/proc/self/fd/{}", memory), passphrase);
  if (!opened) return strange(opened.error().message);
  if (!std::ranges::equal(opened->view(), key.view())) return strange("another volume key came out");
  return {};
}

Result<VolumeHeader> LuksModel::header(Bytes passphrase, Bytes volume_key, const std::string& token_json) const {
  VolumeHeader made{to_text(crypto::random_guid()), Buffer(slot_offset_bytes_ + luks_slot_bytes)};
  auto document = document_;
  // 1. The key slot.
  const auto slot_salt = crypto::random_bytes(kdf_salt_bytes);
  document["keyslots"]["0"]["kdf"]["salt"] = to_base64(slot_salt);
  fill_key_slot(MutableBytes(made.start).subspan(slot_offset_bytes_), volume_key,
                pbkdf2(passphrase, slot_salt, slot_iterations_, luks_key_bytes));
  // 2. The digest, by which the volume key is known when it comes out.
  const auto digest_salt = crypto::random_bytes(kdf_salt_bytes);
  auto& digest = document["digests"]["0"];
  digest["salt"] = to_base64(digest_salt);
  digest["digest"] = to_base64(pbkdf2(volume_key, digest_salt, digest_iterations_, digest_bytes));
  // 3. The token.
  document["tokens"]["0"] = Json::parse(token_json, nullptr, false);
  const auto text = document.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() >= json_bytes)  // a NUL ends it
    return fail(ErrorCode::limit,
                fmt::format("{} bytes of LUKS2 metadata; there is room for {}", text.size(), json_bytes - 1));
  // 4. Both copies of the metadata.
  const MutableBytes start(made.start);
  fill_copy(start.first(luks_metadata_bytes), first_, made.uuid, text);
  fill_copy(start.subspan(luks_metadata_bytes, luks_metadata_bytes), second_, made.uuid, text);
  return made;
}

}  // namespace ingot::signer
