#include "ingot/signer/sign.hpp"
#include "pkcs7.hpp"

namespace ingot::signer {

Result<Buffer> sign_root_hash(std::string_view root_hash, const SigningKey& key) {
  const auto digest = parse_hex(root_hash);
  if (!digest) return fail(ErrorCode::internal, "a root hash that is not hexadecimal");
  if (key.kind() != KeyKind::rsa)
    return fail(ErrorCode::crypto, "root hashes need an RSA key", "use an RSA-2048 (or larger) key for db");
  SignedDataForm form;
  form.certificate = OwnCertificate::inside;
  return sign_pkcs7(form, as_bytes(root_hash), key, {"root hash " + std::string(root_hash), *digest});
}

}  // namespace ingot::signer
