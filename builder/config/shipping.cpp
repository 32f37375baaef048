#include "ingot/builder/config.hpp"
#include "shipping_parts.hpp"

namespace ingot::builder {

Result<ConfigPart> render_shipping(const Profile& profile) {
  ConfigPart part;
  const auto& shipping = profile.shipping;
  if (!shipping.enabled) return part;
  if (shipping.collector.empty() || shipping.ca.empty())
    return fail(ErrorCode::internal, "[shipping] is rendered before complete_shipping()");
  detail::add_file(part, std::string(detail::authority_path), shipping.ca);
  detail::add_node(part, profile);
  if (profile.collector.enabled) detail::add_collector(part, profile);
  return part;
}

}  // namespace ingot::builder
