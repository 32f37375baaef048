#include "ingot/signer/lifecycle.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/signer/sign.hpp"

using namespace ingot;
using namespace ingot::codec;
using namespace ingot::signer;
using measure::EnrolledVariables;
namespace fs = std::filesystem;

namespace {

constexpr EfiTime enrolled_at{2024, 1, 1, 0, 0, 0};
constexpr EfiTime may{2026, 5, 1, 23, 59, 59};

/// A key folder and its successors, made once: keys of 2048 bits take their time.
struct Folders {
  std::string path = (fs::temp_directory_path() / ("ingot-lifecycle-" + to_hex(crypto::random_bytes(8)))).string();
  KeyFolder ours = init_keys(path + "/ours").value();
  KeyFolder other_db = next_keys(ours, RotatedKey::db, {}, path + "/db").value();
  KeyFolder other_kek = next_keys(ours, RotatedKey::kek, {}, path + "/KEK").value();
  KeyFolder other_pk = next_keys(ours, RotatedKey::pk, {}, path + "/PK").value();
  KeyFolder other_pcr = next_keys(ours, RotatedKey::pcr, {}, path + "/pcr").value();
  ~Folders() { fs::remove_all(path); }
};
const Folders& folders() {
  static const Folders made;
  return made;
}

EnrolledVariables enrolled_from(const KeyFolder& keys) {
  const auto built = secure_boot_keys(keys).value();
  return measure::enrolled_in(secure_boot_variables(built));
}
EnrolledVariables machine() { return enrolled_from(folders().ours); }

std::vector<std::string> names(const std::vector<EnrolmentStep>& steps) {
  std::vector<std::string> out;
  for (const auto& step : steps) out.push_back(step.name);
  return out;
}

std::map<std::string, Buffer> contents(const EnrolledVariables& variables) {
  std::map<std::string, Buffer> out;
  for (const auto& [name, variable] : variables) out[name] = variable.content;
  return out;
}

/// Of the variable: the certificates' subjects.
std::vector<std::string> subjects(const EnrolledVariables& variables, const char* name) {
  std::vector<std::string> out;
  const auto certificates = measure::certificates_of(variables.at(name).content).value();
  for (const auto& certificate : certificates) out.push_back(certificate.subject());
  return out;
}

Buffer file(const std::string& path) { return read_file(path, 1u << 20).value(); }

/// Whether a machine takes an append to dbx that a folder's KEK signed.
bool obeys(EnrolledVariables variables, const KeyFolder& keys) {
  const SignatureList digest{efi_cert_sha256_guid, {}, {{Guid{}, Buffer(32, 7)}}};
  const VariableUpdate update{find_key_variable("dbx"), UpdateKind::append, may, encode_signature_lists({digest})};
  const auto auth = sign_update(update, keys.load("KEK").value()).value();
  return measure::apply_update(variables, *update.variable, update.kind, decode_authenticated_update(auth).value())
      .has_value();
}

}  // namespace

TEST_CASE("lifecycle: a rotation of db ends where machines begin that are enrolled from the next folder") {
  const auto& [path, ours, next, kek, pk, pcr] = folders();
  const auto steps = plan_rotation(RotatedKey::db, ours, next, machine(), may).value();
  REQUIRE(names(steps) == std::vector<std::string>{"overlap", "revoke"});
  CHECK(subjects(steps[0].after, "db") ==
        std::vector<std::string>{"CN=Ingot Secure Boot Signing", "CN=Ingot Secure Boot Signing 2"});
  CHECK(subjects(steps[0].after, "dbx").empty());
  CHECK(subjects(steps[1].after, "dbx") == std::vector<std::string>{"CN=Ingot Secure Boot Signing"});
  CHECK(contents(steps[1].after) == contents(enrolled_from(next)));
  // A replacing update must be later than the one before it.
  CHECK(steps[0].updates.front().update.time == may);
  CHECK(steps[1].updates.front().update.time == EfiTime{2026, 5, 2, 0, 0, 0});
}

TEST_CASE("lifecycle: who owns KEK changes in steps, and each time the right keys are obeyed") {
  const auto& [path, ours, db, next, pk, pcr] = folders();
  const auto steps = plan_rotation(RotatedKey::kek, ours, next, machine(), may).value();
  REQUIRE(names(steps) == std::vector<std::string>{"overlap", "revoke"});
  CHECK((obeys(machine(), ours) && !obeys(machine(), next)));
  CHECK((obeys(steps[0].after, ours) && obeys(steps[0].after, next)));
  CHECK((!obeys(steps[1].after, ours) && obeys(steps[1].after, next)));
  CHECK(contents(steps[1].after) == contents(enrolled_from(next)));
}

TEST_CASE("lifecycle: PK is replaced in one step, and the PCR policy key changes no variable") {
  const auto& [path, ours, db, kek, next_pk, next_pcr] = folders();
  const auto steps = plan_rotation(RotatedKey::pk, ours, next_pk, machine(), may).value();
  REQUIRE(names(steps) == std::vector<std::string>{"replace"});
  CHECK(contents(steps[0].after) == contents(enrolled_from(next_pk)));
  const auto switched = plan_rotation(RotatedKey::pcr, ours, next_pcr, machine(), may).value();
  REQUIRE(names(switched) == std::vector<std::string>{"switch"});
  CHECK(switched[0].updates.empty());
  CHECK(switched[0].after == machine());
}

TEST_CASE("lifecycle: a plan goes on from where a machine is") {
  const auto& [path, ours, next, kek, pk, pcr] = folders();
  const auto steps = plan_rotation(RotatedKey::db, ours, next, machine(), may).value();
  const EfiTime later{2026, 6, 1, 0, 0, 0};
  const auto rest = plan_rotation(RotatedKey::db, ours, next, steps[0].after, later).value();
  REQUIRE(names(rest) == std::vector<std::string>{"revoke"});
  CHECK(contents(rest[0].after) == contents(steps[1].after));
  const auto done = plan_rotation(RotatedKey::db, ours, next, steps[1].after, later);
  REQUIRE_FALSE(done);
  CHECK(done.error().remedy == "the rotation is done");
}

TEST_CASE("lifecycle: what else is in db stays there") {
  const auto& [path, ours, next, kek, pk, pcr] = folders();
  auto variables = machine();
  const SignatureList rom{efi_cert_sha256_guid, {}, {{Guid{}, Buffer(32, 9)}}};
  const auto more = encode_signature_lists({rom});
  auto& db = variables.at("db").content;
  db.insert(db.end(), more.begin(), more.end());
  const auto steps = plan_rotation(RotatedKey::db, ours, next, variables, may).value();
  auto expected = more;
  const auto fresh =
      encode_signature_lists({x509_list(owner_guid(next).value(), next.certificate_of("db").value().der())});
  expected.insert(expected.end(), fresh.begin(), fresh.end());
  CHECK(steps[1].after.at("db").content == expected);
}

TEST_CASE("lifecycle: machines of other owners, and updates that firmware would not take, are errors") {
  const auto& [path, ours, next, kek, pk, pcr] = folders();
  const auto strangers = init_keys(path + "/strangers").value();
  const auto foreign = plan_rotation(RotatedKey::db, ours, next, enrolled_from(strangers), may);
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().code == ErrorCode::usage);
  CHECK(foreign.error().message.find("neither") != std::string::npos);
  const auto unsigned_kek = plan_rotation(RotatedKey::kek, strangers, kek, machine(), may);
  REQUIRE_FALSE(unsigned_kek);
  CHECK(plan_rotation(RotatedKey::pk, strangers, pk, machine(), may).error().code == ErrorCode::crypto);
  CHECK(plan_rotation(RotatedKey::pk, ours, pk, machine(), enrolled_at).error().code == ErrorCode::usage);
  CHECK(plan_rotation(RotatedKey::db, ours, kek, machine(), may).error().message.find("same db key") !=
        std::string::npos);
}

TEST_CASE("lifecycle: a revocation is appended once, by KEK") {
  const auto& [path, ours, db, kek, pk, pcr] = folders();
  const SignatureList bad{efi_cert_sha256_guid, {}, {{Guid{}, Buffer(32, 1)}, {Guid{}, Buffer(32, 2)}}};
  const auto step = plan_revocation(ours, machine(), {bad}, may).value();
  auto expected = machine().at("dbx").content;
  const auto more = encode_signature_lists({bad});
  expected.insert(expected.end(), more.begin(), more.end());
  CHECK(step.after.at("dbx").content == expected);
  const SignatureList mixed{efi_cert_sha256_guid, {}, {{Guid{}, Buffer(32, 2)}, {Guid{}, Buffer(32, 3)}}};
  const auto next = plan_revocation(ours, step.after, {mixed}, may).value();
  CHECK(next.updates.front().update.content ==
        encode_signature_lists({{efi_cert_sha256_guid, {}, {{Guid{}, Buffer(32, 3)}}}}));
  CHECK(plan_revocation(ours, step.after, {bad}, may).error().code == ErrorCode::usage);
  CHECK(plan_revocation(kek, machine(), {bad}, may).error().code == ErrorCode::crypto);
}

TEST_CASE("keys next: one key is another, all else is the same, private files stay private") {
  const auto& [path, ours, next, kek, pk, pcr] = folders();
  for (const char* same : {"PK.key", "PK.crt", "KEK.key", "KEK.crt", "pcr.key", "pcr.pub", "baseline.key",
                           "baseline.pub", "provenance.key", "verdict.pub", "tls-ca.crt", "recovery.crt", "owner.guid"})
    CHECK(file(next.path + "/" + same) == file(ours.path + "/" + same));
  CHECK(file(next.path + "/db.key") != file(ours.path + "/db.key"));
  CHECK(file(pcr.path + "/pcr.pub") != file(ours.path + "/pcr.pub"));
  for (const auto& folder : {next, kek, pk, pcr}) {
    CHECK(open_keys(folder.path));
    CHECK(fs::status(folder.path).permissions() == fs::perms::owner_all);
    for (const auto& entry : fs::directory_iterator(folder.path))
      if (entry.path().extension() == ".key")
        CHECK(entry.status().permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  }
  const auto third = next_keys(next, RotatedKey::db, {}, path + "/third").value();
  CHECK(third.certificate_of("db").value().subject() == "CN=Ingot Secure Boot Signing 3");
  CHECK(measure::certificates_of(file(third.path + "/dbx.esl")).value().size() == 2);
}

TEST_CASE("keys next: a key may be brought, and what is wrong leaves no folder") {
  const auto& [path, ours, next, kek, pk, pcr] = folders();
  const auto brought =
      next_keys(ours, RotatedKey::db, {next.key("db"), next.certificate("db")}, path + "/brought").value();
  CHECK(file(brought.path + "/db.crt") == file(next.path + "/db.crt"));
  CHECK(file(brought.path + "/db.key") == file(next.path + "/db.key"));
  CHECK(
      next_keys(ours, RotatedKey::pcr, {pcr.key("pcr"), {}}, path + "/brought-pcr").value().public_half("pcr")->pem() ==
      pcr.public_half("pcr")->pem());
  struct Row {
    const char* name;
    BroughtKey key;
    const char* said;
  };
  const Row rows[] = {{"the same key", {ours.key("db"), ours.certificate("db")}, "has already"},
                      {"no certificate", {next.key("db"), {}}, "has a certificate, and none is given"},
                      {"another's certificate", {next.key("db"), ours.certificate("db")}, "db"},
                      {"no such key", {path + "/nothing.key", ours.certificate("db")}, "nothing.key"}};
  for (const auto& row : rows) {
    INFO(row.name);
    const auto made = next_keys(ours, RotatedKey::db, row.key, path + "/bad");
    REQUIRE_FALSE(made);
    CHECK(describe(made.error()).find(row.said) != std::string::npos);
    CHECK_FALSE(fs::exists(path + "/bad"));
  }
  CHECK(next_keys(ours, RotatedKey::db, {}, next.path).error().code == ErrorCode::usage);
}

TEST_CASE("keys: db.esl and dbx.esl follow what a folder enrols, and must be lists") {
  const auto& [path, ours, next, kek, pk, pcr] = folders();
  const auto folder = next_keys(ours, RotatedKey::pcr, {}, path + "/lists").value();
  const auto more = encode_signature_lists({{efi_cert_sha256_guid, {}, {{Guid{}, Buffer(32, 5)}}}});
  REQUIRE(write_file(folder.path + "/db.esl", more));
  auto expected = secure_boot_keys(ours)->db;
  expected.insert(expected.end(), more.begin(), more.end());
  CHECK(secure_boot_keys(folder)->db == expected);
  CHECK(secure_boot_keys(folder)->dbx == secure_boot_keys(ours)->dbx);
  REQUIRE(write_file(folder.path + "/dbx.esl", Buffer(30, 1)));
  const auto bad = secure_boot_keys(folder);
  REQUIRE_FALSE(bad);
  CHECK(describe(bad.error()).find("dbx.esl") != std::string::npos);
}
