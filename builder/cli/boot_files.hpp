// What commands about Secure Boot's databases read: certificates and images that entries are made of.
#pragma once

#include <string>

#include "ingot/base/source.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/crypto/certificate.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::cli {

/// PEM or DER.
inline Result<crypto::Certificate> read_certificate(const std::string& path) {
  constexpr std::uint64_t cap_bytes = 1u << 20;
  const auto bytes = TRY(read_file(path, cap_bytes));
  if (as_text(bytes).find("-----BEGIN ") != std::string_view::npos)
    return TRY_IN(path, crypto::Certificate::from_pem(as_text(bytes)));
  return TRY_IN(path, crypto::Certificate::from_der(bytes));
}

/// Authenticode SHA-256 of a PE file.
inline Result<Buffer> image_digest(const std::string& path) {
  const auto file = TRY(file_source(path));
  constexpr HashAlg algs[] = {HashAlg::sha256};
  const auto pe = TRY_IN(path, codec::decode_pe(*file));
  return TRY_IN(path, measure::authenticode_digests(*file, pe, algs)).at(HashAlg::sha256);
}

}  // namespace ingot::cli
