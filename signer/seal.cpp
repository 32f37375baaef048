#include "ingot/signer/seal.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/crypto/random.hpp"
#include "ingot/fleet/credential.hpp"
#include "ingot/fleet/storage_key.hpp"

namespace ingot::signer {
namespace {

constexpr std::string_view duplicate_label = "DUPLICATE";
constexpr HashAlg name_alg = HashAlg::sha256;  // of storage keys, as check_storage_key has it, and of what we seal

Result<void> check_content(Bytes secret, Bytes policy) {
  if (secret.empty() || secret.size() > codec::sealed_data_cap_bytes)
    return fail(ErrorCode::usage,
                fmt::format("a secret of {} bytes; a TPM seals 1 to {}", secret.size(), codec::sealed_data_cap_bytes));
  if (policy.size() != digest_size_bytes(name_alg))
    return fail(ErrorCode::usage, fmt::format("a policy digest of {} bytes; SHA-256 has 32", policy.size()));
  if (std::all_of(policy.begin(), policy.end(), [](auto byte) { return byte == 0; }))
    return fail(ErrorCode::usage, "the policy of a session that has just been started: anybody could open the secret");
  return {};
}

Result<fleet::SharedSecret> share(const codec::TpmPublic& srk, Bytes ephemeral_private) {
  if (ephemeral_private.empty() || std::holds_alternative<codec::TpmRsa>(srk.key))
    return fleet::share_secret(srk, duplicate_label);
  return fleet::share_secret_with(srk, duplicate_label, ephemeral_private);
}

}  // namespace

Result<SealedSecret> seal_for(const codec::TpmPublic& srk, Bytes secret, Bytes policy) {
  return seal_with(srk, secret, policy,
                   {crypto::random_secret(digest_size_bytes(name_alg)), crypto::Secret{}});
}

Result<SealedSecret> seal_with(const codec::TpmPublic& srk, Bytes secret, Bytes policy, const SealNumbers& numbers) {
  TRY(fleet::check_storage_key(srk));
  TRY(check_content(secret, policy));
  // 1. The object. None of fixedTPM, fixedParent and sensitiveDataOrigin: it was made outside. Without userWithAuth
  //    only its policy opens it; dictionary attacks have nothing to guess.
  codec::TpmSealedPublic object;
  object.name_alg = name_alg;
  object.attributes = codec::object_attribute::no_da;
  object.auth_policy = to_buffer(policy);
  object.unique = codec::sealed_unique(name_alg, numbers.seed_value, secret);
  const auto sensitive = codec::encode_tpm_sealed_sensitive({}, numbers.seed_value, secret);
  // 2. A seed that the storage key's owner gets back, and TPM2B_SENSITIVE under keys that come from it.
  const auto shared = TRY(share(srk, numbers.ephemeral_private));
  const auto size = Writer{}.u16be(static_cast<std::uint16_t>(sensitive.size())).take();
  const auto duplicate =
      TRY(fleet::protect(srk, shared.seed, codec::sealed_name(object), crypto::concatenate({size, sensitive})));
  return SealedSecret{codec::encode_tpm2b(codec::encode_tpm_sealed_public(object)), codec::encode_tpm2b(duplicate),
                      codec::encode_tpm2b(shared.encrypted)};
}

}  // namespace ingot::signer
