// What a node may have of the variables that are shim's: builder/image/modules.md tells what the kernel makes of them.
#include "parts.hpp"

namespace ingot::builder {

ConfigPart render_shim(const Profile&) {
  ConfigPart part;
  part.settings.push_back({SettingArea::security_module, "shim", "none", "", "Ingot, boot chain", ""});
  return part;
}

}  // namespace ingot::builder
