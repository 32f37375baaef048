#include "documents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/release.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/codec/enrolment.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/codec/state.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/boot_chain.hpp"
#include "ingot/signer/sign.hpp"

namespace ingot::cli {
namespace {

constexpr std::uint64_t document_cap_bytes = 64u << 20;

Result<Buffer> open_signed(const std::string& path, const crypto::PublicKey& key) {
  const auto envelope = TRY_IN(path, codec::decode_dsse(TRY(read_file(path, document_cap_bytes))));
  return TRY_IN(path, codec::open_dsse(envelope, codec::in_toto_payload_type, key));
}

/// A statement in an envelope, signed by the key that signs baselines.
Result<void> save_signed(const std::string& statement, std::string_view what, const std::string& keys_folder,
                         const std::string& out_path) {
  const auto keys = TRY(signer::open_keys(keys_folder));
  const auto key = TRY(signer::SigningKey::load(keys.key("baseline")));
  const auto envelope = TRY(signer::sign_dsse(codec::in_toto_payload_type, as_bytes(statement), key, what));
  return deliver(out_path, codec::encode_dsse(envelope));
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

Result<Enrolment> load_enrolment(const std::string& path, const crypto::PublicKey& key) {
  return TRY_IN(path, codec::decode_enrolment_statement(TRY(open_signed(path, key))));
}

Result<std::vector<FileDigest>> load_manifest(const std::string& path, const Baseline& baseline) {
  const auto text = TRY(read_file(path, document_cap_bytes));
  if (crypto::sha256_hex(text) != baseline.manifest_sha256)
    return fail(ErrorCode::crypto, fmt::format("{} is not the manifest that the baseline names", path),
                "give the manifest.json of the same build");
  return TRY_IN(path, builder::parse_manifest(text));
}

Result<StartKeys> load_start_keys(const std::string& vars_path) {
  StartKeys keys;
  const auto flash = TRY(read_file(vars_path, codec::variable_store_size_cap_bytes));
  for (auto& variable : TRY_IN(vars_path, codec::decode_variable_store(flash))) {
    if (variable.name == "db" && variable.guid == codec::efi_image_security_database_guid)
      keys.db = std::move(variable.data);
    else if (variable.name == "MokList" && variable.guid == measure::shim_lock_guid)
      keys.mok_list = std::move(variable.data);
  }
  return keys;
}

Result<void> save_platform(const Platform& platform, const std::string& keys_folder, const std::string& out_path) {
  return save_signed(codec::encode_platform_statement(platform), "platform " + platform.name, keys_folder, out_path);
}

Result<void> save_revocations(const std::vector<Revocation>& revoked, const std::string& keys_folder,
                              const std::string& out_path) {
  return save_signed(codec::encode_revocations_statement(revoked), fmt::format("{} revoked releases", revoked.size()),
                     keys_folder, out_path);
}

Result<ReleaseFolder> load_releases(const std::string& folder, const crypto::PublicKey& key) {
  namespace fs = std::filesystem;
  ReleaseFolder releases;
  std::error_code ec;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder, ec)) names.push_back(entry.path().filename().string());
  if (ec) return fail(io_error(fmt::format("reading {}", folder), ec.value()));
  std::sort(names.begin(), names.end());
  for (const auto& name : names) {
    const auto path = folder + "/" + name;
    if ("/" + name == revoked_file)
      releases.revoked = TRY_IN(path, codec::decode_revocations_statement(TRY(open_signed(path, key))));
    else if ("/" + name == accepted_file)
      releases.accepted = TRY_IN(path, codec::decode_accepted(TRY(read_file(path, codec::state_cap_bytes))));
    else if (name.ends_with(".json"))
      releases.baselines.push_back(TRY(load_baseline(path, key)));
  }
  return releases;
}

Result<void> save_enrolment(const Enrolment& enrolment, const std::string& keys_folder, const std::string& out_path) {
  return save_signed(codec::encode_enrolment_statement(enrolment), "enrolment of " + enrolment.node, keys_folder,
                     out_path);
}

Result<void> deliver(const std::string& path, std::string_view text) {
  if (!path.empty() && path != "-") return write_file(path, as_bytes(text));
  print(text);
  return {};
}

}  // namespace ingot::cli
