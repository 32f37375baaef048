// From a profile to a finished output folder.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/builder/config.hpp"
#include "ingot/builder/progress.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/model/profile.hpp"

namespace ingot::builder {

/// Names inside an output folder.
namespace output {
inline constexpr const char* disk = "disk.raw";
inline constexpr const char* uki = "uki.efi";
inline constexpr const char* probe = "probe.efi";  ///< signed UKI that reports the platform and powers off
inline constexpr const char* first_stage =
    "first-stage.efi";                                     ///< systemd-boot or shim; none when firmware starts the UKI
inline constexpr const char* loader_conf = "loader.conf";  ///< of systemd-boot; none otherwise
inline constexpr const char* root = "root.img";
inline constexpr const char* verity = "root.verity";
inline constexpr const char* root_hash = "root.hash";
inline constexpr const char* root_hash_signature = "root.hash.p7s";  ///< of root.hash without its line feed, by db
inline constexpr const char* esp = "esp.img";
inline constexpr const char* execution_policy = "execution.cpio.zst";  ///< appended to the initrd; none when it is open
inline constexpr const char* volumes = "volumes.cpio.zst";             ///< likewise; none without volumes
inline constexpr const char* vars = "VARS.fd";
inline constexpr const char* baseline = "baseline.json";
inline constexpr const char* baseline_key = "baseline.pub";
inline constexpr const char* manifest = "manifest.json";
inline constexpr const char* sbom_cyclonedx = "sbom.cdx.json";
inline constexpr const char* sbom_spdx = "sbom.spdx.json";
inline constexpr const char* provenance = "provenance.json";
inline constexpr const char* provenance_key = "provenance.pub";  ///< none where the baseline's key signs it
}  // namespace output

struct BuildOptions {
  std::string keys;  ///< folder made by `ingot keys init`
  std::string out;   ///< output folder; replaced as a whole
  std::string cache;
  std::string mirror;
  std::string lock;           ///< lock file; empty: beside the profile
  std::string vars_template;  ///< empty variable store of the firmware
  std::string vendor_vars;    ///< variable store whose db has the certificate that shim is signed under
  /// Private keys are elsewhere: the file to write the signing request to, nothing is built but what it takes; and
  /// the answer to such a request, which finishes the build. At most one of them; empty: private keys are in `keys`.
  std::string request, answer;
  bool offline = false;
  bool update_lock = false;
  bool compress = false;  ///< disk.raw.zst as well
  AgentFiles agent;
};

struct BuildSummary {
  Baseline baseline;
  std::string out;         ///< empty for a request
  std::string request_id;  ///< of a request: SHA-256 of its file
};

/// Errors leave what was in `out` as it was. `busy` when another build works on the same folder.
Result<BuildSummary> build(const Profile& profile, const BuildOptions& options, Progress& progress);

/// One step of a plan: what it makes and of what.
struct PlanStep {
  std::string name;
  std::vector<std::pair<std::string, std::string>> inputs;
  std::string output;
};
/// What build() would do, without running anything.
std::vector<PlanStep> plan(const Profile& profile, const BuildOptions& options);

/// The lock file that belongs to a profile: beside it, named after it.
std::string lock_path(const Profile& profile, const BuildOptions& options);

}  // namespace ingot::builder
