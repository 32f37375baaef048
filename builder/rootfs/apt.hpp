// apt with a configuration of its own: it finds versions and fetches files, and never touches the build machine's
// state.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ingot/builder/base_tree.hpp"

namespace ingot::builder::detail {

/// Where packages come from: one line per "deb" of a sources.list, without its options.
struct AptSource {
  std::string uri;
  std::string suite;
  bool operator==(const AptSource&) const = default;
};

/// The Debian archive that apt on this machine uses, asked for `suite`, and its security updates when it uses some.
/// `printed` is the output of `apt-get update --print-uris`; `codename` the machine's own suite.
Result<std::vector<AptSource>> debian_sources(std::string_view printed, std::string_view codename,
                                              const std::string& suite);

/// `mirror`, or what debian_sources() says of this machine.
Result<std::vector<AptSource>> find_sources(const PackageBase& base, const std::string& mirror);

struct PackageFile {
  LockedPackage package;
  std::string uri;
};

class Apt {
 public:
  /// `folder` keeps the package lists from build to build; one folder per set of sources.
  static Result<Apt> create(const std::string& folder, const std::vector<AptSource>& sources,
                            const std::vector<std::string>& components);

  /// Fetches the package lists.
  Result<void> update() const;
  [[nodiscard]] bool has_lists() const;
  /// The essential packages, `names` and everything they need, sorted by name.
  [[nodiscard]] Result<std::vector<PackageFile>> resolve(const std::vector<std::string>& names) const;
  /// Where the mirror has the file of each of these packages; one that it does not have is left out.
  [[nodiscard]] Result<std::map<std::string, std::string>> uris_by_sha256(
      const std::vector<LockedPackage>& packages) const;
  /// Downloads to `folder`/<SHA-256>.deb; digests are checked by apt.
  [[nodiscard]] Result<void> fetch(const std::vector<PackageFile>& files, const std::string& folder,
                                   Progress& progress) const;

 private:
  explicit Apt(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

/// One line of `apt-get --print-uris install`: 'URI' name_version_architecture.deb SIZE SHA256:...; nothing for other
/// lines.
std::optional<PackageFile> parse_uri_line(std::string_view line);

}  // namespace ingot::builder::detail
