// efitools as the judge of signature lists and of signed updates of PK, KEK, db and dbx.
#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>
#include <filesystem>
#include <set>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/measure/variable_update.hpp"
#include "ingot/signer/key.hpp"
#include "signer.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string ingot_program = std::string(INGOT_BUILD) + "/ingot";
const std::string efitools_images = "/usr/lib/efitools/x86_64-linux-gnu";
constexpr const char* owner = "11111111-2222-3333-4444-123456789abc";
/// What efitools' hash-to-efi-sig-list puts into every entry.
constexpr const char* efitools_owner = "605dab50-e046-4300-abb6-3dd810dd8b23";
constexpr const char* may = "2024-05-06 07:08:09";
constexpr std::uint64_t cap = 4u << 20;

Buffer bytes_of(const std::string& path) {
  auto bytes = read_file(path, cap);
  if (!bytes) FAIL(describe(bytes.error()));
  return *std::move(bytes);
}

/// `ingot sign update` with words of a test; its standard error.
std::string sign_update(std::vector<std::string> words, std::map<std::string, std::string> environment = {}) {
  std::vector<std::string> argv = {ingot_program, "sign", "update"};
  argv.insert(argv.end(), words.begin(), words.end());
  const auto done = run_tool(std::move(argv), std::move(environment));
  INFO(done.error_tail);
  REQUIRE(done.exit_code == 0);
  return done.error_tail;
}

/// What efitools signs for the same list.
Buffer by_efitools(const std::string& folder, const Signer& signer, const std::string& variable,
                   const std::string& list, bool append) {
  const auto out = folder + "/efitools.auth";
  fs::remove(out);
  std::vector<std::string> argv = {"sign-efi-sig-list", "-t", may, "-k", signer.key, "-c", signer.certificate};
  if (append) argv.push_back("-a");
  for (const auto& word : {variable, list, out}) argv.push_back(word);
  output_of(std::move(argv));
  return bytes_of(out);
}

std::string keys_and_updates(const std::string& folder, const std::string& name) {
  output_of({ingot_program, "keys", "init", folder + "/" + name});
  output_of({ingot_program, "sign", "variables", "--keys", folder + "/" + name, "--out", folder + "/" + name + "-out"});
  return folder + "/" + name + "-out/loader/keys/auto";
}

}  // namespace

TEST_CASE("sign update: signature lists are cert-to-efi-sig-list's and hash-to-efi-sig-list's, byte for byte") {
  const auto folder = scratch();
  const auto& path = folder.path();
  const Signer signer(path, "KEK");
  output_of({"cert-to-efi-sig-list", "-g", owner, signer.certificate, path + "/theirs.esl"});
  sign_update({"db", "--add-certificate", signer.certificate, "--owner", owner, "--key", signer.key, "--certificate",
               signer.certificate, "--time", may, "--out", path + "/a.auth", "--list-out", path + "/ours.esl"});
  CHECK(bytes_of(path + "/ours.esl") == bytes_of(path + "/theirs.esl"));
  output_of({"openssl", "x509", "-in", signer.certificate, "-outform", "DER", "-out", path + "/kek.der"});
  sign_update({"db", "--add-certificate", path + "/kek.der", "--owner", owner, "--key", signer.key, "--certificate",
               signer.certificate, "--time", may, "--out", path + "/b.auth"});
  CHECK(bytes_of(path + "/a.auth") == bytes_of(path + "/b.auth"));

  const auto one = efitools_images + "/HelloWorld.efi", two = efitools_images + "/KeyTool.efi";
  output_of({"hash-to-efi-sig-list", one, two, path + "/theirs.esl"});
  sign_update({"dbx", "--add-image", one, "--add-image", two, "--owner", efitools_owner, "--key", signer.key,
               "--certificate", signer.certificate, "--time", may, "--out", path + "/a.auth", "--list-out",
               path + "/ours.esl"});
  CHECK(bytes_of(path + "/ours.esl") == bytes_of(path + "/theirs.esl"));
}

TEST_CASE("sign update: the file is sign-efi-sig-list's, byte for byte") {
  const auto folder = scratch();
  const auto& path = folder.path();
  for (const int bits : {2048, 3072, 4096}) {
    const Signer signer(path, "key-" + std::to_string(bits), bits);
    const auto list = path + "/list.esl";
    output_of({"cert-to-efi-sig-list", "-g", owner, signer.certificate, list});
    for (const std::string variable : {"PK", "KEK", "db", "dbx"})
      for (const bool append : {false, true}) {
        if (variable == "PK" && append) continue;
        INFO(bits << " bits, " << variable << (append ? " appended" : ""));
        std::vector<std::string> words = {variable,           "--list",           list,     "--key", signer.key,
                                          "--certificate",    signer.certificate, "--time", may,     "--out",
                                          path + "/ours.auth"};
        if (append) words.push_back("--append");
        const auto said = sign_update(words);
        CHECK_THAT(said, Catch::Contains(append ? "appends to " + variable : "sets " + variable));
        CHECK_THAT(said, Catch::Contains("CN=key-" + std::to_string(bits)));
        const auto ours = bytes_of(path + "/ours.auth");
        CHECK(ours == by_efitools(path, signer, variable, list, append));
      }
  }
}

TEST_CASE("sign update: a certificate from an authority, SOURCE_DATE_EPOCH and any time zone sign to the same bytes") {
  const auto folder = scratch();
  const auto& path = folder.path();
  const Signer authority(path, "authority"), other(path, "other");
  Signer leaf = other;
  leaf.certificate = path + "/leaf.crt";
  output_of({"openssl", "pkey", "-in", other.key, "-pubout", "-out", path + "/other.pub"});
  output_of({"openssl", "x509", "-new", "-subj", "/C=DE/O=A & B/OU=x/CN=Löwe", "-force_pubkey", path + "/other.pub",
             "-CA", authority.certificate, "-CAkey", authority.key, "-set_serial", "0x80000000000000000001", "-days",
             "9", "-out", leaf.certificate});
  const auto list = path + "/list.esl";
  output_of({"cert-to-efi-sig-list", "-g", owner, authority.certificate, list});
  const auto theirs = by_efitools(path, leaf, "db", list, true);
  for (const char* zone : {"UTC", "America/New_York", "Asia/Kathmandu"}) {
    INFO(zone);
    const auto out = path + "/ours.auth";
    const auto sign = [&](std::vector<std::string> more, std::map<std::string, std::string> environment) {
      std::vector<std::string> words = {"db",     "--append",      "--list",         list,    "--key",
                                        leaf.key, "--certificate", leaf.certificate, "--out", out};
      words.insert(words.end(), more.begin(), more.end());
      environment["TZ"] = zone;
      fs::remove(out);
      sign_update(words, environment);
      return bytes_of(out);
    };
    CHECK(sign({"--time", may}, {}) == theirs);
    // At which the certificate is valid, as it must be.
    const auto soon = std::to_string(std::time(nullptr) + 3600);
    auto text = output_of({"date", "--utc", "--date=@" + soon, "+%Y-%m-%d %H:%M:%S"});
    text.pop_back();
    CHECK(sign({}, {{"SOURCE_DATE_EPOCH", soon}}) == sign({"--time", text}, {}));
  }
  // Whoever trusts the authority takes it, though the signature does not carry the authority's certificate.
  const auto update = codec::decode_authenticated_update(theirs).value();
  const auto* db = codec::find_key_variable("db");
  const auto certificate = [](const Signer& one) {
    return crypto::Certificate::from_pem(as_text(bytes_of(one.certificate))).value();
  };
  CHECK(measure::verify_update(*db, codec::UpdateKind::append, update, {certificate(authority)}));
  CHECK_FALSE(measure::verify_update(*db, codec::UpdateKind::append, update, {certificate(other)}));
}

TEST_CASE("sign variables: systemd-boot's layout, each file sign-efi-sig-list's for the list beside it") {
  const auto folder = scratch();
  const auto& path = folder.path();
  const auto made = keys_and_updates(path, "site");
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(made)) names.insert(entry.path().filename());
  CHECK(names ==
        std::set<std::string>{"PK.auth", "KEK.auth", "db.auth", "dbx.auth", "PK.esl", "KEK.esl", "db.esl", "dbx.esl"});
  for (const std::string name : {"PK", "KEK", "db", "dbx"}) {
    INFO(name);
    const std::string signer = path + "/site/" + (name == "PK" || name == "KEK" ? "PK" : "KEK");
    const auto list = made + "/" + name + ".esl";
    output_of({"sign-efi-sig-list", "-t", "2024-01-01 00:00:00", "-k", signer + ".key", "-c", signer + ".crt", name,
               list, path + "/theirs.auth"});
    CHECK(bytes_of(made + "/" + name + ".auth") == bytes_of(path + "/theirs.auth"));
    output_of({"sig-list-to-certs", list, path + "/" + name});
    if (name == "dbx") continue;
    output_of({"openssl", "x509", "-in", path + "/site/" + name + ".crt", "-outform", "DER", "-out", path + "/x.der"});
    CHECK(bytes_of(path + "/" + name + "-0.der") == bytes_of(path + "/x.der"));
  }
  CHECK(bytes_of(path + "/dbx-0.hash") == Buffer(32));
  const auto again =
      run_tool({ingot_program, "sign", "variables", "--keys", path + "/site", "--out", path + "/site-out"});
  CHECK(again.exit_code == 3);
  CHECK_THAT(again.error_tail, Catch::Contains("exists"));
}

TEST_CASE("sign update: what cannot be right is refused, and leaves no file") {
  const auto folder = scratch();
  const auto& path = folder.path();
  const Signer signer(path, "KEK"), other(path, "other");
  REQUIRE(write_file(path + "/torn.esl", Buffer(30, 1)));
  const std::string hash(64, 'a'), out = path + "/x.auth";
  struct Row {
    const char* name;
    std::vector<std::string> words;
    int status;
    const char* said;
  };
  const std::vector<std::string> key = {"--key", signer.key, "--certificate", signer.certificate};
  const Row rows[] = {
      {"another variable", {"Boot0000", "--add-hash", hash, "--time", may}, 3, "PK, KEK, db or dbx"},
      {"no time", {"db", "--add-hash", hash}, 3, "SOURCE_DATE_EPOCH"},
      {"no date", {"db", "--add-hash", hash, "--time", "2024-02-30 00:00:00"}, 3, "no date"},
      {"half a digest", {"db", "--add-hash", "abcd", "--time", may}, 3, "64 hexadecimal"},
      {"nothing", {"db", "--time", may}, 3, "nothing to set"},
      {"an owner that is no GUID", {"db", "--add-hash", hash, "--owner", "me", "--time", may}, 3, "no GUID"},
      {"a digest as PK", {"PK", "--add-hash", hash, "--time", may}, 2, "certificates only"},
      {"a key as certificate", {"db", "--add-certificate", signer.key, "--time", may}, 2, "KEK.key"},
      {"no PE file", {"db", "--add-image", signer.key, "--time", may}, 2, "KEK.key"},
      {"a torn list", {"db", "--list", path + "/torn.esl", "--time", may}, 2, "torn.esl"},
      {"a list that is not there", {"db", "--list", path + "/none.esl", "--time", may}, 3, "none.esl"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    std::vector<std::string> argv = {ingot_program, "sign", "update"};
    argv.insert(argv.end(), row.words.begin(), row.words.end());
    argv.insert(argv.end(), key.begin(), key.end());
    argv.insert(argv.end(), {"--out", out});
    const auto done = run_tool(std::move(argv), {{"SOURCE_DATE_EPOCH", ""}});
    CHECK(done.exit_code == row.status);
    CHECK_THAT(done.error_tail, Catch::Contains(row.said));
    CHECK_FALSE(fs::exists(out));
  }
  const auto mixed = run_tool({ingot_program, "sign", "update", "db", "--add-hash", hash, "--time", may, "--key",
                               signer.key, "--certificate", other.certificate, "--out", out});
  CHECK(mixed.exit_code == 2);
  CHECK_THAT(mixed.error_tail, Catch::Contains("does not belong to"));
  CHECK_FALSE(fs::exists(out));
}
