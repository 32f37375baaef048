// What accompanies an image: manifest, SBOMs, provenance. Pure functions of the tree and the build's inputs: the same
// build gives the same bytes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/builder/base_tree.hpp"
#include "ingot/builder/tree.hpp"
#include "ingot/codec/provenance.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/model/profile.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::builder {

/// "ingot-manifest/1": every entry of the tree with type, mode, owner, size, digest, link target and xattrs, one JSON
/// object a line inside one array, sorted by path.
std::string render_manifest(const Tree& tree);
/// The regular files of a manifest. Error (malformed) for anything that render_manifest() did not write.
Result<std::vector<FileDigest>> parse_manifest(Bytes json);

/// One package of a tree's own database.
struct InstalledPackage {
  std::string name;
  std::string version;
  std::string architecture;
  std::string source;  ///< source package; the name where the database gives none
  std::string maintainer;
  std::string sha256;  ///< of the .deb; empty when no lock tells
  std::vector<std::string>
      licenses;  ///< short names of its machine-readable copyright file, sorted; empty when it has none
};
/// Installed packages of /var/lib/dpkg/status, sorted by name; none when the tree has no such database.
Result<std::vector<InstalledPackage>> read_packages(const Tree& tree, const std::vector<LockedPackage>& locked);

struct SbomSubject {
  std::string name;
  std::uint64_t version = 0;
  std::string distribution;     ///< purl qualifier: "debian-13"
  std::string manifest_sha256;  ///< what the document's own identifiers derive from
};
/// CycloneDX 1.5 JSON.
std::string render_cyclonedx(const SbomSubject& subject, const std::vector<InstalledPackage>& packages);
/// SPDX 2.3 JSON.
std::string render_spdx(const SbomSubject& subject, const std::vector<InstalledPackage>& packages);

/// in-toto statement with the SLSA provenance v1 predicate.
std::string render_provenance(const Profile& profile, const std::vector<codec::BuildArtifact>& subjects,
                              const std::vector<LockedPackage>& packages,
                              const std::map<std::string, std::string>& tool_versions);

/// The first difference of one structure in two builds.
struct Difference {
  std::string structure;  ///< "uki.efi, section .cmdline", "disk.raw, GPT partition root", "manifest.json, /etc/motd"
  std::string left;
  std::string right;
};
/// Compares two output folders structure by structure, in the order in which one follows from the other; empty when all
/// files are the same to the byte. Errors: a folder that no build made.
Result<std::vector<Difference>> compare_builds(const std::string& left, const std::string& right);

}  // namespace ingot::builder
