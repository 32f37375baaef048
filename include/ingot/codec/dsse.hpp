// DSSE envelopes (secure-systems-lab/dsse v1.0.2, "protocol") around in-toto statements (in-toto attestation
// framework v1, "Statement").
#pragma once

#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/crypto/certificate.hpp"

namespace ingot::codec {

inline constexpr const char* in_toto_payload_type = "application/vnd.in-toto+json";

struct DsseEnvelope {
  std::string payload_type;
  Buffer payload;
  struct Signature {
    std::string key_id;
    Buffer signature;
  };
  std::vector<Signature> signatures;
};

/// PAE(payloadType, payload): the bytes that are signed.
Buffer pre_authentication_encoding(std::string_view payload_type, Bytes payload);
std::string encode_dsse(const DsseEnvelope& envelope);
Result<DsseEnvelope> decode_dsse(Bytes json);

/// The payload of an envelope, once one signature by `key` is valid; an error (crypto) otherwise. An envelope
/// without signatures is never accepted.
Result<Buffer> open_dsse(const DsseEnvelope& envelope, std::string_view payload_type, const crypto::PublicKey& key);

}  // namespace ingot::codec
