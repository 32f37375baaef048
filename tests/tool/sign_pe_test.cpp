// Signatures that we make, as others see them, and those that others make, as we do: sbsigntool, pesign, osslsigncode,
// openssl, and virt-firmware's pe-listsigs.
#include <nlohmann/json.hpp>

#include "oracle_tree.hpp"
#include "sign_lab.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

nlohmann::json listed(const SignLab& lab, const std::string& file) {
  const auto done = lab.ingot({"sign", "list", file, "--json"});
  INFO(done.error_tail);
  REQUIRE(done.exit_code == 0);
  return nlohmann::json::parse(as_text(done.output));
}

/// OpenSSL's view of one signature: `openssl smime` verifies it over the content that asn1parse finds in it.
void check_by_openssl(const SignLab& lab, const std::string& file, const std::string& signer) {
  output_of({"sbattach", "--detach", lab.at("p7"), file});
  const auto tree = output_of({"openssl", "asn1parse", "-inform", "DER", "-in", lab.at("p7")});
  // "   52:d=5  hl=2 l=  75 cons: SEQUENCE", the second line below the type of the content.
  auto line = tree.find("1.3.6.1.4.1.311.2.1.4");
  REQUIRE(line != std::string::npos);
  for (int i = 0; i < 2; ++i) line = tree.find('\n', line) + 1;
  const auto number = [&](const std::string& key) {
    return std::stoul(tree.substr(tree.find(key, line) + key.size()));
  };
  const auto start = std::stoul(tree.substr(line)) + number("hl=");
  REQUIRE(write_file(lab.at("content"), Bytes(bytes_of(lab.at("p7"))).subspan(start, number(" l="))));
  const auto done =
      run_tool({"openssl", "smime", "-verify", "-inform", "DER", "-in", lab.at("p7"), "-content", lab.at("content"),
                "-CAfile", lab.at(signer + ".crt"), "-purpose", "any", "-binary", "-out", "/dev/null"});
  INFO(done.error_tail);
  CHECK(done.exit_code == 0);
}

/// What pefile says of CheckSum; nothing is said without the oracles' tree.
void check_checksum(const std::string& file) {
  if (skipped(oracles + "/usr/bin/pe-listsigs", "CheckSum and pe-listsigs")) return;
  const auto folder = scratch(oracles + "/tmp");
  const auto inside = folder.path().substr(oracles.size()) + "/f";
  fs::copy_file(file, oracles + inside);
  CHECK(output_of({"chroot", oracles, "python3", "-c",
                   "import pefile, sys; print(pefile.PE(sys.argv[1]).verify_checksum())", inside}) == "True\n");
}

std::string pe_listsigs(const std::string& file) {
  const auto folder = scratch(oracles + "/tmp");
  const auto inside = folder.path().substr(oracles.size()) + "/f";
  fs::copy_file(file, oracles + inside);
  return output_of({"chroot", oracles, "pe-listsigs", inside});
}

}  // namespace

TEST_CASE("sign pe: keys of 2048, 3072 and 4096 bits, and six tools agree") {
  const SignLab lab;
  const int bits = GENERATE(2048, 3072, 4096);
  CAPTURE(bits);
  lab.make_signer("db", bits);
  const auto out = lab.at("out.efi");
  const auto done =
      lab.ingot({"sign", "pe", plain_pe, "--key", lab.at("db.key"), "--certificate", lab.at("db.crt"), "--out", out});
  INFO(done.error_tail);
  REQUIRE(done.exit_code == 0);
  CHECK(has(done.error_tail, "PE, x86-64, 8 sections"));
  CHECK(has(done.error_tail, pesign_hash(out)));
  CHECK(lab.sbverifies(out, "db"));
  CHECK(has(output_of({"sbverify", "--list", out}), "- subject: /CN=db"));
  CHECK(has(output_of({"osslsigncode", "verify", "-in", out, "-CAfile", lab.at("db.crt")}),
            "Signature verification: ok"));
  const auto shown = output_of({"pesign", "--show-signature", "--in", out});
  CHECK(count(shown, "The signer's common name is db") == 1);
  check_by_openssl(lab, out, "db");
  check_checksum(out);
  if (!skipped(oracles + "/usr/bin/pe-listsigs", "pe-listsigs")) CHECK(count(pe_listsigs(out), "subject CN: db") == 1);
  CHECK(listed(lab, out).at("signatures").at(0).at("key") == "RSA-" + std::to_string(bits));
}

TEST_CASE("sign pe: the same file signs to the same bytes, whatever the time zone; a time is there when asked for") {
  const SignLab lab;
  lab.make_signer("db");
  const auto sign = [&](const std::string& out, std::vector<std::string> more, std::map<std::string, std::string> env) {
    std::vector<std::string> words = {"sign",           "pe",    plain_pe,   "--key", lab.at("db.key"), "--certificate",
                                      lab.at("db.crt"), "--out", lab.at(out)};
    words.insert(words.end(), more.begin(), more.end());
    return lab.ingot(words, env).exit_code;
  };
  REQUIRE(sign("1", {}, {{"TZ", "Asia/Tokyo"}}) == 0);
  // At which the certificate is valid, as it must be.
  const auto soon = std::to_string(std::time(nullptr) + 3600);
  REQUIRE(sign("2", {}, {{"TZ", "America/Lima"}, {"SOURCE_DATE_EPOCH", soon}}) == 0);
  CHECK(bytes_of(lab.at("1")) == bytes_of(lab.at("2")));
  CHECK_FALSE(listed(lab, lab.at("1")).at("signatures").at(0).contains("signing_time"));
  REQUIRE(sign("3", {"--time", "1700000000"}, {{"TZ", "Asia/Tokyo"}}) == 0);
  REQUIRE(sign("4", {"--time", "SOURCE_DATE_EPOCH"}, {{"SOURCE_DATE_EPOCH", soon}}) == 0);
  REQUIRE(sign("5", {"--time", soon}, {{"TZ", "Asia/Tokyo"}}) == 0);
  CHECK(bytes_of(lab.at("4")) == bytes_of(lab.at("5")));
  CHECK(bytes_of(lab.at("3")) != bytes_of(lab.at("1")));
  CHECK(listed(lab, lab.at("3")).at("signatures").at(0).at("signing_time") == "2023-11-14T22:13:20Z");
  CHECK(has(output_of({"osslsigncode", "verify", "-in", lab.at("3"), "-CAfile", lab.at("db.crt")}),
            "Signing time: Nov 14 22:13:20 2023 GMT"));
  check_by_openssl(lab, lab.at("3"), "db");
  // The year 2050 is where UTCTime ends.
  for (const auto& [seconds, kind] : {std::pair{"2524607999", "UTCTIME"}, {"2524608000", "GENERALIZEDTIME"}}) {
    REQUIRE(sign("5", {"--time", seconds}, {}) == 0);
    output_of({"sbattach", "--detach", lab.at("p7"), lab.at("5")});
    const auto tree = output_of({"openssl", "asn1parse", "-inform", "DER", "-in", lab.at("p7")});
    const auto at = tree.find("signingTime");
    REQUIRE(at != std::string::npos);
    CHECK(has(tree.substr(at, 200), kind));
    CHECK(lab.sbverifies(lab.at("5"), "db"));
  }
  for (const auto* wrong : {"yesterday", "-1", "253402300800", "1.5", "SOURCE_DATE_EPOCH"}) {
    INFO(wrong);
    CHECK(sign("6", {std::string("--time=") + wrong}, {}) == 3);
    CHECK_FALSE(fs::exists(lab.at("6")));
  }
}

TEST_CASE("sign pe: several signatures in one file, ours and sbsign's in any order") {
  const SignLab lab;
  for (const auto* name : {"one", "two", "three"}) lab.make_signer(name);
  const std::string first = lab.at("1"), second = lab.at("2"), third = lab.at("3");
  const bool ours_first = GENERATE(true, false);
  CAPTURE(ours_first);
  ours_first ? lab.sign(plain_pe, "one", first) : lab.sbsign(plain_pe, "one", first);
  ours_first ? lab.sbsign(first, "two", second) : lab.sign(first, "two", second, {"--add"});
  lab.sign(second, "three", third, {"--add"});
  const auto digest = pesign_hash(third);
  for (const auto* name : {"one", "two", "three"}) {
    INFO(name);
    CHECK(lab.sbverifies(third, name));
    CHECK(lab.ingot({"sign", "verify", third, "--certificate", lab.at(std::string(name) + ".crt")}).exit_code == 0);
  }
  CHECK(count(output_of({"sbverify", "--list", third}), "image signature issuers") == 3);
  CHECK(count(output_of({"pesign", "--show-signature", "--in", third}), "signer's common name") == 3);
  if (!skipped(oracles + "/usr/bin/pe-listsigs", "pe-listsigs"))
    CHECK(count(pe_listsigs(third), "signature: len") == 3);
  check_checksum(third);
  const auto list = listed(lab, third);
  CHECK(list.at("sha256") == digest);
  REQUIRE(list.at("signatures").size() == 3);
  std::size_t i = 0;
  for (const auto* name : {"CN=one", "CN=two", "CN=three"}) {
    const auto& signature = list.at("signatures").at(i++);
    CHECK(signature.at("signer") == name);
    CHECK(signature.at("digest").at("value") == digest);
    CHECK(signature.at("fits") == true);
  }
  // Anew by one, over all of them.
  lab.sign(third, "two", lab.at("4"), {"--replace"});
  CHECK(listed(lab, lab.at("4")).at("signatures").size() == 1);
  CHECK(lab.sbverifies(lab.at("4"), "two"));
  CHECK_FALSE(lab.sbverifies(lab.at("4"), "one"));
}

TEST_CASE("sign pe: a file may be signed in its place") {
  const SignLab lab;
  lab.make_signer("db");
  fs::copy_file(plain_pe, lab.at("f"));
  lab.sign(lab.at("f"), "db", lab.at("f"));
  CHECK(lab.sbverifies(lab.at("f"), "db"));
  lab.sign(plain_pe, "db", lab.at("g"));
  CHECK(bytes_of(lab.at("f")) == bytes_of(lab.at("g")));
}

TEST_CASE("sign remove: what is left is what sbattach leaves") {
  const SignLab lab;
  for (const auto* name : {"one", "two"}) lab.make_signer(name);
  lab.sign(plain_pe, "one", lab.at("1"));
  lab.sbsign(lab.at("1"), "two", lab.at("2"));
  const auto remove = [&](const std::string& from, std::vector<std::string> which) {
    std::vector<std::string> words = {"sign", "remove", lab.at(from), "--out", lab.at("ours")};
    words.insert(words.end(), which.begin(), which.end());
    const auto done = lab.ingot(words);
    INFO(done.error_tail);
    REQUIRE(done.exit_code == 0);
    return bytes_of(lab.at("ours"));
  };
  const auto sbattach = [&](const std::string& from, int times) {
    fs::copy_file(lab.at(from), lab.at("theirs"), fs::copy_options::overwrite_existing);
    for (int i = 0; i < times; ++i) output_of({"sbattach", "--remove", lab.at("theirs")});
    return bytes_of(lab.at("theirs"));
  };
  CHECK(remove("1", {"--index", "1"}) == sbattach("1", 1));
  CHECK(remove("1", {"--all"}) == sbattach("1", 1));
  CHECK(remove("2", {"--all"}) == sbattach("2", 2));
  CHECK(remove("2", {"--index", "2"}) == bytes_of(lab.at("1")));
  // sbattach takes the first away.
  CHECK(remove("2", {"--index", "1"}) == sbattach("2", 1));
  CHECK(lab.sbverifies(lab.at("ours"), "two"));
  CHECK_FALSE(lab.sbverifies(lab.at("ours"), "one"));
  check_checksum(lab.at("ours"));
  for (const auto* wrong : {"0", "3"}) {
    const auto done = lab.ingot({"sign", "remove", lab.at("2"), "--index", wrong, "--out", lab.at("none")});
    CHECK(done.exit_code == 3);
    CHECK(has(done.error_tail, "the file has 2"));
  }
  CHECK(lab.ingot({"sign", "remove", plain_pe, "--all", "--out", lab.at("none")}).exit_code == 2);
  CHECK_FALSE(fs::exists(lab.at("none")));
}

TEST_CASE("sign pe: a file that pesign signed has an old CheckSum, and is signed only when that is said") {
  const SignLab lab;
  for (const auto* name : {"one", "two"}) lab.make_signer(name);
  fs::create_directory(lab.at("nss"));
  output_of({"certutil", "-N", "-d", lab.at("nss"), "--empty-password"});
  output_of({"openssl", "pkcs12", "-export", "-inkey", lab.at("one.key"), "-in", lab.at("one.crt"), "-name", "one",
             "-passout", "pass:", "-out", lab.at("one.p12")});
  output_of({"pk12util", "-i", lab.at("one.p12"), "-d", lab.at("nss"), "-W", ""});
  output_of({"pesign", "-n", lab.at("nss"), "-c", "one", "-s", "-i", plain_pe, "-o", lab.at("1")});
  CHECK(lab.ingot({"sign", "verify", lab.at("1"), "--certificate", lab.at("one.crt")}).exit_code == 0);
  std::vector<std::string> words = {
      "sign",  "pe",        lab.at("1"), "--key", lab.at("two.key"), "--certificate", lab.at("two.crt"),
      "--out", lab.at("2"), "--add"};
  const auto refused = lab.ingot(words);
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.error_tail, "CheckSum is 0x"));
  CHECK_FALSE(fs::exists(lab.at("2")));
  words.emplace_back("--any-checksum");
  REQUIRE(lab.ingot(words).exit_code == 0);
  check_checksum(lab.at("2"));
  for (const auto* name : {"one", "two"}) CHECK(lab.sbverifies(lab.at("2"), name));
}
