// What the user writes, parsed once into a valid value and never parsed again downstream.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/guid.hpp"
#include "ingot/model/network.hpp"
#include "ingot/model/site.hpp"

namespace ingot {

/// [base] from packages of a Debian suite.
struct PackageBase {
  std::string suite = "trixie";
  std::vector<std::string> packages;
  std::vector<std::string> components = {"main"};
  std::string mirror;  ///< empty: what apt on the build machine uses
};
/// [base] from something that exists.
enum class ImportKind { disk, tar, oci };
struct ImportedBase {
  ImportKind kind = ImportKind::tar;
  std::string path;    ///< absolute
  std::string sha256;  ///< expected digest of the file, hexadecimal; empty: not pinned (OCI: manifest digest)
};
using Base = std::variant<PackageBase, ImportedBase>;

enum class RootFilesystem { squashfs, erofs };
enum class Compression { zstd, lz4, lz4hc, xz, gzip };

/// One file that the profile adds to the tree. Content is already read: later steps need no file system.
struct ExtraFile {
  std::string path;  ///< absolute in the image
  Buffer content;
  unsigned mode = 0644;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

struct Profile {
  std::string name;            ///< [a-z0-9][a-z0-9-]{0,62}
  std::uint64_t version = 1;   ///< monotonic, >= 1
  std::int64_t not_after = 0;  ///< seconds since 1970 after which the release may not run any more; 0: no end
  std::string role;
  std::string path;                  ///< the file it came from
  std::vector<std::string> sources;  ///< all files read, base first
  Base base;
  struct Kernel {
    std::string package = "linux-image-cloud-amd64";  ///< ignored for imported bases
    std::vector<std::string> command_line;            ///< in order, one parameter each, printable ASCII, validated
    std::vector<std::string> modules;                 ///< extra modules for the initrd, names without .ko
  } kernel;
  struct Root {
    RootFilesystem filesystem = RootFilesystem::squashfs;
    Compression compression = Compression::zstd;
    int compression_level = 3;
  } root;
  struct Disk {
    std::uint64_t esp_size_bytes = 0;      ///< multiple of 1 MiB, >= 260 MiB so that FAT32 is FAT32
    std::uint64_t root_size_bytes = 0;     ///< 0: as large as the root image needs
    std::vector<Guid> allowed_partitions;  ///< types of partitions that the node may add to its disk
    std::uint64_t data_size_bytes = 0;     ///< 0: no data partition; else an empty /var partition in the GPT
  } disk;
  struct Boot {
    std::string stub;                 ///< path in the tree of systemd's stub; empty: the standard place
    std::vector<std::string> phases;  ///< boot phases after which the agent reports, in order
    bool secure_boot = true;
  } boot;
  /// Integrity Policy Enforcement: nothing executes that does not come from the verity root.
  enum class Execution {
    enforced,    ///< the kernel refuses it
    permissive,  ///< the kernel only logs what it would refuse
    open,        ///< no policy is loaded
  };
  Execution execution = Execution::enforced;
  std::optional<Site> site;        ///< with it, `role` is one of its roles
  std::vector<NetworkLink> links;  ///< by name; every link of the role's planes is among them
  std::optional<Proxy> proxy;      ///< only with a site
  std::vector<ExtraFile> files;

  /// The site's word on this profile's role; null without a site.
  [[nodiscard]] const SiteRole* site_role() const { return site ? site->role(role) : nullptr; }
};

}  // namespace ingot
