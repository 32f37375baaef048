#include "ingot/signer/volume.hpp"

#include "ingot/base/output.hpp"
#include "ingot/codec/luks_token.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/signer/seal.hpp"
#include "luks_header.hpp"

namespace ingot::signer {
namespace {

constexpr std::size_t secret_bytes = 32;
/// TCG TPM v2.0 Provisioning Guidance 1.0, "Storage Root Key": where systemd-tpm2-setup keeps it, too.
constexpr std::uint32_t srk_handle = 0x81000001;
constexpr std::uint32_t key_slot = 0;

}  // namespace

Result<std::string> make_volume_header(const codec::TpmPublic& srk, const measure::VolumePolicy& policy,
                                       const std::string& out_path) {
  const crypto::Secret secret(crypto::random_bytes(secret_bytes));
  auto sealed = TRY(seal_for(srk, secret, policy.digest));
  codec::LuksToken token;
  token.key_slot = key_slot;
  token.bank = measure::volume_bank;
  token.pcrs.assign(std::begin(measure::volume_pcrs), std::end(measure::volume_pcrs));
  token.signed_pcrs.assign(std::begin(measure::volume_signed_pcrs), std::end(measure::volume_signed_pcrs));
  token.policy_key_pem = policy.policy_key_pem;
  token.storage_key = TRY(codec::saved_handle(srk_handle, srk));
  if (std::holds_alternative<codec::TpmRsa>(srk.key)) token.storage_key_alg = codec::TpmAlg::rsa;
  token.parts.push_back(
      {std::move(sealed.duplicate), std::move(sealed.object_public), std::move(sealed.encrypted_seed), policy.digest});
  auto file = TRY(OutputFile::create(out_path, 0600));
  TRY(file.truncate(volume_header_bytes));
  auto uuid = TRY_IN(out_path, format_luks_header(file.temporary_path(), crypto::secret_base64(secret),
                                                  codec::encode_luks_token(token)));
  TRY(file.commit_new());
  return uuid;
}

}  // namespace ingot::signer
