// X.509 certificates and public keys, read only. RFC 5280.
#pragma once

#include <memory>

#include "ingot/base/result.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::crypto {

class PublicKey {
 public:
  static Result<PublicKey> from_spki_der(Bytes der);
  /// A point in SEC 1's uncompressed form, which must be on its curve ("P-256"); seven times as fast as from DER.
  static Result<PublicKey> from_ec_point(const char* curve, Bytes point);
  static Result<PublicKey> from_pem(std::string_view pem);
  [[nodiscard]] Buffer spki_der() const;
  /// PKCS#1 RSAPublicKey DER; an error for other kinds. Its SHA-256 is the `pkfp` of a .pcrsig.
  [[nodiscard]] Result<Buffer> rsa_public_key_der() const;
  struct RsaNumbers {
    Buffer modulus;  ///< big-endian, without leading zeroes
    std::uint32_t exponent = 0;
  };
  /// Error (unsupported) for other kinds and for an exponent of more than 32 bits.
  [[nodiscard]] Result<RsaNumbers> rsa_numbers() const;
  /// SubjectPublicKeyInfo in PEM, as systemd's .pcrpkey section carries it.
  [[nodiscard]] std::string pem() const;
  /// Hexadecimal SHA-256 of the SPKI: the key id of our DSSE envelopes.
  [[nodiscard]] std::string key_id() const;
  /// Error (crypto) unless `signature` is valid. RSA: PKCS#1 v1.5. EC: ECDSA, DER-encoded. Ed25519: pure (alg ignored).
  [[nodiscard]] Result<void> verify(HashAlg alg, Bytes message, Bytes signature) const;

  struct State;
  explicit PublicKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  std::shared_ptr<const State> state_;
};

class Certificate {
 public:
  static Result<Certificate> from_der(Bytes der);
  static Result<Certificate> from_pem(std::string_view pem);
  [[nodiscard]] const Buffer& der() const { return der_; }
  /// RFC 2253 one-line subject.
  [[nodiscard]] const std::string& subject() const { return subject_; }
  [[nodiscard]] const PublicKey& public_key() const { return key_; }

 private:
  Certificate(Buffer der, std::string subject, PublicKey key)
      : der_(std::move(der)), subject_(std::move(subject)), key_(std::move(key)) {}
  Buffer der_;
  std::string subject_;
  PublicKey key_;
};

}  // namespace ingot::crypto
