// What is asked of keys and certificates before anything is signed with them.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/core_names.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "key_state.hpp"

namespace ingot::signer {
namespace {

constexpr int least_rsa_bits = 2048;  // NIST SP 800-57 part 1, "Security Strengths": 112 bits

/// The time that certificates must be valid at. A build that has to come out the same next year says which time it is.
Result<std::int64_t> time_of_signing() {
  const char* given = std::getenv("SOURCE_DATE_EPOCH");
  if (given == nullptr || *given == '\0') return static_cast<std::int64_t>(std::time(nullptr));
  const std::string_view text = given;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size() || seconds < 0)
    return fail(ErrorCode::usage, fmt::format("SOURCE_DATE_EPOCH is \"{}\"", text), "give seconds since 1970");
  return seconds;
}

std::string date(std::int64_t seconds) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

}  // namespace

Result<KeyKind> check_strength(EVP_PKEY* key, const std::string& place) {
  const int bits = EVP_PKEY_get_bits(key);
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      if (bits >= least_rsa_bits) return KeyKind::rsa;
      return fail(ErrorCode::crypto, fmt::format("{}: an RSA key of {} bits is weak", place, bits),
                  fmt::format("make one of {} bits or more", least_rsa_bits));
    case EVP_PKEY_ED25519:
      return KeyKind::ed25519;
    case EVP_PKEY_EC: {
      std::array<char, 64> name{};
      std::size_t size = 0;
      (void)EVP_PKEY_get_group_name(key, name.data(), name.size(), &size);
      const std::string_view curve(name.data(), std::min(size, name.size()));
      if (curve == "prime256v1" || curve == "P-256") return KeyKind::p256;
      return fail(ErrorCode::crypto,
                  fmt::format("{}: an EC key on {}", place, curve.empty() ? "an unknown curve" : curve), "use P-256");
    }
    default:
      return fail(ErrorCode::crypto, fmt::format("{}: neither an RSA, an EC nor an Ed25519 key", place));
  }
}

Result<CertificateTimes> certificate_times(const crypto::Certificate& certificate) {
  const unsigned char* at = certificate.der().data();
  const CertificateHandle x509(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
  CertificateTimes times;
  for (const auto& [from, to] : {std::pair{X509_get0_notBefore(x509.get()), &times.not_before},
                                 {X509_get0_notAfter(x509.get()), &times.not_after}}) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(from, &parts) != 1)
      return fail(crypto::openssl_error(ErrorCode::malformed, "a certificate whose validity can't be read"));
    *to = ::timegm(&parts);
  }
  return times;
}

Result<void> check_certificate(const crypto::Certificate& certificate, const crypto::PublicKey& key,
                               const std::string& certificate_path, const std::string& place) {
  if (certificate.public_key().spki_der() != key.spki_der())
    return fail(ErrorCode::crypto, fmt::format("{} does not belong to {}", certificate_path, place),
                "give the certificate that was made for this key");
  const auto times = TRY_IN(certificate_path, certificate_times(certificate));
  const auto now = TRY(time_of_signing());
  if (now < times.not_before)
    return fail(
        ErrorCode::crypto,
        fmt::format("{} is not valid before {}, and it is {}", certificate_path, date(times.not_before), date(now)),
        "check the clock and SOURCE_DATE_EPOCH; verifiers would refuse what is signed now");
  if (now > times.not_after)
    return fail(ErrorCode::crypto,
                fmt::format("{} expired at {}, and it is {}", certificate_path, date(times.not_after), date(now)),
                "make a new certificate for this key, or a new key; see SOURCE_DATE_EPOCH for builds of former times");
  return {};
}

}  // namespace ingot::signer
