#include "luks_header.hpp"

#include <fmt/format.h>
#include <libcryptsetup.h>

#include <memory>

#include "ingot/signer/volume.hpp"

namespace ingot::signer {
namespace {

// LUKS2 On-Disk Format Specification 1.1, "Metadata Area": two binary headers with JSON, then the key slots.
constexpr std::uint64_t metadata_bytes = 16u << 10;
constexpr std::uint64_t key_slots_bytes = volume_header_bytes - 2 * metadata_bytes;
constexpr std::uint64_t unit_bytes = 512;  // of crypt_set_data_offset()
constexpr std::uint32_t sector_bytes = 4096;
constexpr std::size_t volume_key_bytes = 64;  // AES-256 twice: XTS
constexpr const char* hash = "sha512";
/// LUKS2, "PBKDF": its lower bound. What it stretches is as long as a key.
constexpr std::uint32_t iterations = 1000;

struct Free {
  void operator()(crypt_device* device) const { crypt_free(device); }
};
using Device = std::unique_ptr<crypt_device, Free>;

/// libcryptsetup says more than its error number does.
void keep_message(int level, const char* text, void* into) {
  if (level != CRYPT_LOG_ERROR) return;
  std::string line(text);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  *static_cast<std::string*>(into) = std::move(line);
}

}  // namespace

Result<std::string> format_luks_header(const std::string& path, const crypto::Secret& passphrase,
                                       const std::string& token_json) {
  std::string message;
  const auto check = [&](int status, const char* what) -> Result<void> {
    if (status >= 0) return {};
    auto error = io_error(fmt::format("LUKS2 header: {}", what), -status);
    if (!message.empty()) error.message += fmt::format(" ({})", message);
    return fail(std::move(error));
  };
  // A plugin of the build machine's systemd would judge the token, and may be older than the node's.
  crypt_token_external_disable();
  crypt_device* opened = nullptr;
  TRY(check(crypt_init(&opened, path.c_str()), "opening the file"));
  const Device device(opened);
  crypt_set_log_callback(device.get(), keep_message, &message);
  crypt_set_rng_type(device.get(), CRYPT_RNG_URANDOM);
  TRY(check(crypt_set_metadata_size(device.get(), metadata_bytes, key_slots_bytes), "laying it out"));
  TRY(check(crypt_set_data_offset(device.get(), volume_header_bytes / unit_bytes), "laying it out"));
  crypt_pbkdf_type kdf{};
  kdf.type = CRYPT_KDF_PBKDF2;
  kdf.hash = hash;
  kdf.iterations = iterations;
  kdf.flags = CRYPT_PBKDF_NO_BENCHMARK;
  TRY(check(crypt_set_pbkdf_type(device.get(), &kdf), "key derivation"));
  crypt_params_luks2 parameters{};
  parameters.pbkdf = &kdf;
  parameters.sector_size = sector_bytes;
  TRY(check(
      crypt_format(device.get(), CRYPT_LUKS2, "aes", "xts-plain64", nullptr, nullptr, volume_key_bytes, &parameters),
      "formatting"));
  const auto text = as_text(passphrase);
  TRY(check(crypt_keyslot_add_by_volume_key(device.get(), 0, nullptr, 0, text.data(), text.size()), "key slot"));
  TRY(check(crypt_token_json_set(device.get(), CRYPT_ANY_TOKEN, token_json.c_str()), "token"));
  return std::string(crypt_get_uuid(device.get()));
}

}  // namespace ingot::signer
