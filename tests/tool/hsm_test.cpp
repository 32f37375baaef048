// Keys in a token: SoftHSM by OpenSSL's pkcs11 engine. Its openssl, pkcs11-tool and pkcs11-spy are the judges.
#include "hsm.hpp"

#include <ctime>

#include "ingot/base/source.hpp"
#include "ingot/builder/boot_uki.hpp"
#include "ingot/builder/execution_policy.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/signer/sign.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string program = std::string(INGOT_BUILD) + "/ingot";
const std::string stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

std::string text_of(const builder::Completed& done) { return std::string(as_text(done.output)) + done.error_tail; }

/// Everything that an image has signed, by a folder's keys.
std::vector<Buffer> signed_by(const signer::KeyFolder& keys, const std::string& work) {
  const auto load = [&](const char* name, bool certified) {
    return signer::SigningKey::load(keys.key(name), certified ? keys.certificate(name) : std::string()).value();
  };
  builder::UkiParts parts;
  parts.stub = file_source(stub).value();
  parts.kernel = file_source(stub).value();  // any PE file will do: nobody boots this
  parts.initrd = memory_source(Buffer(100001, 7));
  parts.os_release = "ID=debian\nIMAGE_ID=training\nIMAGE_VERSION=7\n";
  parts.command_line = "quiet roothash=00";
  parts.uname = "6.12.0-test";
  parts.generation = 3;
  REQUIRE(builder::make_signed_uki(parts, builder::PcrPolicy::signed_by_pcr_key, keys, work + "/uki"));
  const Baseline::PhaseValue initrd{"enter-initrd", {{HashAlg::sha256, Buffer(32, 5)}}};
  const auto policy = signer::pcr_signature_json({initrd}, load("pcr", false)).value();
  const auto ipe =
      signer::sign_ipe_policy(builder::execution_policy(std::string(64, 'a'), 7), load("db", true)).value();
  const auto statement =
      signer::sign_dsse(codec::in_toto_payload_type, as_bytes("{}"), load("baseline", false)).value();
  return {read_file(work + "/uki", 64u << 20).value(), to_buffer(as_bytes(policy)), ipe,
          to_buffer(as_bytes(codec::encode_dsse(statement)))};
}

void set_time_zone(const char* zone) {
  ::setenv("TZ", zone, 1);
  ::tzset();
}

}  // namespace

TEST_CASE(
    "hsm: UKI, PCR policy, execution policy and baseline are the same bytes by file and by token, run by run, in any "
    "time zone") {
  const auto& hsm = Hsm::shared();
  const auto work = scratch();
  set_time_zone("Pacific/Kiritimati");
  const auto by_file = signed_by(hsm.files(), work.path());
  const auto by_token = signed_by(hsm.token(), work.path());
  set_time_zone("America/Adak");
  CHECK(by_file == signed_by(hsm.files(), work.path()));
  CHECK(by_file == signed_by(hsm.token(), work.path()));
  CHECK(by_file == by_token);
  ::unsetenv("TZ");
  ::tzset();
  output_of({"sbverify", "--cert", hsm.token().certificate("db"), work.path() + "/uki"});
}

TEST_CASE("hsm: what a token signs is what openssl verifies, ECDSA as well") {
  const auto& hsm = Hsm::shared();
  const auto work = scratch();
  const auto key = signer::SigningKey::load(hsm.uri("site", "baseline")).value();
  const std::string message = "a message";
  const auto signature = key.sign({"test", {}}, HashAlg::sha256, as_bytes(message)).value();
  REQUIRE(write_file(work.path() + "/message", as_bytes(message)));
  REQUIRE(write_file(work.path() + "/signature", signature));
  output_of({"openssl", "dgst", "-sha256", "-verify", hsm.files().public_key("baseline"), "-signature",
             work.path() + "/signature", work.path() + "/message"});
  const auto verdict = signer::SigningKey::load(hsm.token().key("verdict")).value();
  CHECK(verdict.kind() == signer::KeyKind::p256);
  CHECK(signer::sign_jwt("{}", verdict));
}

TEST_CASE("hsm: a key folder with its keys in a token opens, and with one that is not the certificate's does not") {
  const auto& hsm = Hsm::shared();
  const auto opened = signer::open_keys(hsm.token().path);
  if (!opened) FAIL(describe(opened.error()));
  const auto wrong = signer::SigningKey::load(hsm.uri("site", "KEK"), hsm.token().certificate("db"));
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message == hsm.token().certificate("db") + " does not belong to token site, object KEK");
  const auto none = signer::SigningKey::load(hsm.uri("site", "nobody"));
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ErrorCode::missing);
  CHECK(signer::SigningKey::load(hsm.uri("nowhere", "db")).error().code == ErrorCode::missing);
}

TEST_CASE("hsm: a wrong PIN is tried once, whatever asks for keys of the token afterwards") {
  const auto& hsm = Hsm::shared();
  const auto work = scratch();
  const auto pin = work.path() + "/pin";
  REQUIRE(write_file(pin, as_bytes("9999\n"), 0600));
  const auto show = [&](const std::string& with) {
    return run_tool({program, "keys", "show", "pkcs11:token=site;object=db", "--pin-file", with}, hsm.environment());
  };
  auto before = hsm.logins();
  const auto refused = show(pin);
  INFO(text_of(refused));
  CHECK(refused.exit_code == 2);
  CHECK(refused.error_tail.find("token site, object db: the token refused the PIN (PIN incorrect)") !=
        std::string::npos);
  CHECK(refused.error_tail.find("tried once and is not tried again") != std::string::npos);
  CHECK(hsm.logins() - before == 1);
  // The right one logs in once, too.
  before = hsm.logins();
  CHECK(show(hsm.at("pin-4321")).exit_code == 0);
  CHECK(hsm.logins() - before == 1);
  // One key after the other, in one process that has another token open.
  REQUIRE(signer::SigningKey::load(hsm.uri("site", "db")));
  before = hsm.logins();
  for (const auto* name : {"db", "pcr", "db"}) {
    const auto loaded =
        signer::SigningKey::load(fmt::format("pkcs11:token=other;object={}?pin-source=file:{}", name, pin));
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == ErrorCode::crypto);
  }
  CHECK(hsm.logins() - before == 1);
}

TEST_CASE("hsm: each of two tokens gets its own PIN, once") {
  const auto& hsm = Hsm::shared();
  const auto work = scratch();
  // A process of its own: the folder's db and pcr keys are in the other token, which has another PIN.
  const auto keys = work.path() + "/keys";
  fs::copy(hsm.token().path, keys);
  for (const std::string name : {"db", "pcr"})
    REQUIRE(write_file(keys + "/" + name + ".uri", as_bytes(hsm.uri("other", name) + "\n"), 0600));
  output_of({"openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
             "/CN=gpu-7", "-keyout", work.path() + "/node.key", "-out", work.path() + "/node.csr"});
  const auto before = hsm.logins();
  const auto issued = run_tool({program, "keys", "issue", "--csr", work.path() + "/node.csr", "--node", "gpu-7",
                                "--keys", keys, "--out", work.path() + "/node.crt"},
                               hsm.environment());
  INFO(text_of(issued));
  CHECK(issued.exit_code == 0);
  output_of({"openssl", "verify", "-CAfile", keys + "/tls-ca.crt", work.path() + "/node.crt"});
  CHECK(hsm.logins() - before == 2);
}

TEST_CASE("hsm: a token that goes between two signatures is a clear error, and nothing is half-written") {
  const auto& hsm = Hsm::shared();
  const auto work = scratch();
  ::setenv("INGOT_SIGN_LOG", (work.path() + "/log").c_str(), 1);
  const auto key = signer::SigningKey::load(hsm.uri("gone", "db"), hsm.files().certificate("db"));
  if (!key) FAIL(describe(key.error()));
  const auto image = file_source(stub).value();
  REQUIRE(signer::sign_pe(image, *key, work.path() + "/first"));
  // The token's folder is the one with the newest files.
  for (const auto& folder : fs::directory_iterator(hsm.at("tokens")))
    if (fs::exists(folder.path() / "token.object") &&
        as_text(read_file((folder.path() / "token.object").string(), 1u << 20).value()).find("gone") !=
            std::string_view::npos)
      fs::rename(folder.path(), work.path() + "/taken");
  REQUIRE(fs::exists(work.path() + "/taken"));
  const auto signing = signer::sign_pe(image, *key, work.path() + "/second");
  ::unsetenv("INGOT_SIGN_LOG");
  REQUIRE_FALSE(signing);
  INFO(describe(signing.error()));
  CHECK(signing.error().code == ErrorCode::io);
  CHECK(signing.error().message.find("token gone, object db does not sign") != std::string::npos);
  CHECK(signing.error().remedy.find("still there") != std::string::npos);
  // What is there: the first file, the log with one line, the token that was taken away.
  CHECK(std::distance(fs::directory_iterator(work.path()), {}) == 3);
  const auto log = read_file(work.path() + "/log", 1u << 20).value();
  CHECK(std::count(log.begin(), log.end(), '\n') == 1);
}

TEST_CASE("hsm: a PIN in a URI is refused, and not repeated") {
  const auto done =
      run_tool({program, "keys", "show", "pkcs11:token=site;object=db?pin-value=4321"}, Hsm::shared().environment());
  CHECK(done.exit_code == 3);
  CHECK(text_of(done).find("--pin-fd") != std::string::npos);
  CHECK(text_of(done).find("4321") == std::string::npos);
}

TEST_CASE("keys show: kind, size, fingerprint and validity are what openssl says") {
  const auto& hsm = Hsm::shared();
  for (const auto& reference : {hsm.files().key("db"), hsm.token().key("db")}) {
    const auto json = output_of({program, "keys", "show", reference, "--json"}, hsm.environment());
    INFO(json);
    const auto der = output_of({"openssl", "pkey", "-in", hsm.files().key("db"), "-pubout", "-outform", "DER"});
    const auto work = scratch();
    REQUIRE(write_file(work.path() + "/spki", as_bytes(der)));
    const auto sum = output_of({"sha256sum", work.path() + "/spki"}).substr(0, 64);
    CHECK(json.find("\"spki_sha256\": \"" + sum + "\"") != std::string::npos);
    CHECK(json.find("\"bits\": 2048") != std::string::npos);
    CHECK(json.find("\"validity\": \"valid\"") != std::string::npos);
    const auto end = output_of({"openssl", "x509", "-in", hsm.files().certificate("db"), "-noout", "-enddate",
                                "-dateopt", "iso_8601"});  // notAfter=2046-11-24 21:45:30Z
    const auto date = end.substr(end.find('=') + 1, 10);
    CHECK(json.find("\"not_after\": \"" + date) != std::string::npos);
  }
}

TEST_CASE(
    "key: encrypted PEM of openssl opens with its passphrase, and by no other way than a file or descriptor here") {
  const auto& hsm = Hsm::shared();
  const auto work = scratch();
  const auto key = work.path() + "/db.key", pass = work.path() + "/pass";
  REQUIRE(write_file(pass, as_bytes("open sesame\n"), 0600));
  output_of({"openssl", "pkcs8", "-topk8", "-in", hsm.files().key("db"), "-out", key, "-passout", "file:" + pass});
  fs::permissions(key, fs::perms::owner_read | fs::perms::owner_write);
  const auto good = run_tool({program, "keys", "show", key, "--passphrase-file", pass});
  CHECK(good.exit_code == 0);
  CHECK(run_tool({"sh", "-c", program + " keys show " + key + " --pin-fd 7 7<" + pass}).exit_code == 0);
  REQUIRE(write_file(pass, as_bytes("open poppy\n"), 0600));
  const auto bad = run_tool({program, "keys", "show", key, "--passphrase-file", pass});
  CHECK(bad.exit_code == 2);
  CHECK(bad.error_tail.find("the passphrase does not open private key") != std::string::npos);
}
