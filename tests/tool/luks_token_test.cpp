// Volumes that we seal without a TPM, opened by the systemd of Debian 13.
#include "ingot/codec/luks_token.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/crypto/hash.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/fleet/storage_key.hpp"
#include "ingot/measure/tpm_policy.hpp"
#include "ingot/signer/sign.hpp"
#include "volume_site.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const codec::PcrSelections seven = {{HashAlg::sha256, {7}}}, seven_and_fifteen = {{HashAlg::sha256, {7, 15}}};

PcrValues pcrs_of(const Tpm& tpm) {
  PcrValues values;
  for (const PcrIndex pcr : {7u, 11u, 15u}) {
    tpm.tool({"tpm2_pcrread", "sha256:" + std::to_string(pcr), "-o", tpm.file("pcr")});
    values[HashAlg::sha256][pcr] = tpm.read("pcr");
  }
  return values;
}

codec::SealedPart seal(const codec::TpmPublic& srk, Bytes secret, const Buffer& policy) {
  auto sealed = signer::seal_for(srk, secret, policy).value();
  return {std::move(sealed.duplicate), std::move(sealed.object_public), std::move(sealed.encrypted_seed), policy};
}

codec::LuksToken token_for(const codec::TpmPublic& srk) {
  codec::LuksToken token;
  token.pcrs = {7, 15};
  token.storage_key = codec::saved_handle(0x81000001, srk).value();
  if (std::holds_alternative<codec::TpmRsa>(srk.key)) token.storage_key_alg = codec::TpmAlg::rsa;
  return token;
}

/// A volume whose only key slot is opened by the secret.
void make_volume(const Tpm& tpm, Bytes secret, const codec::LuksToken& token) {
  fs::remove(tpm.file("volume"));
  tpm.write("volume", {});
  fs::resize_file(tpm.file("volume"), 24u << 20);
  tpm.write("passphrase", as_bytes(to_base64(secret)));
  tpm.write("token", as_bytes(codec::encode_luks_token(token)));
  output_of({"cryptsetup", "luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations",
             "1000", tpm.file("volume"), tpm.file("passphrase")});
  // Debian 12's plugin, if it is there, does not know lists of parts.
  output_of({"cryptsetup", "token", "import", "--disable-external-tokens", "--token-id", "0", "--json-file",
             tpm.file("token"), tpm.file("volume")});
}

}  // namespace

TEST_CASE("luks token: systemd opens a volume by PCRs that were known before, and by no others") {
  if (no_systemd()) return;
  const Tpm tpm;
  tpm.extend(7);
  for (const std::string algorithm : {"ecc256:aes128cfb", "rsa2048:aes128cfb"}) {
    INFO(algorithm);
    tpm.make_srk(algorithm);
    const auto srk = fleet::decode_public_file(tpm.read("srk.pub")).value();
    const auto secret = crypto::random_bytes(32);
    auto token = token_for(srk);
    token.parts = {seal(
        srk, secret,
        measure::policy_pcr(HashAlg::sha256, measure::policy_start(HashAlg::sha256), seven_and_fifteen, pcrs_of(tpm))
            .value())};
    make_volume(tpm, secret, token);
    CHECK(opens(tpm));
    tpm.extend(15);
    CHECK_FALSE(opens(tpm));
    tpm.forget_srk();
  }
}

TEST_CASE(
    "luks token: systemd opens a volume by a signed PCR 11 and others by value, together with an index or without") {
  if (no_systemd()) return;
  const Tpm tpm;
  for (const PcrIndex pcr : {7u, 11u}) tpm.extend(pcr);
  tpm.make_srk("ecc256:aes128cfb");
  const auto srk = fleet::decode_public_file(tpm.read("srk.pub")).value();
  const auto keys = signer::init_keys(tpm.file("keys")).value();
  const auto key = signer::SigningKey::load(keys.key("pcr")).value();
  const auto pcrs = pcrs_of(tpm);
  fs::create_directory(tpm.file("run"));
  const auto sign = [&](const Buffer& value) {
    const Baseline::PhaseValue phase{"enter-initrd", {{HashAlg::sha256, value}}};
    tpm.write("run/tpm2-pcr-signature.json", as_bytes(signer::pcr_signature_json({phase}, key).value()));
  };
  const auto name =
      codec::object_name(codec::encode_tpm_public(measure::policy_key_public(key.public_key()).value())).value();
  const auto by_key =
      measure::policy_pcr(HashAlg::sha256, measure::policy_authorize(HashAlg::sha256, name), seven_and_fifteen, pcrs)
          .value();
  auto token = token_for(srk);
  token.signed_pcrs = {11};
  token.policy_key_pem = key.public_key().pem();

  const auto secret = crypto::random_bytes(32);
  token.parts = {seal(srk, secret, by_key)};
  make_volume(tpm, secret, token);
  sign(pcrs.at(HashAlg::sha256).at(11));
  CHECK(opens(tpm));
  sign(Buffer(32, 1));
  CHECK_FALSE(opens(tpm));

  // A second part under an index that holds the policy of the releases that may still run.
  tpm.define_index();
  const auto start = measure::policy_start(HashAlg::sha256);
  const auto running = measure::policy_pcr(HashAlg::sha256, start, seven, pcrs).value();
  tpm.write_index(running);
  const auto index = index_public(tpm);
  const auto by_index =
      measure::policy_pcr(HashAlg::sha256, measure::policy_authorize_nv(HashAlg::sha256, codec::nv_name(index)),
                          seven_and_fifteen, pcrs)
          .value();
  const auto second = crypto::random_bytes(32);
  token.parts.push_back(seal(srk, second, by_index));
  token.policy_index = codec::saved_handle(index);
  const auto empty = to_base64(codec::encode_tpm2b({}));
  tpm.write("run/pcrlock.json",
            as_bytes(fmt::format(
                R"({{"pcrBank":"sha256","pcrValues":[{{"pcr":7,"values":["{}"]}}],"nvIndex":{},"nvHandle":"{}",)"
                R"("nvPublic":"{}","srkHandle":"{}","pinPublic":"{}","pinPrivate":"{}"}})",
                to_hex(pcrs.at(HashAlg::sha256).at(7)), index.index, to_base64(token.policy_index),
                to_base64(codec::encode_tpm2b(codec::encode_tpm_nv_public(index))), to_base64(token.storage_key), empty,
                empty)));
  make_volume(tpm, Writer{}.bytes(secret).bytes(second).view(), token);
  sign(pcrs.at(HashAlg::sha256).at(11));
  CHECK(opens(tpm));
  // The release is taken back: its signature is still good.
  tpm.write_index(Buffer(32, 9));
  CHECK_FALSE(opens(tpm));
  tpm.write_index(running);
  CHECK(opens(tpm));
}
