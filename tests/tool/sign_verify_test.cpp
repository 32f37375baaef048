// db and dbx, made by efitools, against files that sbsign signed: what firmware would start, and why not.
#include "sign_lab.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

/// Signers: db, other, and leaf, which ca issued. Files: plain.efi (a multiple of 8 long), NAME.efi by each, both.efi.
struct VerifyLab : SignLab {
  VerifyLab() {
    for (const auto* name : {"db", "other", "ca"}) make_signer(name);
    make_issued("leaf", "ca");
    auto plain = bytes_of(plain_pe);
    plain.resize((plain.size() + 7) / 8 * 8);
    REQUIRE(write_file(at("plain.efi"), plain));
    for (const std::string name : {"db", "other", "leaf"}) sbsign(at("plain.efi"), name, at(name + ".efi"));
    sbsign(at("db.efi"), "other", at("both.efi"));
    auto changed = bytes_of(at("db.efi"));
    changed[0x1000] ^= 1;
    REQUIRE(write_file(at("changed.efi"), changed));
    for (const std::string name : {"db", "other", "ca", "leaf"})
      output_of({"cert-to-efi-sig-list", at(name + ".crt"), at(name + ".esl")});
    output_of({"hash-to-efi-sig-list", at("plain.efi"), at("hash.esl")});
    REQUIRE(write_file(at("empty.esl"), {}));
  }
  /// Lists one behind the other are lists.
  std::string joined(const std::vector<std::string>& names) const {
    Buffer all;
    for (const auto& name : names) {
      const auto one = bytes_of(at(name + ".esl"));
      all.insert(all.end(), one.begin(), one.end());
    }
    REQUIRE(write_file(at("joined.esl"), all));
    return at("joined.esl");
  }
};

}  // namespace

TEST_CASE("sign verify: db allows, dbx wins, and a refusal says why") {
  struct Row {
    const char* name;
    std::string file;
    std::vector<std::string> db, dbx;
    bool accepted;
    const char* said;
  };
  const Row rows[] = {
      {"by its certificate", "db", {"db"}, {}, true, "signature 1 is under \"CN=db\""},
      {"by one of several", "db", {"other", "ca", "db"}, {"other"}, true, "CN=db"},
      {"by the authority that issued it, which is not in the file", "leaf", {"ca"}, {}, true, "CN=ca"},
      {"by its own certificate, whoever issued it", "leaf", {"leaf"}, {}, true, "CN=leaf"},
      {"the second signature", "both", {"other"}, {}, true, "signature 2 is under \"CN=other\""},
      {"not signed, by its digest", "plain", {"hash"}, {}, true, "sha256 digest is in db"},
      {"signed by somebody, by its digest", "other", {"db", "hash"}, {}, true, "sha256 digest is in db"},
      {"by nobody in db", "other", {"db"}, {}, false, "signature 1 is under no certificate of db"},
      {"empty db", "db", {"empty"}, {}, false, "under no certificate"},
      {"not signed", "plain", {"db"}, {}, false, "not signed, and its digest is not in db"},
      {"changed after it was signed", "changed", {"db"}, {}, false, "over other bytes"},
      {"changed, and its old digest in db", "changed", {"hash"}, {}, false, "over other bytes"},
      {"its certificate in both", "db", {"db"}, {"db"}, false, "which is in dbx"},
      {"its authority in dbx", "leaf", {"leaf"}, {"ca"}, false, "\"CN=ca\", which is in dbx"},
      {"its digest in dbx", "db", {"db"}, {"hash"}, false, "is in dbx"},
      {"its digest in both", "plain", {"hash"}, {"hash"}, false, "is in dbx"},
      {"one of two signers forbidden", "both", {"db"}, {"other"}, false, "signature 2 is under \"CN=other\""},
      {"one of two signers forbidden, and the digest allowed", "both", {"hash"}, {"db"}, false, "which is in dbx"},
  };
  const VerifyLab lab;
  for (const auto& row : rows) {
    INFO(row.name);
    std::vector<std::string> words = {"sign", "verify", lab.at(row.file + ".efi"), "--db"};
    fs::copy_file(lab.joined(row.db), lab.at("the.esl"), fs::copy_options::overwrite_existing);
    words.push_back(lab.at("the.esl"));
    if (!row.dbx.empty()) words.insert(words.end(), {"--dbx", lab.joined(row.dbx)});
    const auto done = lab.ingot(words);
    INFO(done.error_tail);
    CHECK(done.exit_code == (row.accepted ? 0 : 1));
    CHECK(done.error_tail.find(row.said) != std::string::npos);
    CHECK(done.error_tail.find("NOT accepted") == (row.accepted ? std::string::npos : done.error_tail.find("NOT")));
  }
}

TEST_CASE("sign verify: a database that cannot be judged is an error, not an answer") {
  const VerifyLab lab;
  const auto verify = [&](const std::string& db, const std::string& dbx) {
    return lab.ingot({"sign", "verify", lab.at("db.efi"), "--db", db, "--dbx", dbx});
  };
  auto cut = bytes_of(lab.at("db.esl"));
  cut.pop_back();
  REQUIRE(write_file(lab.at("cut.esl"), cut));
  CHECK(verify(lab.at("cut.esl"), lab.at("empty.esl")).exit_code == 2);
  CHECK(verify(lab.at("db.esl"), lab.at("cut.esl")).exit_code == 2);
  CHECK(verify(lab.at("db.esl"), lab.at("nowhere.esl")).exit_code == 3);
  // A kind of entry that is not known here (its first byte is the type's), which dbx may forbid with.
  auto other_kind = bytes_of(lab.at("hash.esl"));
  other_kind[0] ^= 0xFF;
  REQUIRE(write_file(lab.at("kind.esl"), other_kind));
  const auto done = verify(lab.at("db.esl"), lab.at("kind.esl"));
  CHECK(done.exit_code == 2);
  CHECK(done.error_tail.find("not judged here") != std::string::npos);
  CHECK(verify(lab.at("kind.esl"), lab.at("empty.esl")).exit_code == 1);
}
