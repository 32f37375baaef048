// Enrolment against a TPM that is not ours: swtpm with an EK certificate, asked by tpm2-tools and by ingot-agent.
#include "ingot/codec/enrolment.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/crypto/chain.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/fleet/credential.hpp"
#include "ingot/fleet/enrolment.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string agent = std::string(INGOT_BUILD) + "/ingot-agent";
const std::string ingot_program = std::string(INGOT_BUILD) + "/ingot";

int status_of(std::vector<std::string> argv) { return run_tool(std::move(argv)).exit_code; }

/// A software TPM with an EK certificate of a certificate authority of its own.
class CertifiedTpm {
 public:
  explicit CertifiedTpm(const std::vector<std::string>& setup_options) : folder_(scratch()) {
    write("setup.conf", "create_certs_tool = swtpm_localca\ncreate_certs_tool_config = " + file("localca.conf") +
                            "\ncreate_certs_tool_options = " + file("options") + "\n");
    write("localca.conf", "statedir = " + file("ca") + "\nsigningkey = " + file("ca/signkey.pem") + "\nissuercert = " +
                              file("ca/issuercert.pem") + "\ncertserial = " + file("ca/serial") + "\n");
    write("options", "--platform-manufacturer Test\n--platform-version 1\n--platform-model test\n");
    fs::create_directories(file("ca"));
    std::vector<std::string> options = {"--config", file("setup.conf"), "--create-ek-cert", "--overwrite"};
    options.insert(options.end(), setup_options.begin(), setup_options.end());
    tpm_.emplace(folder_.path(), std::move(options));
  }

  [[nodiscard]] std::string file(const std::string& name) const { return folder_.path() + "/" + name; }
  [[nodiscard]] std::string socket() const { return tpm_->socket(); }
  /// The certificates of the authority, as an operator would configure them.
  [[nodiscard]] std::string roots() const {
    Buffer all;
    for (const auto* name : {"ca/issuercert.pem", "ca/swtpm-localca-rootca-cert.pem"})
      if (const auto part = read_file(file(name), 1u << 20)) all.insert(all.end(), part->begin(), part->end());
    REQUIRE(write_file(file("roots.pem"), all));
    return file("roots.pem");
  }
  std::string tool(std::vector<std::string> argv) const { return tpm_->tool(std::move(argv)); }
  [[nodiscard]] Buffer read(const std::string& name) const { return read_file(file(name), 1u << 20).value(); }
  void write(const std::string& name, const std::string& text) const {
    REQUIRE(write_file(file(name), as_bytes(text)));
  }

 private:
  builder::TemporaryFolder folder_;
  std::optional<Swtpm> tpm_;
};

}  // namespace

TEST_CASE("credentials: swtpm opens what we make, for RSA and ECC endorsement keys") {
  const CertifiedTpm tpm({});
  for (const std::string algorithm : {"rsa", "ecc"}) {
    INFO(algorithm);
    tpm.tool({"tpm2_createek", "-G", algorithm, "-c", tpm.file("ek"), "-u", tpm.file("ek.pub")});
    tpm.tool({"tpm2_createak", "-C", tpm.file("ek"), "-c", tpm.file("ak"), "-G", "ecc", "-s", "ecdsa", "-g", "sha256",
              "-n", tpm.file("ak.name"), "-u", tpm.file("ak.pub"), "-f", "tss"});
    tpm.tool({"tpm2_flushcontext", "-t"});
    const auto ek_file = tpm.read("ek.pub");
    const auto ek = codec::decode_tpm_public(Bytes(ek_file).subspan(2)).value();
    // tpm2-tools know the templates, too.
    const auto kinds = codec::endorsement_keys();
    CHECK(codec::is_made_from(ek, kinds[algorithm == "ecc" ? 0 : 1].key));
    const auto secret = crypto::sha256(as_bytes("a secret"));
    const auto credential = fleet::make_credential(ek, tpm.read("ak.name"), secret).value();
    REQUIRE(write_file(tpm.file("blob"), fleet::encode_credential_blob(credential)));
    tpm.tool({"tpm2_startauthsession", "--policy-session", "-S", tpm.file("session")});
    tpm.tool({"tpm2_policysecret", "-S", tpm.file("session"), "-c", "e"});
    tpm.tool({"tpm2_activatecredential", "-c", tpm.file("ak"), "-C", tpm.file("ek"), "-i", tpm.file("blob"), "-o",
              tpm.file("opened"), "-P", "session:" + tpm.file("session")});
    tpm.tool({"tpm2_flushcontext", tpm.file("session")});
    tpm.tool({"tpm2_flushcontext", "-t"});
    CHECK(tpm.read("opened") == secret);
  }
}

TEST_CASE("enrolment: identity, challenge, activation and record by the command line; another TPM gets nowhere") {
  const CertifiedTpm tpm({}), other({"--ecc"});
  const auto keys = tpm.file("keys"), store = tpm.file("nodes");
  REQUIRE(status_of({ingot_program, "keys", "init", keys}) == 0);
  for (const auto* kind : {"ecc", "rsa"})
    REQUIRE(status_of({agent, "identity", "--tpm", tpm.socket(), "--key", kind, "--out", tpm.file(kind)}) == 0);
  REQUIRE(status_of({agent, "identity", "--tpm", other.socket(), "--out", other.file("id")}) == 0);
  const auto challenge = [&](const std::string& node, const std::string& identity, const std::string& roots) {
    return status_of({ingot_program, "enroll", "challenge", "--node", node, "--identity", identity, "--roots", roots,
                      "--challenge", tpm.file("challenge"), "--pending", tpm.file("pending")});
  };
  const auto activate = [&](const CertifiedTpm& by) {
    fs::remove(tpm.file("activation"));
    return status_of({agent, "activate", "--tpm", by.socket(), "--challenge", tpm.file("challenge"), "--out",
                      tpm.file("activation")});
  };
  const auto finish = [&] {
    return status_of({ingot_program, "enroll", "finish", "--pending", tpm.file("pending"), "--activation",
                      tpm.file("activation"), "--keys", keys, "--store", store});
  };

  // Somebody else's certificate authority vouches for nothing here (threat 18: a software TPM).
  CHECK(challenge("gpu-07", tpm.file("ecc"), other.roots()) == 2);
  CHECK_FALSE(fs::exists(tpm.file("pending")));

  for (const auto* kind : {"rsa", "ecc"}) {
    INFO(kind);
    REQUIRE(challenge("gpu-07", tpm.file(kind), tpm.roots()) == 0);
    CHECK(activate(other) == 2);
    REQUIRE(activate(tpm) == 0);
    CHECK(finish() == 0);
  }
  CHECK(fs::exists(store + "/gpu-07.json"));

  // The answer to an older challenge is none to a newer one.
  REQUIRE(challenge("gpu-07", tpm.file("ecc"), tpm.roots()) == 0);
  CHECK(finish() == 2);

  // Threat 20: bound for good, both ways.
  REQUIRE(challenge("gpu-08", tpm.file("ecc"), tpm.roots()) == 0);
  REQUIRE(activate(tpm) == 0);
  CHECK(finish() == 2);
  REQUIRE(challenge("gpu-07", other.file("id"), other.roots()) == 0);
  REQUIRE(activate(other) == 0);
  CHECK(finish() == 2);
  CHECK_FALSE(fs::exists(store + "/gpu-08.json"));

  // An allow-list instead of roots.
  const auto identity = codec::decode_identity(tpm.read("ecc")).value();
  tpm.write("allow", "# known keys\n" + fleet::endorsement_key_sha256(identity.ek_public).value() + "\n");
  CHECK(status_of({ingot_program, "enroll", "challenge", "--node", "gpu-07", "--identity", tpm.file("ecc"), "--allow",
                   tpm.file("allow"), "--challenge", tpm.file("challenge"), "--pending", tpm.file("pending")}) == 0);
  CHECK(status_of({ingot_program, "enroll", "challenge", "--node", "gpu-07", "--identity", other.file("id"), "--allow",
                   tpm.file("allow"), "--challenge", tpm.file("challenge"), "--pending", tpm.file("pending")}) == 2);

  // With its machine id, where it has one.
  const auto pinned = [&](const std::string& id) {
    auto with_id = identity;
    with_id.machine_id = id;
    tpm.write("with-id", codec::encode_identity(with_id));
    return status_of({ingot_program, "enroll", "challenge", "--node", "gpu-07", "--identity", tpm.file("with-id"),
                      "--roots", tpm.roots(), "--pin-machine-id", "--challenge", tpm.file("challenge"), "--pending",
                      tpm.file("pending")});
  };
  CHECK(pinned("") == 3);
  CHECK(pinned("x") == 2);
  REQUIRE(pinned(std::string(32, 'a')) == 0);
  REQUIRE(activate(tpm) == 0);
  REQUIRE(finish() == 0);
  const auto envelope = codec::decode_dsse(tpm.read("nodes/gpu-07.json")).value();
  CHECK(codec::decode_enrolment_statement(envelope.payload).value().machine_id == std::string(32, 'a'));
}

TEST_CASE("enrolment: a ThinkPad's EK certificate, padded as its NV holds it, is about its endorsement key") {
  const std::string archive = std::string(INGOT_SHARED) + "/vectors/quotes/quote-t490.tgz";
  if (skipped(archive, "a real EK certificate was not read")) return;
  const auto folder = scratch();
  REQUIRE(status_of({"tar", "-xzf", archive, "-C", folder.path()}) == 0);
  const auto file = [&](const char* name) { return read_file(folder.path() + "/" + name, 1u << 20).value(); };
  TpmIdentity identity;
  identity.ek_certificate = file("ek.crt");
  const auto ek_file = file("ek.pub");  // TPM2B_PUBLIC
  identity.ek_public.assign(ek_file.begin() + 2, ek_file.end());
  auto ak = codec::attestation_key_template(codec::KeyKind::ecc);
  auto& point = std::get<codec::TpmEcc>(ak.key);
  point.x = point.y = Buffer(32, 1);
  identity.ak_public = codec::encode_tpm_public(ak);
  const auto certificate_size = crypto::der_element_size(identity.ek_certificate).value();
  fleet::EnrolmentPolicy policy;
  // Its issuer's certificate is not at hand: the certificate itself is the anchor.
  policy.roots.push_back(crypto::Certificate::from_der(Bytes(identity.ek_certificate).first(certificate_size)).value());
  policy.now = 1'600'000'000;  // 2020
  const auto started = fleet::start_enrolment("t490", identity, policy);
  if (!started) FAIL(describe(started.error()));
  CHECK(started->pending.notes == std::vector<std::string>{"nv-padding"});
  policy.now = 2'000'000'000;  // 2033: it ended in 2028
  CHECK(fleet::start_enrolment("t490", identity, policy)->pending.notes ==
        std::vector<std::string>{"nv-padding", "ek-expired"});
  // Anything but padding behind it is refused, and so is a certificate about another key.
  auto damaged = identity;
  damaged.ek_certificate.back() = 0x30;
  CHECK_FALSE(fleet::start_enrolment("t490", damaged, policy));
  damaged = identity;
  damaged.ek_public.back() ^= 1;
  CHECK_FALSE(fleet::start_enrolment("t490", damaged, policy));
  damaged = identity;
  ak.attributes &= ~codec::object_attribute::restricted;
  damaged.ak_public = codec::encode_tpm_public(ak);
  CHECK_FALSE(fleet::start_enrolment("t490", damaged, policy));
  for (const auto* node : {"", "../x", "a b", ".hidden"}) CHECK_FALSE(fleet::start_enrolment(node, identity, policy));
}
