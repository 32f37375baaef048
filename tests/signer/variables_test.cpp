#include "ingot/signer/variables.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/measure/variable_update.hpp"
#include "ingot/signer/sign.hpp"

using namespace ingot;
using namespace ingot::codec;
using namespace ingot::signer;
using measure::apply_update;
using measure::EnrolledVariables;
using measure::verify_update;
namespace fs = std::filesystem;

namespace {

constexpr EfiTime may{2024, 5, 6, 7, 8, 9};
constexpr EfiTime june{2024, 6, 1, 0, 0, 0};

/// Two key folders, made once: keys of 2048 bits take their time.
struct Keys {
  std::string path = (fs::temp_directory_path() / ("ingot-variables-" + to_hex(crypto::random_bytes(8)))).string();
  KeyFolder ours = init_keys(path + "/ours").value();
  KeyFolder strangers = init_keys(path + "/strangers").value();
  ~Keys() { fs::remove_all(path); }
};
const Keys& keys() {
  static const Keys made;
  return made;
}

SigningKey key(const KeyFolder& folder, const char* name) {
  return SigningKey::load(folder.key(name), folder.certificate(name)).value();
}
crypto::Certificate certificate(const char* name) { return key(keys().ours, name).certificate().value(); }

const KeyVariable& variable(const char* name) { return *find_key_variable(name); }

Buffer digests(std::initializer_list<std::uint8_t> values) {
  SignatureList list{efi_cert_sha256_guid, {}, {}};
  for (const auto value : values) list.signatures.push_back({Guid{}, Buffer(32, value)});
  return encode_signature_lists({list});
}

VariableUpdate dbx_update(std::initializer_list<std::uint8_t> values, UpdateKind kind = UpdateKind::append,
                          EfiTime time = may) {
  return {&variable("dbx"), kind, time, digests(values)};
}

AuthenticatedUpdate decoded(const Result<Buffer>& file) { return decode_authenticated_update(file.value()).value(); }

EnrolledVariables enrolled() {
  EnrolledVariables variables;
  const auto updates = enrolment_updates(keys().ours, may).value();
  for (const auto& [update, auth] : updates)
    REQUIRE(apply_update(variables, *update.variable, update.kind, decode_authenticated_update(auth).value()));
  return variables;
}

}  // namespace

TEST_CASE("variables: an update verifies for its variable, its kind, its time, its content and its signer alone") {
  const auto update = dbx_update({1, 2});
  const auto file = sign_update(update, key(keys().ours, "KEK"));
  const auto one = decoded(file);
  const std::vector owners = {certificate("KEK")};
  CHECK(verify_update(variable("dbx"), UpdateKind::append, one, owners));
  CHECK(verify_update(variable("dbx"), UpdateKind::append, one, {certificate("db"), certificate("KEK")}));
  CHECK_FALSE(verify_update(variable("dbx"), UpdateKind::replace, one, owners));
  CHECK_FALSE(verify_update(variable("db"), UpdateKind::append, one, owners));
  CHECK_FALSE(verify_update(variable("dbx"), UpdateKind::append, one, {certificate("PK")}));
  CHECK_FALSE(verify_update(variable("dbx"), UpdateKind::append, one, {}));
  auto later = one;
  later.time = june;
  CHECK_FALSE(verify_update(variable("dbx"), UpdateKind::append, later, owners));
  auto other = one;
  other.content.back() ^= 1;
  CHECK_FALSE(verify_update(variable("dbx"), UpdateKind::append, other, owners));
}

TEST_CASE("variables: the same input signs to the same bytes") {
  const auto update = dbx_update({1, 2});
  const auto first = sign_update(update, key(keys().ours, "KEK")).value();
  CHECK(first == sign_update(update, key(keys().ours, "KEK")).value());
  CHECK(first != sign_update(update, key(keys().ours, "PK")).value());
}

TEST_CASE("variables: what firmware would refuse is not signed") {
  const auto signer = key(keys().ours, "PK");
  const auto pk = SignatureList{x509_list(Guid{}, certificate("PK").der())};
  struct Row {
    const char* name;
    VariableUpdate update;
    ErrorCode code;
    const char* said;
  };
  const Row rows[] = {
      {"no date",
       {&variable("db"), UpdateKind::replace, {2024, 2, 30, 0, 0, 0}, digests({1})},
       ErrorCode::usage,
       "no date"},
      {"bytes that are no lists",
       {&variable("db"), UpdateKind::replace, may, Buffer(30, 1)},
       ErrorCode::malformed,
       "db: "},
      {"nothing to append", {&variable("db"), UpdateKind::append, may, {}}, ErrorCode::usage, "nothing to append"},
      {"a digest in KEK",
       {&variable("KEK"), UpdateKind::replace, may, digests({1})},
       ErrorCode::malformed,
       "certificates only"},
      {"two PKs",
       {&variable("PK"), UpdateKind::replace, may, encode_signature_lists({pk, pk})},
       ErrorCode::malformed,
       "not 2"},
      {"PK appended",
       {&variable("PK"), UpdateKind::append, may, encode_signature_lists({pk})},
       ErrorCode::malformed,
       "appended"},
      {"a certificate that is none",
       {&variable("db"), UpdateKind::replace, may, encode_signature_lists({x509_list(Guid{}, Buffer(64, 7))})},
       ErrorCode::malformed,
       "db: "},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const auto file = sign_update(row.update, signer);
    REQUIRE_FALSE(file);
    CHECK(file.error().code == row.code);
    CHECK_THAT(describe(file.error()), Catch::Contains(row.said));
    CHECK((row.update.time == may ? describe_update(row.update).has_value() : false) == false);
  }
  const auto ed25519 = SigningKey::load(keys().ours.key("baseline")).value();
  CHECK(sign_update(dbx_update({1}), ed25519).error().code == ErrorCode::missing);
  const auto p256 = key(keys().ours, "tls-ca");
  CHECK(sign_update(dbx_update({1}), p256).error().code == ErrorCode::crypto);
}

TEST_CASE("variables: PK can be deleted, which is how setup mode comes back") {
  auto variables = enrolled();
  const VariableUpdate update{&variable("PK"), UpdateKind::replace, june, {}};
  REQUIRE(apply_update(variables, variable("PK"), UpdateKind::replace,
                       decoded(sign_update(update, key(keys().ours, "PK")))));
  CHECK_FALSE(variables.contains("PK"));
  CHECK(describe_update(update)->front() == "deletes PK, as of 2024-06-01 00:00:00");
}

TEST_CASE("variables: enrolment leaves what a build's variable store holds") {
  const auto variables = enrolled();
  const auto built = secure_boot_keys(keys().ours).value();
  CHECK(variables.at("PK").content == built.pk);
  CHECK(variables.at("KEK").content == built.kek);
  CHECK(variables.at("db").content == built.db);
  CHECK(variables.at("dbx").content == built.dbx);
}

TEST_CASE("variables: an enrolled machine takes updates from the variable above, and none from strangers") {
  struct Row {
    const char* variable;
    const char* signer;
    bool taken;
  };
  const Row rows[] = {{"db", "KEK", true}, {"dbx", "KEK", true}, {"KEK", "PK", true},   {"PK", "PK", true},
                      {"db", "db", false}, {"db", "PK", false},  {"KEK", "KEK", false}, {"PK", "KEK", false}};
  for (const auto& row : rows) {
    INFO(row.variable << " signed by " << row.signer);
    auto variables = enrolled();
    const auto content = encode_signature_lists({x509_list(Guid{}, certificate("db").der())});
    const VariableUpdate update{&variable(row.variable), UpdateKind::replace, june, content};
    const auto ours = apply_update(variables, *update.variable, update.kind,
                                   decoded(sign_update(update, key(keys().ours, row.signer))));
    CHECK(ours.has_value() == row.taken);
    CHECK((variables.at(row.variable).content == content) == row.taken);
    if (!ours) CHECK(ours.error().code == ErrorCode::crypto);
    variables = enrolled();
    CHECK_FALSE(apply_update(variables, *update.variable, update.kind,
                             decoded(sign_update(update, key(keys().strangers, row.signer)))));
    CHECK(variables == enrolled());
  }
}

TEST_CASE("variables: setup mode takes a PK only from the key that it brings") {
  EnrolledVariables variables;
  const auto content = encode_signature_lists({x509_list(Guid{}, certificate("PK").der())});
  const VariableUpdate update{&variable("PK"), UpdateKind::replace, may, content};
  CHECK_FALSE(
      apply_update(variables, variable("PK"), update.kind, decoded(sign_update(update, key(keys().ours, "KEK")))));
  CHECK(apply_update(variables, variable("PK"), update.kind, decoded(sign_update(update, key(keys().ours, "PK")))));
}

TEST_CASE("variables: an update that is not later is not taken; one that appends is, and adds each entry once") {
  auto variables = enrolled();
  const auto kek = key(keys().ours, "KEK");
  const auto take = [&](const VariableUpdate& update) {
    return apply_update(variables, *update.variable, update.kind, decoded(sign_update(update, kek)));
  };
  CHECK(take(dbx_update({9}, UpdateKind::replace, {2024, 5, 6, 7, 8, 8})).error().code == ErrorCode::usage);
  CHECK(take(dbx_update({9}, UpdateKind::replace, may)).error().code == ErrorCode::usage);
  const auto before = variables.at("dbx").content;
  REQUIRE(take(dbx_update({1, 2}, UpdateKind::append, {2020, 1, 1, 0, 0, 0})));
  CHECK(variables.at("dbx").time == may);
  REQUIRE(take(dbx_update({2, 3}, UpdateKind::append, june)));
  CHECK(variables.at("dbx").time == june);
  auto expected = before;
  for (const auto& more : {digests({1, 2}), digests({3})}) expected.insert(expected.end(), more.begin(), more.end());
  CHECK(variables.at("dbx").content == expected);
  REQUIRE(take(dbx_update({3}, UpdateKind::append, june)));
  CHECK(variables.at("dbx").content == expected);
}
