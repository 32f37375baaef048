#include "key_source.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>

#include "ingot/base/source.hpp"
#include "ingot/crypto/openssl.hpp"
#include "pins.hpp"
#include "token.hpp"

namespace ingot::signer {
namespace {

using BioHandle = std::unique_ptr<BIO, crypto::Deleter<BIO_free_all>>;
using Key = std::shared_ptr<EVP_PKEY>;

constexpr std::uint64_t key_cap_bytes = 64u << 10;

/// Nobody is asked twice: a key that took a passphrase stays open until the process ends.
struct Unlocked {
  std::mutex lock;
  std::map<std::string, Key> keys;
};
Unlocked& unlocked() {
  static auto* all = new Unlocked;
  return *all;
}
void forget_unlocked() {
  const std::lock_guard guard(unlocked().lock);
  unlocked().keys.clear();
}

/// Which file it is, and that it was not replaced since.
std::string identity(const struct stat& info) {
  return fmt::format("{}:{}:{}:{}.{}", info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

Result<struct stat> check_file(const std::string& path, const char* kind, mode_t forbidden,
                               const char* what_others_do) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail(io_error(fmt::format("{} {}", kind, path), errno));
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::usage, fmt::format("{} {} is not a regular file", kind, path));
  if ((info.st_mode & forbidden) != 0)
    return fail(
        ErrorCode::usage,
        fmt::format("{} {} can be {} by others (mode {:04o})", kind, path, what_others_do, info.st_mode & 07777),
        fmt::format("chmod 600 {}, and make new keys if somebody may have {} it", path, what_others_do));
  return info;
}

struct Passphrase {
  PinWanted wanted;
  bool asked = false;
  std::optional<Error> error;
};

/// pem_password_cb(3ssl)
int give_passphrase(char* buffer, int size, int, void* data) {
  auto& passphrase = *static_cast<Passphrase*>(data);
  passphrase.asked = true;
  const auto secret = get_pin(passphrase.wanted);
  if (!secret) {
    passphrase.error = secret.error();
    return -1;
  }
  if (secret->size() > static_cast<std::size_t>(size)) return -1;
  std::memcpy(buffer, secret->view().data(), secret->size());
  return static_cast<int>(secret->size());
}

Result<Key> read_pem_key(const std::string& path) {
  const auto info = TRY(check_file(path, "private key", 077, "read"));
  auto& open = unlocked();
  const std::lock_guard guard(open.lock);
  if (const auto found = open.keys.find(identity(info)); found != open.keys.end()) return found->second;
  const crypto::Secret pem(TRY(read_file(path, key_cap_bytes)));
  const BioHandle bio(BIO_new_mem_buf(pem.view().data(), static_cast<int>(pem.size())));
  Passphrase passphrase{{"the passphrase of " + path, std::filesystem::path(path).stem().string(), {}}, false, {}};
  ERR_clear_error();
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase, &passphrase), EVP_PKEY_free);
  if (key && passphrase.asked) {
    open.keys[identity(info)] = key;
    static const int at_exit = std::atexit(forget_unlocked);  // before OpenSSL's own end
    (void)at_exit;
  }
  if (key) return key;
  if (passphrase.error) {
    ERR_clear_error();
    return fail(std::move(*passphrase.error).in(fmt::format("private key {} is encrypted", path)));
  }
  auto error =
      crypto::openssl_error(ErrorCode::crypto, fmt::format("{} is not a private key in PEM that can be read", path));
  error.remedy = "give a PKCS#8 or traditional PEM key, or a PKCS#11 URI";
  if (passphrase.asked) {
    error.message = fmt::format("the passphrase does not open private key {}", path);
    error.remedy = "give the one that it was encrypted with";
  }
  return fail(std::move(error));
}

/// module-path= loads a program: whoever writes the file has the signer's rights.
Result<Pkcs11Uri> read_uri_file(const std::string& path) {
  TRY(check_file(path, "key reference", 022, "written"));
  const auto bytes = TRY(read_file(path, key_cap_bytes));
  auto text = as_text(bytes);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return TRY_IN(path, parse_pkcs11_uri(text));
}

}  // namespace

Result<OpenedKey> open_key(const std::string& reference) {
  const bool is_uri = is_pkcs11_uri(reference);
  if (!is_uri && !reference.ends_with(".uri")) return OpenedKey{TRY(read_pem_key(reference)), reference, false};
  const auto uri = is_uri ? TRY(parse_pkcs11_uri(reference)) : TRY(read_uri_file(reference));
  return OpenedKey{TRY(open_token_key(uri)), uri.place(), true};
}

}  // namespace ingot::signer
