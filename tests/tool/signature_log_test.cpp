// The chain of the signature log, as sha256sum and python see it; and what an entry says, by openssl.
#include <fstream>
#include <nlohmann/json.hpp>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/signer/sign.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

const std::string program = std::string(INGOT_BUILD) + "/ingot";

/// The chain without us.
const char* chain_in_python = R"(
import hashlib, json, sys
head = "0" * 64
for line in open(sys.argv[1], "rb"):
    assert line.endswith(b"\n")
    assert json.loads(line)["previous"] == head
    head = hashlib.sha256(line[:-1]).hexdigest()
print(head)
)";

}  // namespace

TEST_CASE("signature log: python and sha256sum follow the chain, openssl finds the digest and key of an entry") {
  const auto folder = scratch();
  const auto at = [&](const char* name) { return folder.path() + "/" + name; };
  const auto keys = signer::init_keys(at("keys")).value();
  const auto key = signer::SigningKey::load(keys.key("pcr")).value();
  for (const std::string message : {"one", "two", "three"}) {
    const auto signature = key.sign({"message " + message, {}}, HashAlg::sha256, as_bytes(message)).value();
    REQUIRE(write_file(at("message"), as_bytes(message)));
    REQUIRE(write_file(at("signature"), signature));
  }
  const auto log = at("keys/signatures.log");
  const auto head = output_of({"python3", "-c", chain_in_python, log}).substr(0, 64);
  CHECK(output_of({"sh", "-c", "tail -n 1 " + log + " | tr -d '\\n' | sha256sum"}).substr(0, 64) == head);
  const auto verified = run_tool({program, "sign", "log", "--verify", log, "--head", head});
  CHECK(verified.exit_code == 0);
  CHECK(verified.error_tail.find("holds over 3 signatures; its head is " + head) != std::string::npos);
  const auto entries = nlohmann::json::parse(output_of({program, "sign", "log", at("keys"), "--json"})).at("entries");
  REQUIRE(entries.size() == 3);
  const auto last = entries.at(2);
  CHECK(last.at("what") == "message three");
  CHECK(output_of({"openssl", "dgst", "-sha256", "-r", at("message")}).substr(0, 64) == last.at("signed"));
  output_of(
      {"openssl", "dgst", "-sha256", "-verify", keys.public_key("pcr"), "-signature", at("signature"), at("message")});
  const auto spki = "openssl pkey -pubin -in " + keys.public_key("pcr") + " -outform DER | sha256sum";
  CHECK(output_of({"sh", "-c", spki}).substr(0, 64) == last.at("key"));
  CHECK(last.at("user") == output_of({"id", "-un"}).substr(0, last.at("user").get<std::string>().size()));
}

TEST_CASE("signature log: ingot sign log names the first line that breaks the chain, and a head that is gone") {
  const auto folder = scratch();
  const auto keys = signer::init_keys(folder.path() + "/keys").value();
  const auto key = signer::SigningKey::load(keys.key("pcr")).value();
  for (int i = 0; i < 5; ++i) REQUIRE(key.sign({"test", {}}, HashAlg::sha256, as_bytes("x")));
  const auto log = keys.path + "/signatures.log";
  const auto head = output_of({"python3", "-c", chain_in_python, log}).substr(0, 64);
  const auto whole = std::string(as_text(read_file(log, 1u << 20).value()));
  const auto check = [&](const std::string& text, std::vector<std::string> more = {}) {
    REQUIRE(write_file(log, as_bytes(text), 0600));
    std::vector<std::string> argv{program, "sign", "log", "--verify", log};
    argv.insert(argv.end(), more.begin(), more.end());
    return run_tool(argv);
  };
  auto changed = whole;
  const auto third = [&] {
    auto at = changed.find('\n');
    return changed.find('\n', at + 1) + 1;
  }();
  changed.replace(changed.find("\"test\"", third), 6, "\"best\"");
  const auto broken = check(changed);
  CHECK(broken.exit_code == 1);
  CHECK(broken.error_tail.find("breaks at line 4") != std::string::npos);
  const auto cut = whole.substr(0, third);
  CHECK(check(cut).exit_code == 0);
  const auto missed = check(cut, {"--head", head});
  CHECK(missed.exit_code == 1);
  CHECK(missed.error_tail.find("no line has the hash " + head) != std::string::npos);
  CHECK(check(whole, {"--head", head}).exit_code == 0);
  CHECK(check(whole, {"--head", "12"}).exit_code == 3);
}
