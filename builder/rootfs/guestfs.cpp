#include "guestfs.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <bit>

namespace ingot::builder::detail {
namespace {

constexpr const char* library_name = "libguestfs.so.0";

/// dlerror(3) says what is missing.
Result<void*> found(void* address) {
  if (address != nullptr) return address;
  const char* why = ::dlerror();
  return fail(ErrorCode::missing, fmt::format("disk images cannot be read: {}", why == nullptr ? library_name : why),
              "install the Debian package libguestfs0");
}

template <typename Function>
Result<void> look_up(void* library, const char* name, Function*& into) {
  into = std::bit_cast<Function*>(TRY(found(::dlsym(library, name))));
  return {};
}

}  // namespace

Result<Guestfs> load_guestfs() {
  // Never unloaded: it has threads and handlers of its own.
  void* library = TRY(found(::dlopen(library_name, RTLD_NOW | RTLD_LOCAL)));
  Guestfs out;
  TRY(look_up(library, "guestfs_add_drive_opts", out.add_drive_opts));
  TRY(look_up(library, "guestfs_close", out.close));
  TRY(look_up(library, "guestfs_create_flags", out.create_flags));
  TRY(look_up(library, "guestfs_inspect_get_mountpoints", out.inspect_get_mountpoints));
  TRY(look_up(library, "guestfs_inspect_os", out.inspect_os));
  TRY(look_up(library, "guestfs_last_error", out.last_error));
  TRY(look_up(library, "guestfs_launch", out.launch));
  TRY(look_up(library, "guestfs_mount_ro", out.mount_ro));
  TRY(look_up(library, "guestfs_set_backend", out.set_backend));
  TRY(look_up(library, "guestfs_set_backend_setting", out.set_backend_setting));
  TRY(look_up(library, "guestfs_set_cachedir", out.set_cachedir));
  TRY(look_up(library, "guestfs_set_error_handler", out.set_error_handler));
  TRY(look_up(library, "guestfs_set_event_callback", out.set_event_callback));
  TRY(look_up(library, "guestfs_set_tmpdir", out.set_tmpdir));
  TRY(look_up(library, "guestfs_shutdown", out.shutdown));
  TRY(look_up(library, "guestfs_tar_out_opts", out.tar_out_opts));
  return out;
}

}  // namespace ingot::builder::detail
