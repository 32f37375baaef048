#include "ingot/signer/volume.hpp"

#include "ingot/codec/luks_token.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/signer/seal.hpp"
#include "luks_header.hpp"
#include "luks_key_slot.hpp"

namespace ingot::signer {
namespace {

constexpr std::size_t secret_bytes = 32;
/// TCG TPM v2.0 Provisioning Guidance 1.0, "Storage Root Key": where systemd-tpm2-setup keeps it, too.
constexpr std::uint32_t srk_handle = 0x81000001;
constexpr std::uint32_t key_slot = 0;

}  // namespace

VolumeSealer::VolumeSealer(measure::VolumePolicy policy, LuksModel model)
    : policy_(std::move(policy)), model_(std::make_unique<const LuksModel>(std::move(model))) {}
VolumeSealer::VolumeSealer(VolumeSealer&&) noexcept = default;
VolumeSealer& VolumeSealer::operator=(VolumeSealer&&) noexcept = default;
VolumeSealer::~VolumeSealer() = default;

Result<VolumeSealer> VolumeSealer::under(measure::VolumePolicy policy) {
  return VolumeSealer(std::move(policy), TRY(LuksModel::make()));
}

Result<VolumeHeader> VolumeSealer::header_for(const codec::TpmPublic& srk) const {
  const auto secret = crypto::random_secret(secret_bytes);
  auto sealed = TRY(seal_for(srk, secret, policy_.digest));
  codec::LuksToken token;
  token.key_slot = key_slot;
  token.bank = measure::volume_bank;
  token.pcrs.assign(std::begin(measure::volume_pcrs), std::end(measure::volume_pcrs));
  token.signed_pcrs.assign(std::begin(measure::volume_signed_pcrs), std::end(measure::volume_signed_pcrs));
  token.policy_key_pem = policy_.policy_key_pem;
  token.storage_key = TRY(codec::saved_handle(srk_handle, srk));
  if (std::holds_alternative<codec::TpmRsa>(srk.key)) token.storage_key_alg = codec::TpmAlg::rsa;
  token.parts.push_back(
      {std::move(sealed.duplicate), std::move(sealed.object_public), std::move(sealed.encrypted_seed), policy_.digest});
  return model_->header(crypto::secret_base64(secret), crypto::random_secret(luks_key_bytes),
                        codec::encode_luks_token(token));
}

Buffer header_bytes(const VolumeHeader& header) {
  auto bytes = header.start;
  bytes.resize(volume_header_bytes);
  return bytes;
}

Result<OutputFile> header_file(const VolumeHeader& header, const std::string& path) {
  auto file = TRY(OutputFile::create(path, 0600));
  TRY(file.write(header.start));
  TRY(file.truncate(volume_header_bytes));
  return file;
}

}  // namespace ingot::signer
