// Kernel modules that a profile brings: signed, put into the tree, known to modprobe. builder/image/modules.md.
#pragma once

#include <string>
#include <vector>

#include "ingot/builder/tree.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/model/profile.hpp"
#include "ingot/model/setting.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::builder {

/// uname -r of the newest kernel of a base tree. Error (missing) when it has none.
Result<std::string> kernel_release(const Tree& base);

struct AddedModules {
  std::vector<NodeModule> modules;  ///< by name
  std::vector<Setting> settings;    ///< that they may be loaded, although they are not of the kernel
};
/// Signs the modules and puts them, not compressed, into /usr/lib/modules/RELEASE/updates/ingot, where modprobe prefers
/// them to the kernel's own; makes depmod's indexes anew, and what systemd-modules-load(8) loads at boot. A vendor's
/// signature is replaced. The same inputs give the same tree. `scratch` is an existing folder for depmod's work.
/// Errors: malformed, with its place in the profile, a file that is no module, has another name than its file, was
/// built for another kernel, or for another build of it; missing, a module that one depends on; tool_failed.
Result<AddedModules> add_modules(Tree& tree, const std::string& release, const Profile::Modules& modules,
                                 const signer::SigningKey& key, const std::string& scratch);

}  // namespace ingot::builder
