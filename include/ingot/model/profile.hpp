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
#include "ingot/base/result.hpp"

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
  /// [shipping]: how records leave the node. Meaning of each key: builder/config/shipping.md.
  struct Shipping {
    bool enabled = false;   ///< there is a [shipping] table that does not say `enabled = false`
    std::string collector;  ///< host name or address, as its certificate names it; empty: the site's collector
    std::uint16_t port = 19532;
    std::uint16_t sudo_port = 30344;
    std::string ca;                           ///< PEM of the site's TLS authority; empty: tls-ca of the key folder
    std::uint64_t queue_bytes = 512u << 20;   ///< of journal kept on the node: what it may owe the collector
    std::uint64_t runtime_bytes = 64u << 20;  ///< of journal in memory, until the data partition is mounted
    int notice_percent = 75;                  ///< of the queue, not delivered: from there on the node raises its voice
    TextLocation at;                          ///< of the table, for what only shows later
  } shipping;
  /// [collector]: this role receives what the others ship.
  struct Collector {
    bool enabled = false;
    std::uint64_t node_bytes = std::uint64_t{4} << 30;  ///< of journal kept for each node
    int keep_days = 90;                                 ///< sessions of sudo older than that are removed
  } collector;
  std::vector<ExtraFile> files;

  /// The site's word on this profile's role; null without a site.
  [[nodiscard]] const SiteRole* site_role() const { return site ? site->role(role) : nullptr; }
};

}  // namespace ingot
