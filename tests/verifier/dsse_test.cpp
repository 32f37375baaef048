#include "ingot/codec/dsse.hpp"

#include <catch2/catch.hpp>

#include "decoder_checks.hpp"
#include "key_vectors.hpp"

using namespace ingot;
using codec::DsseEnvelope;
namespace v = test::vectors;

namespace {

Buffer base64(const char* text) { return parse_base64(text).value(); }
crypto::PublicKey key(const char* spki) { return crypto::PublicKey::from_spki_der(base64(spki)).value(); }

DsseEnvelope example() {
  return {"application/vnd.in-toto+json", to_buffer(as_bytes("{\"a\":1}\n")), {{"one", {1, 2, 3}}, {"", {}}}};
}

bool same(const DsseEnvelope& a, const DsseEnvelope& b) {
  return a.payload_type == b.payload_type && a.payload == b.payload &&
         std::equal(a.signatures.begin(), a.signatures.end(), b.signatures.begin(), b.signatures.end(),
                    [](const auto& x, const auto& y) { return x.key_id == y.key_id && x.signature == y.signature; });
}

Result<DsseEnvelope> decode(std::string_view text) { return codec::decode_dsse(as_bytes(text)); }

}  // namespace

TEST_CASE("dsse: the pre-authentication encoding is the specification's example") {
  // secure-systems-lab/dsse v1.0.2, protocol.md, "Signature Definition".
  CHECK(as_text(codec::pre_authentication_encoding("http://example.com/HelloWorld", as_bytes("hello world"))) ==
        "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  CHECK(as_text(codec::pre_authentication_encoding("", {})) == "DSSEv1 0  0 ");
}

TEST_CASE("dsse: what is encoded is decoded, and nothing but its whole") {
  const auto envelope = example();
  const auto text = codec::encode_dsse(envelope);
  CHECK(text.back() == '\n');
  const auto decoded = decode(text);
  REQUIRE(decoded);
  CHECK(same(*decoded, envelope));
  CHECK(codec::encode_dsse(*decoded) == text);
  // The line feed at the end is no part of the document.
  test::rejects_every_prefix(as_bytes(text).first(text.size() - 1), codec::decode_dsse);
}

TEST_CASE("dsse: the specification's own envelope is read") {
  // implementation/signing_spec.py, "Test vectors", with members that are not known, as a reader must expect.
  const auto envelope = decode(
      R"({"payload": "aGVsbG8gd29ybGQ=", "payloadType": "http://example.com/HelloWorld",
          "signatures": [{"keyid": "66301bbf", "extra": [1, {"x": null}],
                          "sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}],
          "unknown": true})");
  REQUIRE(envelope);
  CHECK(as_text(envelope->payload) == "hello world");
  REQUIRE(envelope->signatures.size() == 1);
  CHECK(envelope->signatures[0].key_id == "66301bbf");
  CHECK(envelope->signatures[0].signature.size() == 64);
}

TEST_CASE("dsse: text that is not UTF-8 does not leave as an exception") {
  auto envelope = example();
  envelope.payload_type = "\xFF\xFE";
  CHECK(decode(codec::encode_dsse(envelope)));
}

TEST_CASE("dsse: other documents are malformed and say why") {
  struct Row {
    const char* name;
    std::string text;
    ErrorCode code;
    const char* said;
  };
  std::string deep = R"({"payloadType":"t","payload":"","signatures":[],"x":)" + std::string(100000, '[');
  std::string many = R"({"payloadType":"t","payload":"","signatures":[)";
  for (int i = 0; i < 17; ++i) many += std::string(i == 0 ? "" : ",") + R"({"sig":""})";
  constexpr auto malformed = ErrorCode::malformed;
  const Row rows[] = {
      {"empty", "", malformed, "JSON"},
      {"not JSON", "hello", malformed, "JSON"},
      {"bytes behind it", R"({"payloadType":"t","payload":"","signatures":[]} x)", malformed, "JSON"},
      {"an array", "[]", malformed, "payloadType"},
      {"a text", "\"payloadType\"", malformed, "payloadType"},
      {"no type", R"({"payload":"","signatures":[]})", malformed, "payloadType"},
      {"type is a number", R"({"payloadType":1,"payload":"","signatures":[]})", malformed, "payloadType"},
      {"no payload", R"({"payloadType":"t","signatures":[]})", malformed, "payload"},
      {"payload is no base64", R"({"payloadType":"t","payload":"*","signatures":[]})", malformed, "base64"},
      {"payload twice", R"({"payloadType":"t","payload":"","payload":"YQ==","signatures":[]})", malformed, "twice"},
      {"type twice", R"({"payloadType":"t","payloadType":"u","payload":"","signatures":[]})", malformed, "twice"},
      {"no signatures", R"({"payloadType":"t","payload":""})", malformed, "signatures"},
      {"signatures are an object", R"({"payloadType":"t","payload":"","signatures":{}})", malformed, "signatures"},
      {"a signature is a text", R"({"payloadType":"t","payload":"","signatures":["x"]})", malformed, "sig"},
      {"a signature without sig", R"({"payloadType":"t","payload":"","signatures":[{"keyid":"k"}]})", malformed, "sig"},
      {"a key id is a number", R"({"payloadType":"t","payload":"","signatures":[{"keyid":1,"sig":""}]})", malformed,
       "keyid"},
      {"17 signatures", many + "]}", ErrorCode::limit, "17"},
      {"nested deeply", deep, malformed, "nested"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const auto envelope = decode(row.text);
    REQUIRE_FALSE(envelope);
    CHECK(envelope.error().code == row.code);
    CHECK_THAT(envelope.error().message, Catch::Contains(row.said));
    CHECK_FALSE(envelope.error().remedy.empty());
  }
}

TEST_CASE("dsse: opened by a trusted key's signature only") {
  // The specification's vector (implementation/signing_spec.py, "Test vectors"), its ECDSA signature written in DER.
  const auto signer =
      key("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ805D3eqNZywjCI19lInBJOp7YMrCrzAH3CVTAOQ0jgMeCvVTiaRJaRPRDOv8UMs6U4SvKc6"
          "pnrIDOoSYI3f"
          "dA==");
  const auto valid =
      base64("MEQCIANyarEBrVbCdjtsaqyOSHJ14qeRk6CdxfhZ2fjvPEo7AiBR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==");
  const std::string type = "http://example.com/HelloWorld";
  const DsseEnvelope good{type, to_buffer(as_bytes("hello world")), {{"a hint that is wrong", valid}}};
  CHECK(codec::open_dsse(good, type, signer) == good.payload);
  auto second = good;
  second.signatures.insert(second.signatures.begin(), {signer.key_id(), base64(v::ec_sha256)});
  CHECK(codec::open_dsse(second, type, signer) == good.payload);

  struct Row {
    const char* name;
    void (*change)(DsseEnvelope&);
  };
  const Row rows[] = {
      {"no signatures", [](DsseEnvelope& e) { e.signatures.clear(); }},
      {"an empty signature", [](DsseEnvelope& e) { e.signatures[0].signature.clear(); }},
      {"another signature", [](DsseEnvelope& e) { e.signatures[0].signature = base64(v::ec_sha256); }},
      {"another payload", [](DsseEnvelope& e) { e.payload.push_back('!'); }},
      {"no payload", [](DsseEnvelope& e) { e.payload.clear(); }},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    auto envelope = good;
    row.change(envelope);
    const auto opened = codec::open_dsse(envelope, type, signer);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == ErrorCode::crypto);
  }
  CHECK(codec::open_dsse(good, type, key(v::ec_spki)).error().code == ErrorCode::crypto);
  CHECK(codec::open_dsse(good, "application/json", signer).error().code == ErrorCode::malformed);
  // The same signature under another type: the type is signed, too.
  auto retyped = good;
  retyped.payload_type = "application/json";
  CHECK(codec::open_dsse(retyped, "application/json", signer).error().code == ErrorCode::crypto);
}
