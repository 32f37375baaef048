#include "ingot/signer/recover.hpp"

#include <fmt/format.h>
#include <libcryptsetup.h>
#include <openssl/cms.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/codec/luks_header.hpp"
#include "key_state.hpp"

namespace ingot::signer {
namespace {

using BioHandle = std::unique_ptr<BIO, crypto::Deleter<BIO_free_all>>;
using MessageHandle = std::unique_ptr<CMS_ContentInfo, crypto::Deleter<CMS_ContentInfo_free>>;
using CipherHandle = std::unique_ptr<EVP_CIPHER_CTX, crypto::Deleter<EVP_CIPHER_CTX_free>>;

constexpr std::size_t recovery_key_cap_bytes = 4096;
constexpr std::string_view known_cipher = "aes-xts-plain64";
constexpr std::uint64_t tweak_unit_bytes = 512;  // dm-crypt counts "plain64" in sectors of this size
constexpr std::size_t chunk_bytes = 1u << 20;
/// Metadata and key slots; LUKS2 takes 16 MiB, and as much as 128 MiB where somebody asks for it.
constexpr std::uint64_t header_cap_bytes = 256u << 20;

struct FreeDevice {
  void operator()(crypt_device* device) const { crypt_free(device); }
};
using Device = std::unique_ptr<crypt_device, FreeDevice>;

struct OpenedHeader {
  std::string uuid;
  codec::LuksSegment segment;
  crypto::Secret volume_key;
};

void keep_nothing(int, const char*, void*) {}

/// libcryptsetup wants the header in a file: a copy of it, which is as little a secret as the volume.
Result<OpenedHeader> open_header(const ByteSource& volume, const crypto::Secret& passphrase) {
  const auto metadata = TRY(codec::read_luks_metadata(volume));
  const auto header = TRY(codec::decode_luks_json(metadata.json));
  if (header.segments.size() != 1)
    return fail(ErrorCode::unsupported, "a volume whose encryption is being changed",
                "finish it with cryptsetup reencrypt");
  OpenedHeader out{metadata.uuid, header.segments.front(), {}};
  if (out.segment.offset_bytes > std::min(header_cap_bytes, volume.size()))
    return fail(ErrorCode::malformed, "the volume ends before its data begin");
  // Never committed: it goes with this function.
  auto copy = TRY(OutputFile::create((std::filesystem::temp_directory_path() / "ingot-recover").string(), 0600));
  TRY(copy.write(TRY(read_part(volume, 0, out.segment.offset_bytes, header_cap_bytes))));
  crypt_token_external_disable();
  crypt_device* opened = nullptr;
  if (const int status = crypt_init(&opened, copy.temporary_path().c_str()); status < 0)
    return fail(io_error("LUKS2 header: opening it", -status));
  const Device device(opened);
  crypt_set_log_callback(device.get(), keep_nothing, nullptr);
  if (const int status = crypt_load(device.get(), CRYPT_LUKS2, nullptr); status < 0)
    return fail(io_error("LUKS2 header: reading it", -status));
  Buffer key(static_cast<std::size_t>(std::max(0, crypt_get_volume_key_size(device.get()))));
  std::size_t size = key.size();
  const auto text = as_text(passphrase);
  const int slot =
      crypt_volume_key_get(device.get(), CRYPT_ANY_SLOT, static_cast<char*>(static_cast<void*>(key.data())), &size,
                           text.data(), text.size());
  out.volume_key = crypto::Secret(std::move(key));
  if (slot < 0)
    return fail(ErrorCode::crypto, fmt::format("the key opens no key slot of volume {}", metadata.uuid),
                "it is another volume's, or its key slot was taken away");
  return out;
}

/// Sectors one after the other, each with its place as tweak (IEEE 1619).
Result<void> decrypt_sectors(EVP_CIPHER_CTX* context, std::uint64_t at_bytes, std::uint64_t sector_bytes,
                             MutableBytes data) {
  for (std::size_t done = 0; done < data.size(); done += sector_bytes) {
    std::array<std::uint8_t, 16> tweak{};
    std::uint64_t number = (at_bytes + done) / tweak_unit_bytes;
    for (std::size_t i = 0; i < sizeof number; ++i, number >>= 8) tweak[i] = static_cast<std::uint8_t>(number);
    int size = 0;
    if (EVP_DecryptInit_ex2(context, nullptr, nullptr, tweak.data(), nullptr) != 1 ||
        EVP_DecryptUpdate(context, data.data() + done, &size, data.data() + done, static_cast<int>(sector_bytes)) != 1)
      return fail(crypto::openssl_error(ErrorCode::crypto, "decrypting the volume"));
  }
  return {};
}

bool is_hole(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

Result<crypto::Secret> open_recovery_message(Bytes message, const SigningKey& key) {
  const auto* at = message.data();
  const MessageHandle decoded(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(message.size())));
  if (!decoded || at != message.data() + message.size())
    return fail(crypto::openssl_error(ErrorCode::malformed, "the recovery key is no CMS message"));
  const BioHandle content(BIO_new(BIO_s_secmem()));
  if (CMS_decrypt(decoded.get(), key.state().for_decryption(), nullptr, nullptr, content.get(), CMS_BINARY) != 1) {
    auto error = crypto::openssl_error(ErrorCode::crypto, "the recovery key was encrypted to another key, or changed");
    error.remedy = "give the private key of the certificate that recovery.crt was when the node made the volume";
    return fail(std::move(error));
  }
  unsigned char* data = nullptr;
  const long size = BIO_get_mem_data(content.get(), &data);
  if (size <= 0 || static_cast<std::size_t>(size) > recovery_key_cap_bytes)
    return fail(ErrorCode::limit, fmt::format("a recovery key of {} bytes", size));
  Bytes text(data, static_cast<std::size_t>(size));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text = text.first(text.size() - 1);
  return crypto::Secret::copy_of(text);
}

Result<void> check_passphrase(const ByteSource& volume, const crypto::Secret& passphrase) {
  TRY(open_header(volume, passphrase));
  return {};
}

Result<RecoveredVolume> decrypt_volume(const ByteSource& volume, const crypto::Secret& passphrase,
                                       const std::string& out_path) {
  const auto header = TRY(open_header(volume, passphrase));
  const auto& segment = header.segment;
  if (segment.type != "crypt" || segment.cipher != known_cipher || !segment.integrity.empty() ||
      segment.sector_bytes < tweak_unit_bytes || segment.sector_bytes > 4096 || chunk_bytes % segment.sector_bytes != 0)
    return fail(
        ErrorCode::unsupported,
        fmt::format("a volume of type {}, {}, sectors of {} bytes", segment.type, segment.cipher, segment.sector_bytes),
        "take the key alone (--key-out), and open the volume with cryptsetup");
  const CipherHandle context(EVP_CIPHER_CTX_new());
  const auto* cipher = header.volume_key.size() == 64 ? EVP_aes_256_xts() : EVP_aes_128_xts();
  if (EVP_DecryptInit_ex2(context.get(), cipher, header.volume_key.view().data(), nullptr, nullptr) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "AES-XTS"));
  auto file = TRY(OutputFile::create(out_path, 0600));
  const auto size = (volume.size() - segment.offset_bytes) / segment.sector_bytes * segment.sector_bytes;
  TRY(file.truncate(size));
  std::uint64_t at = 0;
  TRY(for_each_chunk(volume, segment.offset_bytes, size, [&](Bytes chunk) -> Result<void> {
    if (!is_hole(chunk)) {
      auto plain = to_buffer(chunk);
      TRY(decrypt_sectors(context.get(), at, segment.sector_bytes, plain));
      TRY(file.write_at(at, plain));
    }
    at += chunk.size();
    return {};
  }));
  TRY(file.commit_new());
  return RecoveredVolume{header.uuid, size};
}

}  // namespace ingot::signer
