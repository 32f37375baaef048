#include <iterator>

#include "parts.hpp"

namespace ingot::builder {
namespace {

template <typename T>
void append(std::vector<T>& into, std::vector<T>&& from) {
  into.insert(into.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void append(ConfigPart& into, ConfigPart&& part) {
  append(into.files, std::move(part.files));
  append(into.links, std::move(part.links));
  append(into.removed, std::move(part.removed));
  append(into.modes, std::move(part.modes));
  append(into.fstab, std::move(part.fstab));
  append(into.settings, std::move(part.settings));
}

}  // namespace

Result<ConfigPart> render_settings(const Profile& profile, const Tree& tree) {
  ConfigPart all;
  append(all, TRY(detail::render_kernel(profile)));
  append(all, TRY(detail::render_accounts(profile, tree)));
  append(all, TRY(detail::render_sudo(profile)));
  append(all, TRY(detail::render_ssh(profile, tree)));
  append(all, TRY(detail::render_set_id(profile, tree)));
  append(all, TRY(detail::render_audit(profile, tree)));
  append(all, TRY(detail::render_services(profile, tree)));
  append(all, detail::render_time(profile, tree));
  append(all, TRY(detail::render_apparmor(tree)));
  return all;
}

}  // namespace ingot::builder
