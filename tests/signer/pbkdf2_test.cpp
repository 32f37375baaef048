#include "../../signer/pbkdf2.hpp"

#include <openssl/evp.h>

#include <catch2/catch.hpp>

#include "ingot/base/bytes.hpp"

using namespace ingot;

namespace {

Buffer by_openssl(std::string_view password, Bytes salt, int iterations, std::size_t size_bytes) {
  Buffer out(size_bytes);
  REQUIRE(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), salt.data(),
                            static_cast<int>(salt.size()), iterations, EVP_sha256(), static_cast<int>(size_bytes),
                            out.data()) == 1);
  return out;
}

}  // namespace

TEST_CASE("PBKDF2 is that of RFC 7914, 11 \"Test Vectors for PBKDF2 with HMAC-SHA-256\"") {
  CHECK(to_hex(signer::pbkdf2(as_bytes("passwd"), as_bytes("salt"), 1, 64)) ==
        "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783");
  CHECK(to_hex(signer::pbkdf2(as_bytes("Password"), as_bytes("NaCl"), 80'000, 64)) ==
        "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d");
}

TEST_CASE("PBKDF2 is OpenSSL's for every length of password, salt and key") {
  const Buffer long_salt(200, 7);
  for (const std::size_t password_size : {0u, 1u, 44u, 63u, 64u, 65u, 88u, 200u})
    for (const std::size_t salt_size : {0u, 32u, 200u})
      for (const std::size_t size_bytes : {1u, 31u, 32u, 33u, 64u, 100u}) {
        CAPTURE(password_size, salt_size, size_bytes);
        const std::string password(password_size, 'p');
        const auto salt = Bytes(long_salt).first(salt_size);
        const auto ours = signer::pbkdf2(as_bytes(password), salt, 3, size_bytes);
        CHECK(to_buffer(ours) == by_openssl(password, salt, 3, size_bytes));
      }
}
