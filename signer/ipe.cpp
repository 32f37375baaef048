// Policies of the kernel's Integrity Policy Enforcement, as the kernel wants them signed.
#include "ingot/codec/der.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/signer/sign.hpp"
#include "pkcs7.hpp"

namespace ingot::signer {

Result<Buffer> sign_ipe_policy(std::string_view policy, const SigningKey& key) {
  TRY(key.certificate());
  // RSA with PKCS#1 v1.5 signs the same text to the same bytes; without attributes there is no signing time in it.
  if (key.kind() != KeyKind::rsa)
    return fail(ErrorCode::crypto, "execution policies need an RSA key", "use an RSA-2048 (or larger) key for db");
  const auto text = as_bytes(policy);
  const auto content = codec::encode_der(codec::der_octet_string, text);
  const std::string name(policy.substr(0, policy.find('\n')));
  return sign_pkcs7({.content = content}, text, key, {"execution policy " + name, crypto::sha256(text)});
}

}  // namespace ingot::signer
