// The verdict's two faces before judges of their own: Chromium reads the report, openssl checks the attestation result.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/signer/sign.hpp"
#include "tool.hpp"
#include "verifier/check_machine.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

/// The document after Chromium has read the page: what people would see, as text.
std::string read_by_chromium(const std::string& page, const builder::TemporaryFolder& folder) {
  const auto path = folder.path() + "/report.html";
  REQUIRE(write_file(path, as_bytes(page)));
  const auto done = run_tool({"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                              "--user-data-dir=" + folder.path() + "/profile", "--virtual-time-budget=2000",
                              "--dump-dom", "file://" + path});
  REQUIRE(done.exit_code == 0);
  return std::string(as_text(done.output));
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

Buffer from_base64url(std::string text) {
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return parse_base64(text).value();
}

}  // namespace

TEST_CASE("report: Chromium reads every stage, and runs nothing that a node wrote") {
  const auto folder = scratch();
  const auto good = read_by_chromium(check::render_report(verdict_on(reference())), folder);
  CHECK(count(good, "<details") == 11);
  CHECK(count(good, "stage broken") == 0);
  CHECK(contains(good, ">trusted</span>"));
  const auto hostile = machine_with([](auto& log) {
    auto evil =
        action(12, "</td><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">");
    evil.type = EventType::EV_IPL;
    log.events.push_back(evil);
  });
  const auto bad = read_by_chromium(check::render_report(verdict_on(hostile)), folder);
  CHECK(count(bad, "<details") == 11);
  CHECK(count(bad, "<details class=\"stage broken\" open") == 1);
  CHECK(count(bad, "<script") == 0);
  CHECK(count(bad, "<img") == 0);
  CHECK(contains(bad, "<title>untrusted: mini version 7</title>"));
}

TEST_CASE("attestation result: openssl verifies the token with the verdict key, and no other bytes") {
  const auto folder = scratch();
  const auto keys = signer::init_keys(folder.path() + "/keys").value();
  const auto key = signer::SigningKey::load(keys.key("verdict")).value();
  const auto claims = check::ear_claims(verdict_on(reference()), {1, 2, "node-1", {}});
  const auto token = signer::sign_jwt(claims, key).value();
  const auto first = token.find('.'), second = token.rfind('.');
  REQUIRE(first < second);
  const auto header = nlohmann::json::parse(as_text(from_base64url(token.substr(0, first))));
  CHECK(header == nlohmann::json({{"alg", "ES256"}, {"typ", "JWT"}, {"kid", key.public_key().key_id()}}));
  CHECK(as_text(from_base64url(token.substr(first + 1, second - first - 1))) == claims);
  // openssl wants ECDSA-Sig-Value in DER: it makes that itself from the two numbers.
  const auto raw = from_base64url(token.substr(second + 1));
  REQUIRE(raw.size() == 64);
  const auto file = [&](const char* name) { return folder.path() + "/" + name; };
  const auto numbers = fmt::format("asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x{}\ns=INTEGER:0x{}\n",
                                   to_hex(Bytes(raw).first(32)), to_hex(Bytes(raw).subspan(32)));
  REQUIRE(write_file(file("numbers"), as_bytes(numbers)));
  REQUIRE(write_file(file("message"), as_bytes(token.substr(0, second))));
  REQUIRE(write_file(file("other"), as_bytes(token.substr(0, second - 1))));
  CHECK(
      run_tool({"openssl", "asn1parse", "-genconf", file("numbers"), "-noout", "-out", file("signature")}).exit_code ==
      0);
  const auto verify = [&](const char* message) {
    return run_tool({"openssl", "dgst", "-sha256", "-verify", keys.public_key("verdict"), "-signature",
                     file("signature"), file(message)})
        .exit_code;
  };
  CHECK(verify("message") == 0);
  CHECK(verify("other") != 0);
  CHECK_FALSE(signer::sign_jwt(claims, signer::SigningKey::load(keys.key("baseline")).value()));
}
