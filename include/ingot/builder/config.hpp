// Pure functions from a profile to the files and edits that make a base tree into a node.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/builder/tree.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/model/profile.hpp"
#include "ingot/model/setting.hpp"

namespace ingot::builder {

/// What the overlay adds besides the profile's own [files].
struct AgentFiles {
  SharedSource binary;  ///< ingot-agent, statically linked
  std::string unit;     ///< text of ingot-agent.service
};

/// What one subject (SSH, networks, audit, ...) adds to a node: made by pure functions of the profile, the site and
/// facts of the base tree, applied by apply_profile().
struct ConfigPart {
  struct Link {
    std::string path;    ///< absolute in the image
    std::string target;  ///< "/dev/null" masks a unit
  };
  std::vector<ExtraFile> files;
  std::vector<Link> links;
  std::vector<std::string> folders;  ///< absolute in the image: mount points
  std::vector<std::string> removed;  ///< paths that the base may have and the node must not
  struct Mode {
    std::string path;
    unsigned mode = 0;  ///< permission bits with set-id and sticky: 07777
  };
  std::vector<Mode> modes;         ///< of files that the base has; others are passed over
  std::vector<std::string> fstab;  ///< lines of /etc/fstab (fstab(5)), which several subjects share
  std::vector<Setting> settings;   ///< what must be in force on the running node
};

/// The node's state (the volume for /var/lib/ingot, or the data partition of disk.data_size): /var/lib/ingot and
/// /var/log on it. And where the other volumes are mounted, and what their headers must say. Nothing without any of
/// them. Error (internal) when complete_recovery() was not called before.
Result<ConfigPart> render_storage(const Profile& profile);
/// The swap of disk.swap_size, and, with or without one, what the verifier must find that the node swaps to.
ConfigPart render_swap(const Profile& profile);
/// What the verifier must find that the node has of shim's variables (verifier/codec/report.md, security-module): the
/// one place that says so. None, as nothing but shim may make them.
ConfigPart render_shim(const Profile& profile);
/// What the initrd needs to make the profile's volumes on a first boot and to open them on each: definitions of
/// systemd-repart, crypttab, units. Nothing without volumes. builder/config/volumes.md says what happens when.
/// Error (internal) when complete_recovery() was not called before.
Result<ConfigPart> render_initrd_volumes(const Profile& profile);
/// Where the units have ingot-agent, in the initrd as in the system.
inline constexpr std::string_view initrd_agent_path = "/usr/lib/ingot/ingot-agent";
/// What the initrd takes of the base tree to make and open volumes, beside what each initrd has. Sorted, each once.
struct InitrdNeeds {
  std::vector<std::string> files;    ///< all of them are needed, with their libraries
  std::vector<std::string> units;    ///< of systemd
  std::vector<std::string> modules;  ///< drivers, file systems and ciphers, as far as the kernel has them
};
InitrdNeeds initrd_volume_needs(const Profile& profile);
/// The volumes as the baseline has them.
std::vector<NodeVolume> node_volumes(const Profile& profile);
/// [shipping] and [collector]: the node's TLS identity, journal upload, queue notices; on the collector nginx,
/// journal-remote, sudo_logsrvd and alerts. Format and names: builder/config/shipping.md. Error (internal) when
/// complete_shipping() was not called before.
Result<ConfigPart> render_shipping(const Profile& profile);

/// Addresses of a role that the bastion may open sessions on.
struct BastionTarget {
  std::string role;
  IpRange addresses;
};
/// Where flows of the site lead from the bastion's role to TCP port 22.
std::vector<BastionTarget> bastion_targets(const Site& site, std::string_view bastion);
/// [bastion]: onward sessions through sudo, recorded on the collector; ForceCommand and the account are render_ssh's
/// and render_accounts'. Error (internal) when complete_shipping() was not called before.
Result<ConfigPart> render_bastion(const Profile& profile);

/// Sockets at which the node's own tools tell its agent what is in force, for the tools that the tree has: apply it to
/// one from which everything is gone that the profile does not want.
ConfigPart render_report(const Tree& tree);

/// The sockets that listen on a node of this profile, as settings alone: sshd, the proxy and its model server, time,
/// DHCP, overlays, and whatever the site's flows lead to.
ConfigPart render_listening(const Profile& profile, const Tree& tree);
/// NFS of version 4 alone, where the tree has a server: one port, and no daemon that listens anywhere else.
ConfigPart render_nfs(const Tree& tree);

/// Everything the settings table delivers (builder/config/README.md): kernel, SSH, accounts, audit, services. A pure
/// function; the tree only tells which set-id files and accounts the base has.
Result<ConfigPart> render_settings(const Profile& profile, const Tree& tree);

/// A node's tree, and what must be in force on it.
struct NodeTree {
  Tree tree;
  std::vector<Setting> settings;
};

/// The base tree as the profile wants it: root locked, no way into a shell, image identity, agent, the subjects' parts,
/// and the profile's own [files] last. Error (missing) when the tree is not one that systemd can boot.
Result<NodeTree> apply_profile(Tree base, const Profile& profile, const AgentFiles& agent);
/// Adds one subject's part: first what it removes, then files, links and modes.
Result<void> apply_part(Tree& tree, const ConfigPart& part);

/// /var is not part of the image: it starts empty at each boot, or lies on the node's own disk. What the tree has there
/// becomes rules for systemd-tmpfiles (tmpfiles.d(5)) that make it again, with the content of its files below
/// /usr/share/factory; the package database, which nothing changes, is a link to /usr/lib/sysimage/dpkg.
Result<void> move_state(Tree& tree);

/// /etc/shadow with root's password field locked ("!*"), whatever it was.
Result<std::string> lock_root(std::string_view shadow);
/// os-release with IMAGE_ID and IMAGE_VERSION set to the profile's name and version (os-release(5)).
std::string os_release_with_image(std::string_view os_release, const Profile& profile);

/// The value of a variable of an os-release file, quotes removed; empty when it is not there.
std::string os_release_value(std::string_view os_release, std::string_view name);

/// The kernel command line up to, but without, roothash=, which the UKI step alone appends.
std::string kernel_command_line(const Profile& profile);

}  // namespace ingot::builder
