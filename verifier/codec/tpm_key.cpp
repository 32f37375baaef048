// Keys and signatures of a TPM in the forms that OpenSSL takes: SubjectPublicKeyInfo and ECDSA-Sig-Value in DER.
#include <fmt/format.h>

#include <algorithm>

#include "ingot/codec/spki.hpp"
#include "ingot/codec/tpm.hpp"
#include "ingot/crypto/rsa_pss.hpp"

namespace ingot::codec {
namespace {

/// X.690, "Length octets": the shortest form, as DER wants it. Precondition: content below 64 KiB.
Buffer der(std::uint8_t tag, Bytes content) {
  Writer out;
  out.u8(tag);
  if (content.size() >= 0x100)
    out.u8(0x82).u16be(static_cast<std::uint16_t>(content.size()));
  else if (content.size() >= 0x80)
    out.u8(0x81).u8(static_cast<std::uint8_t>(content.size()));
  else
    out.u8(static_cast<std::uint8_t>(content.size()));
  return out.bytes(content).take();
}

/// An unsigned big-endian number as INTEGER: no leading zeroes but the one that keeps it positive.
Buffer der_unsigned(Bytes number) {
  while (number.size() > 1 && number.front() == 0) number = number.subspan(1);
  Writer out;
  if (number.empty() || (number.front() & 0x80) != 0) out.u8(0);
  return der(der_integer, out.bytes(number).view());
}

struct Curve {
  const char* name;  ///< OpenSSL's
  std::size_t size_bytes = 0;
};
Result<Curve> curve_of(TpmCurve curve) {
  switch (curve) {
    case TpmCurve::p256:
      return Curve{"P-256", 32};
    case TpmCurve::p384:
      return Curve{"P-384", 48};
    case TpmCurve::p521:
      return Curve{"P-521", 66};
  }
  return fail(ErrorCode::unsupported, fmt::format("elliptic curve 0x{:04x}; NIST P-256, P-384 and P-521 are handled",
                                                  static_cast<std::uint16_t>(curve)));
}

Buffer spki(Bytes algorithm, Bytes key) {
  const Buffer bits = Writer{}.u8(0).bytes(key).take();  // no unused bits
  return der(der_sequence, Writer{}.bytes(der(der_sequence, algorithm)).bytes(der(der_bit_string, bits)).view());
}

Result<crypto::PublicKey> to_key(const TpmRsa& key) {
  if (key.modulus.empty()) return fail(ErrorCode::crypto, "a template, not a key: the RSA modulus is empty");
  const std::uint32_t exponent = key.exponent == 0 ? 65537 : key.exponent;
  const Buffer parts =
      Writer{}.bytes(der_unsigned(key.modulus)).bytes(der_unsigned(Writer{}.u32be(exponent).view())).take();
  return crypto::PublicKey::from_spki_der(spki(rsa_encryption, der(der_sequence, parts)));
}

Result<crypto::PublicKey> to_key(const TpmEcc& key) {
  const auto curve = TRY(curve_of(key.curve));
  if (key.x.empty() || key.y.empty()) return fail(ErrorCode::crypto, "a template, not a key: the ECC point is empty");
  if (key.x.size() > curve.size_bytes || key.y.size() > curve.size_bytes)
    return fail(ErrorCode::crypto, "the ECC point is longer than its curve's numbers");
  // SEC 1, "Elliptic-Curve-Point-to-Octet-String Conversion", uncompressed.
  Writer point;
  point.u8(0x04).fill(curve.size_bytes - key.x.size()).bytes(key.x).fill(curve.size_bytes - key.y.size()).bytes(key.y);
  return crypto::PublicKey::from_ec_point(curve.name, point.view());
}

}  // namespace

Result<crypto::PublicKey> public_key(const TpmPublic& object) {
  auto key = std::visit([](const auto& parameters) { return to_key(parameters); }, object.key);
  if (!key && key.error().code == ErrorCode::malformed) key.error().code = ErrorCode::crypto;
  return key;
}

Result<void> verify_tpm_signature(const TpmPublic& key, const TpmSignature& signature, Bytes message) {
  return verify_tpm_signature(key, TRY(public_key(key)), signature, message);
}

Result<void> verify_tpm_signature(const TpmPublic& key, const crypto::PublicKey& handle, const TpmSignature& signature,
                                  Bytes message) {
  const bool is_rsa = std::holds_alternative<TpmRsa>(key.key);
  const TpmScheme& wanted = is_rsa ? std::get<TpmRsa>(key.key).scheme : std::get<TpmEcc>(key.key).scheme;
  // A key that says its scheme signs with no other; a key without one takes the signature's.
  if (wanted.alg != TpmAlg::null && wanted != signature.scheme)
    return fail(ErrorCode::crypto, "the signature's scheme is not the one of its key");
  const HashAlg hash = signature.scheme.hash;
  switch (signature.scheme.alg) {
    case TpmAlg::rsassa:
      if (!is_rsa) break;
      return handle.verify(hash, message, signature.rsa);
    case TpmAlg::rsapss:
      if (!is_rsa) break;
      return crypto::verify_rsa_pss(handle, hash, message, signature.rsa);
    case TpmAlg::ecdsa: {
      if (is_rsa) break;
      const Buffer numbers = Writer{}.bytes(der_unsigned(signature.r)).bytes(der_unsigned(signature.s)).take();
      return handle.verify(hash, message, der(der_sequence, numbers));
    }
    case TpmAlg::rsa:
    case TpmAlg::aes:
    case TpmAlg::keyedhash:
    case TpmAlg::null:
    case TpmAlg::ecc:
    case TpmAlg::symcipher:
    case TpmAlg::cfb:
    case TpmAlg::oaep:
    case TpmAlg::ecdh:
      break;
  }
  return fail(ErrorCode::crypto, "the signature's scheme does not fit its key");
}

}  // namespace ingot::codec
