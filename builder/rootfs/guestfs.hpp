// libguestfs, loaded when a disk is imported and not before: some forty libraries come with it, and every start of the
// program would wait 20 ms for them. Internal to rootfs/.
#pragma once

#include <guestfs.h>

#include "ingot/base/result.hpp"

namespace ingot::builder::detail {

/// The functions that we call, under their names in guestfs(3) without "guestfs_".
struct Guestfs {
  decltype(&guestfs_add_drive_opts) add_drive_opts = nullptr;
  decltype(&guestfs_close) close = nullptr;
  decltype(&guestfs_create_flags) create_flags = nullptr;
  decltype(&guestfs_inspect_get_mountpoints) inspect_get_mountpoints = nullptr;
  decltype(&guestfs_inspect_os) inspect_os = nullptr;
  decltype(&guestfs_last_error) last_error = nullptr;
  decltype(&guestfs_launch) launch = nullptr;
  decltype(&guestfs_mount_ro) mount_ro = nullptr;
  decltype(&guestfs_set_backend) set_backend = nullptr;
  decltype(&guestfs_set_backend_setting) set_backend_setting = nullptr;
  decltype(&guestfs_set_cachedir) set_cachedir = nullptr;
  decltype(&guestfs_set_error_handler) set_error_handler = nullptr;
  decltype(&guestfs_set_event_callback) set_event_callback = nullptr;
  decltype(&guestfs_set_tmpdir) set_tmpdir = nullptr;
  decltype(&guestfs_shutdown) shutdown = nullptr;
  decltype(&guestfs_tar_out_opts) tar_out_opts = nullptr;
};

/// Error (missing): this machine has no libguestfs, or one that lacks a function.
Result<Guestfs> load_guestfs();

}  // namespace ingot::builder::detail
