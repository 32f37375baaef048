// What a node may have of the variables that are shim's: builder/image/modules.md tells what the kernel makes of them.
#include "parts.hpp"

namespace ingot::builder {

ConfigPart render_shim(const Profile& profile) {
  ConfigPart part;
  // Those that shim makes anew on each boot come from what it measures into PCR 7 and 14.
  const bool has_shim = profile.boot.chain == BootChain::shim;
  part.settings.push_back(
      {SettingArea::security_module, "shim", has_shim ? "of this boot" : "none", "", "Ingot, boot chain", ""});
  return part;
}

}  // namespace ingot::builder
