#include "luks_key_slot.hpp"

#define OPENSSL_SUPPRESS_DEPRECATED  // SHA256_Transform(): EVP has none
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <memory>

#include "ingot/crypto/openssl.hpp"

namespace ingot::signer {
namespace {

using crypto::Deleter;

constexpr std::size_t number_bytes = 4;
constexpr std::size_t hash_bytes = SHA256_DIGEST_LENGTH;
static_assert(luks_key_bytes == 2 * hash_bytes);
constexpr std::size_t sector_bytes = 512;
constexpr std::size_t iv_bytes = 16;
static_assert(luks_slot_bytes % sector_bytes == 0);

/// All inputs are of fixed sizes: what fails is the library itself.
void must(int status) {
  if (status != 1) std::abort();
}

/// A block of the chain in the only block that SHA-256 has to go over (FIPS 180-4, "Padding the Message"): its number,
/// itself, padding. At this size OpenSSL's EVP takes twice the time of the hash.
class Link {
 public:
  explicit Link(std::size_t number) {
    message_[number_bytes - 1] = static_cast<std::uint8_t>(number);
    message_[number_bytes + hash_bytes] = 0x80;
    constexpr std::size_t bits = (number_bytes + hash_bytes) * 8;
    message_[message_.size() - 2] = static_cast<std::uint8_t>(bits >> 8);
    message_[message_.size() - 1] = static_cast<std::uint8_t>(bits & 0xFF);
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() {
    OPENSSL_cleanse(message_.data(), message_.size());
    OPENSSL_cleanse(&state_, sizeof state_);
  }
  /// XOR. Precondition: `stripe` has hash_bytes at least.
  void add(Bytes stripe) {
    std::transform(block().begin(), block().end(), stripe.begin(), block().begin(), std::bit_xor<>());
  }
  void hash() {
    must(SHA256_Init(&state_));
    SHA256_Transform(&state_, message_.data());
    for (std::size_t at = 0; at < hash_bytes; ++at)
      block()[at] = static_cast<std::uint8_t>(state_.h[at / 4] >> (24 - at % 4 * 8));
  }
  MutableBytes block() { return MutableBytes(message_).subspan(number_bytes, hash_bytes); }

 private:
  std::array<std::uint8_t, SHA256_CBLOCK> message_{};
  SHA256_CTX state_{};
};

/// Every stripe but the last is random; the last is the key XOR a chain of hashes over all others. A stripe is two
/// blocks of the hash.
void split(MutableBytes area, Bytes key) {
  must(RAND_priv_bytes(area.data(), static_cast<int>(area.size() - luks_key_bytes)));
  Link first(0), second(1);
  for (; area.size() > luks_key_bytes; area = area.subspan(luks_key_bytes)) {
    first.add(area);
    second.add(area.subspan(hash_bytes));
    first.hash();
    second.hash();
  }
  first.add(key);
  second.add(key.subspan(hash_bytes));
  std::ranges::copy(first.block(), area.begin());
  std::ranges::copy(second.block(), area.subspan(hash_bytes).begin());
}

void encrypt_sectors(MutableBytes area, Bytes key) {
  const std::unique_ptr<EVP_CIPHER_CTX, Deleter<EVP_CIPHER_CTX_free>> context(EVP_CIPHER_CTX_new());
  must(EVP_EncryptInit_ex(context.get(), EVP_aes_256_xts(), nullptr, key.data(), nullptr));
  for (std::size_t sector = 0; sector < area.size() / sector_bytes; ++sector) {
    // "plain64": the sector's number, little-endian.
    std::array<std::uint8_t, iv_bytes> iv{};
    iv[0] = static_cast<std::uint8_t>(sector);
    iv[1] = static_cast<std::uint8_t>(sector >> 8);
    const auto data = area.subspan(sector * sector_bytes, sector_bytes).data();
    int size = 0;
    must(EVP_EncryptInit_ex(context.get(), nullptr, nullptr, nullptr, iv.data()));
    must(EVP_EncryptUpdate(context.get(), data, &size, data, sector_bytes));
  }
}

}  // namespace

crypto::Secret pbkdf2(Bytes password, Bytes salt, std::uint32_t iterations, std::size_t size_bytes) {
  Buffer out(size_bytes);
  must(PKCS5_PBKDF2_HMAC(as_text(password).data(), static_cast<int>(password.size()), salt.data(),
                         static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                         static_cast<int>(out.size()), out.data()));
  return crypto::Secret(std::move(out));
}

void fill_key_slot(MutableBytes area, Bytes volume_key, Bytes area_key) {
  split(area, volume_key);
  encrypt_sectors(area, area_key);
}

}  // namespace ingot::signer
