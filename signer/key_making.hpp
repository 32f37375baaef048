// What a key folder is made of. Internal to the signer.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "ingot/signer/key.hpp"

namespace ingot::signer {

enum class KeyType { rsa, rsa_3072, ed25519, p256 };
enum class CertificateUse { none, code_signing, authority, recovery };
struct KeyRow {
  const char* name;
  KeyType type;
  CertificateUse use;       ///< none: the public key alone is kept
  const char* common_name;  ///< of its certificate
};
inline constexpr std::array<KeyRow, 10> key_rows = {
    {{"PK", KeyType::rsa, CertificateUse::code_signing, "Ingot Platform Key"},
     {"KEK", KeyType::rsa, CertificateUse::code_signing, "Ingot Key Exchange Key"},
     {"db", KeyType::rsa, CertificateUse::code_signing, "Ingot Secure Boot Signing"},
     {"pcr", KeyType::rsa, CertificateUse::none, nullptr},
     {"pcr-system", KeyType::rsa, CertificateUse::none, nullptr},
     {"baseline", KeyType::ed25519, CertificateUse::none, nullptr},
     {"verdict", KeyType::p256, CertificateUse::none, nullptr},
     {"provenance", KeyType::ed25519, CertificateUse::none, nullptr},
     {"tls-ca", KeyType::p256, CertificateUse::authority, "Ingot TLS Authority"},
     {"recovery", KeyType::rsa_3072, CertificateUse::recovery, "Ingot Volume Recovery"}}};

/// NAME.key and NAME.crt or NAME.pub, new; `common_name` for its certificate, where it has one.
Result<void> write_key(const KeyFolder& folder, const KeyRow& row, const std::string& common_name);

/// A key folder, 0700, that appears with all that `fill` puts into it, or not at all. Error (usage): there is something
/// of that name.
Result<KeyFolder> make_folder(const std::string& given, const std::function<Result<void>(const KeyFolder&)>& fill);

}  // namespace ingot::signer
