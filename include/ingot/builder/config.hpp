// Pure functions from a profile to the files and edits that make a base tree into a node.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/builder/tree.hpp"
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
  std::vector<std::string> removed;  ///< paths that the base may have and the node must not
  struct Mode {
    std::string path;
    unsigned mode = 0;  ///< permission bits with set-id and sticky: 07777
  };
  std::vector<Mode> modes;        ///< of files that the base has; others are passed over
  std::vector<Setting> settings;  ///< what must be in force on the running node
};

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

/// /etc/shadow with root's password field locked ("!*"), whatever it was.
Result<std::string> lock_root(std::string_view shadow);
/// os-release with IMAGE_ID and IMAGE_VERSION set to the profile's name and version (os-release(5)).
std::string os_release_with_image(std::string_view os_release, const Profile& profile);

/// The value of a variable of an os-release file, quotes removed; empty when it is not there.
std::string os_release_value(std::string_view os_release, std::string_view name);

/// The kernel command line up to, but without, roothash=, which the UKI step alone appends.
std::string kernel_command_line(const Profile& profile);

}  // namespace ingot::builder
