// What the user writes, parsed once into a valid value and never parsed again downstream.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"
#include "ingot/base/source.hpp"
#include "ingot/model/boot_chain.hpp"
#include "ingot/model/digest.hpp"
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

/// A row of the settings table that a profile changes or drops, [hardening.relax].
struct Relaxation {
  std::optional<std::string> value;  ///< in the form in which the node reports it; nothing: the row is dropped
  std::string why;                   ///< never empty; ends up in the baseline
};

/// [hardening]: how the settings table (include/ingot/builder/settings.hpp) applies to this profile.
struct Hardening {
  bool gpu = false;                           ///< the variant without what GPU, RDMA and container work cannot bear
  std::map<std::string, Relaxation> relaxed;  ///< by row: "sysctl.kernel.yama.ptrace_scope"
};

/// [ssh]: who may log in, and how they prove who they are. Disabled, the daemon is not in the image.
struct Ssh {
  bool enabled = false;
  std::vector<std::string> ca;    ///< public keys of the CAs that sign users' certificates, one line each
  std::vector<std::string> from;  ///< CIDR prefixes that connections may come from; a node's: the bastion's
  Buffer revoked;                 ///< KRL or list of public keys (ssh-keygen(1), "KEY REVOCATION LISTS"); may be empty
  std::string onward_principal;   ///< a node's: bastions' certificates with it log in as any user; empty: none
  bool host_certificate = false;  ///< the node presents a certificate for its host key, put beside it by enrolment
};

/// [time]: whom the node asks, and who may ask it.
struct TimeSources {
  std::vector<std::string> servers;  ///< addresses or names
  std::vector<std::string> serves;   ///< CIDR prefixes; only with chrony
};

/// [users.NAME]: a person or a job that may log in. No account has a password.
struct User {
  std::string name;
  std::uint32_t uid = 0;            ///< >= 1000, unique; the group of the same name has the same number
  std::vector<std::string> groups;  ///< further ones, of the base tree
  std::string shell = "/bin/bash";
  std::vector<std::string> principals;       ///< certificates with one of these log in as this user
  std::vector<std::string> authorized_keys;  ///< plain public keys, one line each
  std::vector<std::string> sudo;             ///< commands as root, in sudoers' form: "/usr/bin/systemctl restart nginx"
};

/// Where the node keeps what must outlive a boot (builder/config/storage.cpp).
inline constexpr const char* state_mount = "/var/lib/ingot";

/// Who holds a share of a volume's key. With more than one, each share is useless without the others.
enum class KeyProvider {
  tpm,   ///< the node's TPM, under the policy of measure::volume_policy()
  tang,  ///< the key server of [keyserver]
  file,  ///< a file on a medium that somebody puts into the node
};

/// What a volume is formatted with.
enum class VolumeFilesystem { ext4, xfs };

/// [[volume]]: an encrypted file system on the boot disk, which the node makes on its first boot and its key's
/// providers open from then on (builder/config/volumes.md).
struct Volume {
  std::string name;              ///< [a-z][a-z0-9]{0,30}: partition label, and name below /dev/mapper
  std::string mount;             ///< absolute, below one of a few folders that hold data
  std::uint64_t size_bytes = 0;  ///< multiple of 1 MiB
  bool grow = false;             ///< takes what a larger disk has left
  bool recovery = true;          ///< has a second key, encrypted to the operator's certificate
  VolumeFilesystem filesystem = VolumeFilesystem::ext4;
  bool integrity = false;          ///< dm-integrity: what was changed behind the node's back is an error, not data
  bool erase_on_redeploy = false;  ///< made anew, with a new key, on the first boot of another image
  TextLocation at;
  std::vector<KeyProvider> key = {KeyProvider::tpm};  ///< never empty, each at most once; all of them are needed

  /// Whether a share of its key, or all of it, is the provider's.
  [[nodiscard]] bool is_held_by(KeyProvider provider) const {
    for (const auto one : key)
      if (one == provider) return true;
    return false;
  }
};

/// [keyserver]: a tang server, asked from the initrd.
struct KeyServer {
  std::string url;         ///< "http://ADDRESS" or "http://ADDRESS:PORT": the initrd knows no names
  std::string thumbprint;  ///< of its signing key (RFC 7638, SHA-256, base64url): no other server is trusted, ever
  std::string plane;       ///< of the site: the one over which this role reaches it
  TextLocation at;
};

/// A kernel module that is not of the kernel's package, as GPU drivers are.
struct ModuleFile {
  std::string name;      ///< as /proc/modules has it, with "_"
  std::string path;      ///< as the profile gives it; says how it is compressed
  SharedSource content;  ///< already read
  TextLocation at;
};

struct Profile {
  std::string name;              ///< [a-z0-9][a-z0-9-]{0,62}
  std::uint64_t version = 1;     ///< monotonic, >= 1
  std::int64_t not_after = 0;    ///< seconds since 1970 after which the release may not run any more; 0: no end
  std::uint32_t generation = 1;  ///< revokes all lower ones: on nodes that have booted it they open no volume
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
    std::uint64_t swap_size_bytes = 0;     ///< 0: no swap; else a partition under a key that each boot draws anew
  } disk;
  struct Boot {
    std::string stub;                 ///< path in the tree of systemd's stub; empty: the standard place
    std::vector<std::string> phases;  ///< boot phases after which the agent reports, in order
    bool secure_boot = true;
    bool system_policy = false;  ///< policies for the phases of the running system, too, by a key of their own
    BootChain chain = BootChain::uki;
    std::vector<Digest> next_pcr_7;  ///< SHA-256; values of a rotation under way, for which volumes are to open
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
  /// [bastion]: this role opens and records everybody's sessions on the others.
  struct Bastion {
    bool enabled = false;
    std::vector<std::string> host_ca;   ///< "TYPE BASE64" of who may vouch for nodes' host keys
    std::vector<std::string> admins;    ///< users who may give it certificates and names of nodes
    std::vector<std::string> auditors;  ///< users who may replay sessions, where the bastion is the collector
    TextLocation at;                    ///< of the table, for what only shows later
  } bastion;
  std::vector<Volume> volumes;          ///< in the order of their partitions
  std::optional<KeyServer> key_server;  ///< there where a volume's key needs it
  /// PEM, whom recovery keys of volumes are encrypted to; complete_recovery() takes it from the key folder.
  std::string recovery_certificate;
  std::vector<ExtraFile> files;
  /// [modules]: signed while the image is built (builder/image/modules.md).
  struct Modules {
    std::vector<ModuleFile> files;  ///< by name, each once
    std::vector<std::string> load;  ///< names of these, with "_": loaded at boot, in this order
  } modules;
  Hardening hardening;
  Ssh ssh;
  TimeSources time;
  std::map<std::string, User> users;  ///< by name

  /// The site's word on this profile's role; null without a site.
  [[nodiscard]] const SiteRole* site_role() const { return site ? site->role(role) : nullptr; }
  /// The volume for /var/lib/ingot, where the node keeps its state encrypted; null without one.
  [[nodiscard]] const Volume* state_volume() const {
    for (const auto& volume : volumes)
      if (volume.mount == state_mount) return &volume;
    return nullptr;
  }
  /// The TPM holds the key of a volume, or a share of it.
  [[nodiscard]] bool asks_tpm() const {
    for (const auto& volume : volumes)
      if (volume.is_held_by(KeyProvider::tpm)) return true;
    return false;
  }
  [[nodiscard]] bool has_recovery() const {
    for (const auto& volume : volumes)
      if (volume.recovery) return true;
    return false;
  }
  /// At least as many bytes are there for the node's state; 0: nothing of it outlives a boot.
  [[nodiscard]] std::uint64_t state_bytes() const {
    return state_volume() != nullptr ? state_volume()->size_bytes : disk.data_size_bytes;
  }
};

}  // namespace ingot
