// Keys whose private halves are on another machine: what they sign was signed there.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/crypto/hash.hpp"
#include "key_state.hpp"

namespace ingot::signer {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t public_cap_bytes = 64u << 10;
constexpr const char* provenance = "provenance";

bool has_file(const std::string& path) {
  std::error_code ec;
  return fs::exists(path, ec);
}

}  // namespace

Result<crypto::Certificate> KeyFolder::certificate_of(std::string_view name) const {
  const auto file = certificate(name);
  const auto pem = TRY(read_file(file, public_cap_bytes));
  return TRY_IN(file, crypto::Certificate::from_pem(as_text(pem)));
}

Result<crypto::PublicKey> KeyFolder::public_half(std::string_view name) const {
  if (has_file(certificate(name))) return TRY(certificate_of(name)).public_key();
  const auto file = public_key(name);
  const auto pem = TRY(read_file(file, public_cap_bytes));
  return TRY_IN(file, crypto::PublicKey::from_pem(as_text(pem)));
}

Result<SigningKey> KeyFolder::load(std::string_view name) const {
  if (!answer) {
    const auto loaded =
        TRY(SigningKey::load(key(name), has_file(certificate(name)) ? certificate(name) : std::string()));
    if (!made) return loaded;
    auto state = std::make_shared<SigningKey::State>(loaded.state());
    state->made = made;
    return SigningKey(std::move(state));
  }
  auto state = std::make_shared<SigningKey::State>(nullptr);
  state->place = fmt::format("the key {} on another machine", name);
  state->public_key = TRY(public_half(name));
  state->kind = state->public_key->rsa_public_key_der() ? KeyKind::rsa : KeyKind::ed25519;
  if (has_file(certificate(name))) {
    state->certificate = TRY(certificate_of(name));
    TRY(check_certificate(*state->certificate, *state->public_key, certificate(name), state->place));
  }
  state->answer = answer;
  return SigningKey(std::move(state));
}

Result<SigningKey> KeyFolder::provenance_key() const {
  if (has_file(key(provenance))) return SigningKey::load(key(provenance));
  if (!answer) return SigningKey::load(key("baseline"));  // a folder from before there was one
  return fail(ErrorCode::missing, fmt::format("no {}", key(provenance)),
              "the builder signs what it built: give it that key of the key folder, which stays on this machine");
}

Result<KeyFolder> open_public_keys(const std::string& folder) {
  KeyFolder keys{folder};
  if (!has_file(folder))
    return fail(ErrorCode::missing, fmt::format("no key folder {}", folder),
                "give a folder with the .crt and .pub files of the keys, owner.guid and provenance.key");
  for (const auto* name : {"PK", "KEK", "db"}) TRY(keys.certificate_of(name));
  for (const auto* name : {"pcr", "baseline"}) TRY(keys.public_half(name));
  if (!has_file(keys.key(provenance)))
    return fail(ErrorCode::missing, fmt::format("no {}", keys.key(provenance)),
                "the builder signs what it built: give it that key of the key folder, which stays on this machine");
  TRY(SigningKey::load(keys.key(provenance)));
  TRY(owner_guid(keys));
  return keys;
}

/// What the answer has for this message, checked as anybody would check it.
Result<Buffer> SigningKey::State::answered(const SigningPurpose& purpose, HashAlg alg, Bytes message) const {
  const auto digest = crypto::sha256_hex(message);
  const auto id = public_key->key_id();
  const auto found =
      std::find_if(answer->signatures.begin(), answer->signatures.end(),
                   [&](const codec::AnsweredSignature& one) { return one.key_id == id && one.message == digest; });
  if (found == answer->signatures.end() && answer->request.empty())
    return fail(
        ErrorCode::missing, fmt::format("{} signs: {}", place, purpose.what),
        "a request cannot ask for what the root file system contains: sign it there first (`ingot sign module`)");
  if (found == answer->signatures.end())
    return fail(ErrorCode::crypto, fmt::format("the answer has no signature for: {}", purpose.what),
                "is it the answer to this build's request, made by the same release of ingot?");
  TRY_IN(fmt::format("the answer's signature for: {}", purpose.what),
         public_key->verify(alg, message, found->signature));
  return found->signature;
}

}  // namespace ingot::signer
