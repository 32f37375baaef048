#include "documents.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "cli.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/signer/sign.hpp"

namespace ingot::cli {
namespace {

constexpr std::uint64_t document_cap_bytes = 64u << 20;

Result<Buffer> open_signed(const std::string& path, const crypto::PublicKey& key) {
  const auto envelope = TRY_IN(path, codec::decode_dsse(TRY(read_file(path, document_cap_bytes))));
  return TRY_IN(path, codec::open_dsse(envelope, codec::in_toto_payload_type, key));
}

}  // namespace

Result<crypto::PublicKey> baseline_key(const std::string& key_path, const std::string& baseline_path) {
  std::string path = key_path;
  if (path.empty()) {
    path = (std::filesystem::path(baseline_path).parent_path() / "baseline.pub").string();
    say(fmt::format("note: trusting {} because it lies beside the baseline; give --key to pin the key you trust",
                    path));
  }
  const auto pem = TRY_IN("the key that signs baselines", read_file(path, 1u << 20));
  return TRY_IN(path, crypto::PublicKey::from_pem(as_text(pem)));
}

Result<Baseline> load_baseline(const std::string& path, const crypto::PublicKey& key) {
  return TRY_IN(path, codec::decode_baseline_statement(TRY(open_signed(path, key))));
}

Result<std::vector<codec::BuildArtifact>> load_provenance(const std::string& path, const crypto::PublicKey& key) {
  return TRY_IN(path, codec::decode_provenance_subjects(TRY(open_signed(path, key))));
}

Result<Platform> load_platform(const std::string& path, const crypto::PublicKey& key) {
  return TRY_IN(path, codec::decode_platform_statement(TRY(open_signed(path, key))));
}

Result<Evidence> load_evidence(const std::string& path) {
  return TRY_IN(path, codec::decode_evidence(TRY(read_file(path, codec::evidence_size_cap_bytes))));
}

Result<void> save_platform(const Platform& platform, const std::string& keys_folder, const std::string& out_path) {
  const auto keys = TRY(signer::open_keys(keys_folder));
  const auto key = TRY(signer::SigningKey::load(keys.key("baseline")));
  const auto statement = codec::encode_platform_statement(platform);
  const auto envelope = TRY(signer::sign_dsse(codec::in_toto_payload_type, as_bytes(statement), key));
  return deliver(out_path, codec::encode_dsse(envelope));
}

Result<void> deliver(const std::string& path, std::string_view text) {
  if (!path.empty() && path != "-") return write_file(path, as_bytes(text));
  print(text);
  return {};
}

}  // namespace ingot::cli
