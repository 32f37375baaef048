#include "luks_device.hpp"

#include <fmt/format.h>
#include <libcryptsetup.h>

#include <memory>

#include "ingot/signer/volume.hpp"
#include "luks_key_slot.hpp"

namespace ingot::signer {
namespace {

constexpr std::uint64_t key_slots_bytes = volume_header_bytes - 2 * luks_metadata_bytes;
constexpr std::uint64_t unit_bytes = 512;  // of crypt_set_data_offset()
constexpr std::uint32_t sector_bytes = 4096;
/// LUKS2, "PBKDF": its lower bound. What it stretches is as long as a key.
constexpr std::uint32_t iterations = 1000;

/// libcryptsetup says more than its error number does.
void keep_message(int level, const char* text, void* into) {
  if (level != CRYPT_LOG_ERROR) return;
  std::string line(text);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  *static_cast<std::string*>(into) = std::move(line);
}

struct Free {
  void operator()(crypt_device* device) const { crypt_free(device); }
};

class Device {
 public:
  Result<void> open(const std::string& path) {
    // A plugin of the build machine's systemd would judge the token, and may be older than the node's.
    crypt_token_external_disable();
    crypt_device* opened = nullptr;
    TRY(check(crypt_init(&opened, path.c_str()), "opening the file"));
    handle_.reset(opened);
    crypt_set_log_callback(opened, keep_message, &message_);
    crypt_set_rng_type(opened, CRYPT_RNG_URANDOM);
    return {};
  }
  [[nodiscard]] Result<void> check(int status, const char* what) const {
    if (status >= 0) return {};
    auto error = io_error(fmt::format("LUKS2 header: {}", what), -status);
    if (!message_.empty()) error.message += fmt::format(" ({})", message_);
    return fail(std::move(error));
  }
  [[nodiscard]] crypt_device* get() const { return handle_.get(); }

 private:
  std::string message_;
  std::unique_ptr<crypt_device, Free> handle_;
};

}  // namespace

Result<void> format_luks_device(const std::string& path, Bytes passphrase) {
  Device device;
  TRY(device.open(path));
  const auto check = [&](int status, const char* what) { return device.check(status, what); };
  TRY(check(crypt_set_metadata_size(device.get(), luks_metadata_bytes, key_slots_bytes), "laying it out"));
  TRY(check(crypt_set_data_offset(device.get(), volume_header_bytes / unit_bytes), "laying it out"));
  crypt_pbkdf_type kdf{};
  kdf.type = CRYPT_KDF_PBKDF2;
  kdf.hash = luks_hash;
  kdf.iterations = iterations;
  kdf.flags = CRYPT_PBKDF_NO_BENCHMARK;
  TRY(check(crypt_set_pbkdf_type(device.get(), &kdf), "key derivation"));
  crypt_params_luks2 parameters{};
  parameters.pbkdf = &kdf;
  parameters.sector_size = sector_bytes;
  TRY(check(
      crypt_format(device.get(), CRYPT_LUKS2, "aes", "xts-plain64", nullptr, nullptr, luks_key_bytes, &parameters),
      "formatting"));
  const auto text = as_text(passphrase);
  return check(crypt_keyslot_add_by_volume_key(device.get(), 0, nullptr, 0, text.data(), text.size()), "key slot");
}

Result<crypto::Secret> open_luks_device(const std::string& path, Bytes passphrase) {
  Device device;
  TRY(device.open(path));
  TRY(device.check(crypt_load(device.get(), CRYPT_LUKS2, nullptr), "reading it"));
  Buffer key(luks_key_bytes);
  std::size_t size = key.size();
  const auto text = as_text(passphrase);
  TRY(device.check(crypt_volume_key_get(device.get(), 0, static_cast<char*>(static_cast<void*>(key.data())), &size,
                                        text.data(), text.size()),
                   "opening its key slot"));
  key.resize(size);
  return crypto::Secret(std::move(key));
}

}  // namespace ingot::signer
