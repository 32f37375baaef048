// Signed documents as the commands read and write them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/codec/provenance.hpp"
#include "ingot/crypto/certificate.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/model/enrolment.hpp"
#include "ingot/model/evidence.hpp"
#include "ingot/model/release.hpp"

namespace ingot::cli {

/// The public key that baselines and platforms must be signed with: `key_path`, or, when that is empty, baseline.pub
/// beside the baseline, with a line on standard error that says so.
Result<crypto::PublicKey> baseline_key(const std::string& key_path, const std::string& baseline_path);

Result<Baseline> load_baseline(const std::string& path, const crypto::PublicKey& key);
Result<std::vector<codec::BuildArtifact>> load_provenance(const std::string& path, const crypto::PublicKey& key);
Result<Platform> load_platform(const std::string& path, const crypto::PublicKey& key);
Result<Evidence> load_evidence(const std::string& path);
Result<Enrolment> load_enrolment(const std::string& path, const crypto::PublicKey& key);
/// The regular files of an image's manifest.json, which must be the one that the baseline names.
Result<std::vector<FileDigest>> load_manifest(const std::string& path, const Baseline& baseline);

/// What a machine's variable store says of what may start on it; empty: the variable is not there.
struct StartKeys {
  Buffer db;
  Buffer mok_list;  ///< MokList, shim's own
};
Result<StartKeys> load_start_keys(const std::string& vars_path);

/// Signs a platform with the baseline key of `keys_folder` and writes it to `out_path`.
Result<void> save_platform(const Platform& platform, const std::string& keys_folder, const std::string& out_path);

/// The same for an enrolment.
Result<void> save_revocations(const std::vector<Revocation>& revoked, const std::string& keys_folder,
                              const std::string& out_path);
/// A folder of releases: signed baselines NAME-VERSION.json, revoked.json (signed), accepted.json (the verifier's own).
struct ReleaseFolder {
  std::vector<Baseline> baselines;
  std::vector<Revocation> revoked;
  AcceptedVersions accepted;
};
Result<ReleaseFolder> load_releases(const std::string& folder, const crypto::PublicKey& key);
inline constexpr const char* revoked_file = "/revoked.json";
inline constexpr const char* accepted_file = "/accepted.json";

Result<void> save_enrolment(const Enrolment& enrolment, const std::string& keys_folder, const std::string& out_path);

/// Standard output for "-" or an empty path, else a file that appears whole.
Result<void> deliver(const std::string& path, std::string_view text);

}  // namespace ingot::cli
