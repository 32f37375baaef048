// Policies and sealed secrets against a TPM that is not ours: swtpm, asked by tpm2-tools.
#include "ingot/signer/seal.hpp"

#include <catch2/catch.hpp>

#include "ingot/crypto/hash.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/fleet/storage_key.hpp"
#include "ingot/measure/tpm_policy.hpp"
#include "seal_tpm.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

const codec::PcrSelections seven_and_eleven = {{HashAlg::sha256, {7, 11}}};

Buffer pcr_policy(const PcrValues& pcrs) {
  return measure::policy_pcr(HashAlg::sha256, measure::policy_start(HashAlg::sha256), seven_and_eleven, pcrs).value();
}

}  // namespace

TEST_CASE("tpm policies: digests are those of swtpm's trial sessions") {
  const Tpm tpm;
  for (const PcrIndex pcr : {7u, 11u, 11u}) tpm.extend(pcr);
  const auto by_pcrs = pcr_policy(tpm.pcrs());
  tpm.start_session(false);
  CHECK(tpm.policy("pcr", {"-l", "sha256:7,11"}) == by_pcrs);
  // A second command goes on from the first.
  CHECK(tpm.policy("pcr", {"-l", "sha256:11"}) ==
        measure::policy_pcr(HashAlg::sha256, by_pcrs, {{HashAlg::sha256, {11}}}, tpm.pcrs()).value());

  output_of({"openssl", "genrsa", "-out", tpm.file("key.pem"), "2048"});
  output_of({"openssl", "rsa", "-in", tpm.file("key.pem"), "-pubout", "-out", tpm.file("pub.pem")});
  tpm.tool({"tpm2_loadexternal", "-C", "o", "-G", "rsa", "-u", tpm.file("pub.pem"), "-c", tpm.file("key"), "-n",
            tpm.file("name")});
  const auto key = crypto::PublicKey::from_pem(as_text(tpm.read("pub.pem"))).value();
  const auto area = measure::policy_key_public(key).value();
  const auto name = codec::object_name(codec::encode_tpm_public(area)).value();
  CHECK(name == tpm.read("name"));
  CHECK(tpm.policy("authorize", {"-n", tpm.file("name")}) == measure::policy_authorize(HashAlg::sha256, name));
  tpm.write("reference", as_bytes("ingot"));
  CHECK(tpm.policy("authorize", {"-n", tpm.file("name"), "-q", tpm.file("reference")}) ==
        measure::policy_authorize(HashAlg::sha256, name, as_bytes("ingot")));

  tpm.define_index();
  tpm.write_index(by_pcrs);
  const auto index = index_public(tpm);
  CHECK((index.attributes & codec::nv_written) != 0);
  tpm.end_session();
  tpm.start_session(true);
  tpm.policy("pcr", {"-l", "sha256:7,11"});
  CHECK(tpm.policy("authorizenv", {"-C", "o", nv_index}) ==
        measure::policy_authorize_nv(HashAlg::sha256, codec::nv_name(index)));
  tpm.end_session();
}

TEST_CASE("seal: swtpm opens what we seal to its ECC and RSA storage keys, under the policy only") {
  const Tpm tpm;
  for (const PcrIndex pcr : {7u, 11u}) tpm.extend(pcr);
  for (const std::string algorithm : {"ecc256:aes128cfb", "rsa2048:aes128cfb"}) {
    INFO(algorithm);
    tpm.make_srk(algorithm);
    const auto srk = fleet::decode_public_file(tpm.read("srk.pub")).value();
    CHECK(fleet::decode_public_file(tpm.read("srk.tpmt")).value() == srk);
    const auto secret = crypto::random_bytes(32);
    const auto sealed = signer::seal_for(srk, secret, pcr_policy(tpm.pcrs())).value();
    REQUIRE(tpm.import(sealed));
    tpm.start_session(true);
    // Without the policy, then with it.
    CHECK_FALSE(tpm.unseal());
    tpm.policy("pcr", {"-l", "sha256:7,11"});
    CHECK(tpm.unseal() == secret);
    tpm.end_session();
    tpm.extend(11);
    tpm.start_session(true);
    tpm.policy("pcr", {"-l", "sha256:7,11"});
    CHECK_FALSE(tpm.unseal());
    tpm.end_session();

    for (const auto part : {&signer::SealedSecret::object_public, &signer::SealedSecret::duplicate,
                            &signer::SealedSecret::encrypted_seed}) {
      auto damaged = sealed;
      (damaged.*part).back() ^= 1;
      CHECK_FALSE(tpm.import(damaged));
    }
    // The longest secret there is.
    const auto longest = crypto::random_bytes(codec::sealed_data_cap_bytes);
    REQUIRE(tpm.import(signer::seal_for(srk, longest, pcr_policy(tpm.pcrs())).value()));
    tpm.start_session(true);
    tpm.policy("pcr", {"-l", "sha256:7,11"});
    CHECK(tpm.unseal() == longest);
    tpm.end_session();
    tpm.forget_srk();
  }
}

TEST_CASE("seal: another TPM does not take it") {
  const Tpm tpm, other;
  for (const auto* one : {&tpm, &other}) one->make_srk("ecc256:aes128cfb");
  const auto srk = fleet::decode_public_file(tpm.read("srk.pub")).value();
  const auto sealed = signer::seal_for(srk, Buffer(32, 1), pcr_policy(tpm.pcrs())).value();
  CHECK_FALSE(other.import(sealed));
  CHECK(tpm.import(sealed));
}

TEST_CASE("seal: a signed policy and a PCR by value open together; an index of the TPM takes a policy back") {
  const Tpm tpm;
  tpm.make_srk("ecc256:aes128cfb");
  const auto srk = fleet::decode_public_file(tpm.read("srk.pub")).value();
  const auto secret = crypto::random_bytes(32);
  const auto start = measure::policy_start(HashAlg::sha256);
  const codec::PcrSelections seven = {{HashAlg::sha256, {7}}}, eleven = {{HashAlg::sha256, {11}}};

  // PCR 11 as a key has signed it, then PCR 7 by value.
  output_of({"openssl", "genrsa", "-out", tpm.file("key.pem"), "2048"});
  output_of({"openssl", "rsa", "-in", tpm.file("key.pem"), "-pubout", "-out", tpm.file("pub.pem")});
  const auto key = crypto::PublicKey::from_pem(as_text(tpm.read("pub.pem"))).value();
  const auto name = codec::object_name(codec::encode_tpm_public(measure::policy_key_public(key).value())).value();
  const auto signed_policy = measure::policy_pcr(HashAlg::sha256, start, eleven, tpm.pcrs()).value();
  tpm.write("approved", signed_policy);
  output_of(
      {"openssl", "dgst", "-sha256", "-sign", tpm.file("key.pem"), "-out", tpm.file("sig"), tpm.file("approved")});
  const auto both =
      measure::policy_pcr(HashAlg::sha256, measure::policy_authorize(HashAlg::sha256, name), seven, tpm.pcrs()).value();
  REQUIRE(tpm.import(signer::seal_for(srk, secret, both).value()));
  tpm.tool({"tpm2_loadexternal", "-C", "o", "-G", "rsa", "-u", tpm.file("pub.pem"), "-c", tpm.file("key"), "-n",
            tpm.file("name")});
  tpm.tool({"tpm2_verifysignature", "-c", tpm.file("key"), "-g", "sha256", "-f", "rsassa", "-m", tpm.file("approved"),
            "-s", tpm.file("sig"), "-t", tpm.file("ticket")});
  tpm.start_session(true);
  tpm.policy("pcr", {"-l", "sha256:11"});
  tpm.policy("authorize", {"-i", tpm.file("approved"), "-n", tpm.file("name"), "-t", tpm.file("ticket")});
  CHECK_FALSE(tpm.unseal());
  CHECK(tpm.policy("pcr", {"-l", "sha256:7"}) == both);
  CHECK(tpm.unseal() == secret);
  tpm.end_session();

  // What the index holds opens; once it holds another policy, the same session is refused.
  tpm.define_index();
  tpm.write_index(pcr_policy(tpm.pcrs()));
  const auto index = index_public(tpm);
  const auto by_index = measure::policy_authorize_nv(HashAlg::sha256, codec::nv_name(index));
  REQUIRE(tpm.import(signer::seal_for(srk, secret, by_index).value()));
  tpm.start_session(true);
  tpm.policy("pcr", {"-l", "sha256:7,11"});
  tpm.policy("authorizenv", {"-C", "o", nv_index});
  CHECK(tpm.unseal() == secret);
  tpm.end_session();
  tpm.write_index(Buffer(32, 9));
  tpm.start_session(true);
  tpm.policy("pcr", {"-l", "sha256:7,11"});
  CHECK_FALSE(tpm.succeeds({"tpm2_policyauthorizenv", "-S", tpm.file("session"), "-C", "o", nv_index}));
  CHECK_FALSE(tpm.unseal());
  tpm.end_session();
}
