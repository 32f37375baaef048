// Tokens as systemd writes them. That systemd opens volumes by ours is tests/tool/luks_token_test.cpp's to say.
#include "ingot/codec/luks_token.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "ingot/crypto/certificate.hpp"
#include "ingot/fleet/storage_key.hpp"
#include "ingot/measure/tpm_policy.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

// Made by systemd-cryptenroll 257.13-1~deb13u1 without a TPM, for the storage key of a swtpm 0.7:
//   systemd-cryptenroll --tpm2-device-key=srk.pub --tpm2-pcrs=7:sha256=0...0+15:sha256=0...0
//     --tpm2-public-key=pub.pem --tpm2-public-key-pcrs=11 VOLUME
constexpr const char* blob =
    "AGwAILaZyKDfiH1u4ZwxWJWUZjlfrm8CSzU2U1BMSWyjP0Kx66s54d+sqX8CVU9dHOx39xnqFke7CxoHB7HvFZXvPFuhlkbLDGGDuowz+lD8RV"
    "9q/LF3ihoTB/slJZJ4bOzpTkqYCc+XbnVFTjMATgAIAAsAAAAAACDQWkKFVfrb8sz7VdHZYirh7KPcfjnGHzI40LW/Xx+2XAAQACA0iPeN9Jr8"
    "oy6J2X7BuPqgFytIAE6BRV0D3PkUa/tkVgBEACByu+hFxZY2OvlZfV4UUtZtf6ZEpF1yZhIXPd32ZTpsiQAgMRhc4rU1r070N7kqpxyz9P5TKl"
    "zXp7W6e4X3V9lCYYo=";
constexpr const char* srk =
    "gQAAAQAiAAvrksSr2+UHHPoB1bVQFsRlIEVHREI3XQnFNy/fqhhjBQAAAAEAWgAjAAsAAwRyAAAABgCAAEMAEAADABAAIB7THv5LxOGtx/d5FQ"
    "kx3Pj4SIZvaXCUkupnUzuCz7AcACBM6Gl8878y+4KOQThKvIAAMi0YIhwaTOY7OaBwH3CH6g==";
constexpr const char* policy_key =
    "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUlJQklqQU5CZ2txaGtpRzl3MEJBUUVGQUFPQ0FROEFNSUlCQ2dLQ0FRRUEzUjlZTGJpWEZyWH"
    "FVbkM4dWdhbgpPUHJIQUgwMFBUdTkwMEZMSzNyTU83SDBuWTRwY2VqbDRSeFgrSUxHaDJUZ3JPMVhXTWorMG4xbjRrNUdLaFdaCks2SmlFMXg4"
    "WUw2RHN4WEZjbHplTXJyZGh1VHZMVm5PMnZKeGN0QVRnM1RXK20zaHZNQkFDRmdmTDFtMWJIN0cKeDAyMVRqMWR4WHh1WE45ZEN3M2dzaVRpMU"
    "pkNnFRa1hURGhNeVZTem4vd1lyQU9VUGVlSk0zRnVpdGpzdnNZeApQcHhrczd5OWVxTmh0aU5zVnlkSTc5cGpNSW1ySFRsRmIwSE1ybCs5MWVW"
    "UkU5RGc1cW9icXRSaGdWemdRallhClV2TTdwRHZlUTA2SGJERjRwSU10WTRzMUdKTmlZcTNmRjlNZUlBZWoyMTRsSlFFc2hsT3FoVEdza2hWTz"
    "VRMG8Kd1FJREFRQUIKLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg==";
constexpr const char* policy = "d05a428555fadbf2ccfb55d1d9622ae1eca3dc7e39c61f3238d0b5bf5f1fb65c";

Buffer base64(const char* text) { return parse_base64(text).value(); }

/// Private, public and seed, one behind the other.
SealedPart part() {
  const auto bytes = base64(blob);
  Reader in{bytes};
  SealedPart out;
  for (auto* field : {&out.object_private, &out.object_public, &out.encrypted_seed})
    *field = encode_tpm2b(in.bytes(in.u16be()));
  REQUIRE((in.ok() && in.left() == 0));
  out.policy = parse_hex(policy).value();
  return out;
}

LuksToken token() {
  LuksToken out;
  out.key_slot = 1;
  out.parts = {part()};
  out.pcrs = {7, 15};
  out.signed_pcrs = {11};
  out.policy_key_pem = std::string(as_text(base64(policy_key)));
  out.storage_key = base64(srk);
  return out;
}

}  // namespace

TEST_CASE("luks token: member by member what systemd-cryptenroll writes") {
  const nlohmann::json systemd = {{"type", "systemd-tpm2"},     {"keyslots", {"1"}},
                                  {"tpm2-blob", blob},          {"tpm2-pcrs", {7, 15}},
                                  {"tpm2-pcr-bank", "sha256"},  {"tpm2-primary-alg", "ecc"},
                                  {"tpm2-policy-hash", policy}, {"tpm2_pubkey_pcrs", {11}},
                                  {"tpm2_pubkey", policy_key},  {"tpm2_srk", srk}};
  CHECK(nlohmann::json::parse(encode_luks_token(token())) == systemd);
  auto by_value = token();
  by_value.signed_pcrs.clear();
  by_value.storage_key_alg = TpmAlg::rsa;
  auto without_key = systemd;
  without_key.erase("tpm2_pubkey");
  without_key.erase("tpm2_pubkey_pcrs");
  without_key["tpm2-primary-alg"] = "rsa";
  CHECK(nlohmann::json::parse(encode_luks_token(by_value)) == without_key);
}

TEST_CASE("luks token: two parts are lists, and the index is named") {
  auto both = token();
  both.parts.push_back(part());
  both.policy_index = saved_handle(TpmNvPublic{0x01C20102, HashAlg::sha256, 0x20060006, {}, 34});
  const auto json = nlohmann::json::parse(encode_luks_token(both));
  CHECK(json["tpm2-blob"] == nlohmann::json{blob, blob});
  CHECK(json["tpm2-policy-hash"] == nlohmann::json{policy, policy});
  CHECK(json["tpm2_pcrlock"] == true);
  // Name and attributes as tpm2_nvreadpublic told them of the index in that TPM.
  CHECK(json["tpm2_pcrlock_nv"] == "AcIBAgAiAAvbU3B1jHSJBsnobHgLU9RWbx41eIhmXLcVgMO9eXW9UwAAAAIADgHCAQIACyAGAAYAAAAi");
}

TEST_CASE("luks token: a storage key's handle, as ESYS saves it") {
  const auto saved = base64(srk);
  // Handle, Name, kind; then the public area with its size.
  const auto key = fleet::decode_public_file(Bytes(saved).subspan(4 + 2 + 34 + 4)).value();
  CHECK(fleet::check_storage_key(key));
  CHECK(saved_handle(0x81000001, key).value() == saved);
}

TEST_CASE("luks token: the policy that systemd computes for a key and PCRs by value") {
  const auto key = crypto::PublicKey::from_pem(as_text(base64(policy_key))).value();
  const auto name = object_name(encode_tpm_public(measure::policy_key_public(key).value())).value();
  const PcrValues zeroes = {{HashAlg::sha256, {{7, Buffer(32)}, {15, Buffer(32)}}}};
  CHECK(to_hex(measure::policy_pcr(HashAlg::sha256, measure::policy_authorize(HashAlg::sha256, name),
                                   {{HashAlg::sha256, {7, 15}}}, zeroes)
                   .value()) == policy);
  // systemd's own sealed object has it, too.
  const auto object = part().object_public;
  CHECK(to_hex(decode_tpm_sealed_public(Bytes(object).subspan(2)).value().auth_policy) == policy);
}
