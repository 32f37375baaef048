#include "luks_key_slot.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "ingot/crypto/openssl.hpp"
#include "sha256_block.hpp"

namespace ingot::signer {
namespace {

using crypto::Deleter;

constexpr std::size_t hash_bytes = SHA256_DIGEST_LENGTH;
static_assert(luks_key_bytes == 2 * hash_bytes);
constexpr std::size_t sector_bytes = 512;
constexpr std::size_t iv_bytes = 16;
static_assert(luks_slot_bytes % sector_bytes == 0);

/// All inputs are of fixed sizes: what fails is the library itself.
void must(int status) {
  if (status != 1) std::abort();
}

/// Every stripe but the last is random; the last is the key XOR a chain of hashes over all others. A stripe is two
/// blocks of the hash, which goes over each with its number before it: one block of SHA-256 with padding.
void split(MutableBytes area, Bytes key) {
  must(RAND_priv_bytes(area.data(), static_cast<int>(area.size() - luks_key_bytes)));
  const Sha256State start;
  Sha256LastBlock first(0, std::array<std::uint8_t, 4>{0, 0, 0, 0}), second(0, std::array<std::uint8_t, 4>{0, 0, 0, 1});
  for (; area.size() > luks_key_bytes; area = area.subspan(luks_key_bytes)) {
    first.add(area);
    second.add(area.subspan(hash_bytes));
    first.hash(start, first.digest());
    second.hash(start, second.digest());
  }
  first.add(key);
  second.add(key.subspan(hash_bytes));
  std::ranges::copy(first.digest(), area.begin());
  std::ranges::copy(second.digest(), area.subspan(hash_bytes).begin());
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

void fill_key_slot(MutableBytes area, Bytes volume_key, Bytes area_key) {
  split(area, volume_key);
  encrypt_sectors(area, area_key);
}

}  // namespace ingot::signer
