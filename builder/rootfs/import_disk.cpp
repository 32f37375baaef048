#include <fmt/format.h>
#include <guestfs.h>

#include <cstdlib>
#include <filesystem>

#include "import.hpp"
#include "index_file.hpp"
#include "ingot/base/reader.hpp"
#include "kvm.hpp"

namespace ingot::builder {
namespace detail {
namespace {

struct CloseGuestfs {
  void operator()(guestfs_h* handle) const { guestfs_close(handle); }
};
using Guestfs = std::unique_ptr<guestfs_h, CloseGuestfs>;

/// A NULL-terminated list of malloc'ed strings, as libguestfs returns.
struct FreeStrings {
  void operator()(char** strings) const {
    for (char** at = strings; *at != nullptr; ++at) std::free(*at);
    std::free(strings);
  }
};
using Strings = std::unique_ptr<char*, FreeStrings>;

std::vector<std::string> texts(const Strings& strings) {
  std::vector<std::string> out;
  for (char** at = strings.get(); *at != nullptr; ++at) out.emplace_back(*at);
  return out;
}

Error failure(guestfs_h* handle, std::string_view what) {
  const char* text = guestfs_last_error(handle);
  return Error{ErrorCode::tool_failed,
               fmt::format("{}: {}", what, text != nullptr ? text : "libguestfs does not say why"),
               {},
               std::nullopt,
               std::nullopt};
}

/// The kernel that libguestfs starts is the build machine's own.
bool has_kernel() {
  std::error_code code;
  for (const auto* folder : {"/boot", "/usr/lib/modules"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             folder, std::filesystem::directory_options::skip_permission_denied, code))
      if (entry.path().filename().string().starts_with("vmlinuz")) return true;
  return std::getenv("SUPERMIN_KERNEL") != nullptr;
}

void report_progress(guestfs_h*, void* context, std::uint64_t, int, int, const char*, size_t,
                     const std::uint64_t* numbers, size_t count) {
  if (count >= 4) static_cast<Progress*>(context)->at(numbers[2], numbers[3]);
}

Result<Guestfs> launch(const std::string& image, const std::string& scratch, const std::string& appliance,
                       Progress& progress) {
  if (!has_kernel())
    return fail(ErrorCode::missing, "libguestfs starts this machine's kernel in a virtual machine, and /boot has none",
                "install the Debian package linux-image-cloud-amd64");
  Guestfs guest(guestfs_create_flags(GUESTFS_CREATE_NO_ENVIRONMENT));
  if (guest == nullptr) return fail(ErrorCode::internal, "libguestfs gives no handle");
  auto* handle = guest.get();
  guestfs_set_error_handler(handle, nullptr, nullptr);  // libraries do not print
  (void)guestfs_set_event_callback(handle, report_progress, GUESTFS_EVENT_PROGRESS, 0, &progress);
  if (guestfs_set_backend(handle, "direct") != 0 || guestfs_set_tmpdir(handle, scratch.c_str()) != 0 ||
      guestfs_set_cachedir(handle, appliance.c_str()) != 0)
    return fail(failure(handle, "preparing libguestfs"));
  if (!kvm_works() && guestfs_set_backend_setting(handle, "force_tcg", "1") != 0)
    return fail(failure(handle, "preparing libguestfs"));
  // Probing the format of a raw image would let its content choose qcow2 and name other files: detect it from the
  // header here.
  const auto format = TRY(disk_format(image));
  if (guestfs_add_drive_opts(handle, image.c_str(), GUESTFS_ADD_DRIVE_OPTS_READONLY, 1, GUESTFS_ADD_DRIVE_OPTS_FORMAT,
                             format.c_str(), -1) != 0)
    return fail(failure(handle, "opening it"));
  if (guestfs_launch(handle) != 0) {
    auto error = failure(handle, "starting libguestfs's virtual machine");
    error.remedy =
        "run libguestfs-test-tool; it needs the Debian packages linux-image-cloud-amd64, supermin and qemu-system-x86";
    return fail(std::move(error));
  }
  return guest;
}

Result<void> mount_root(guestfs_h* handle) {
  const Strings roots(guestfs_inspect_os(handle));
  if (roots == nullptr) return fail(failure(handle, "looking for an operating system"));
  const auto found = texts(roots);
  if (found.size() == 1) {
    const Strings points(guestfs_inspect_get_mountpoints(handle, found.front().c_str()));
    if (points == nullptr) return fail(failure(handle, "looking for mount points"));
    const auto list = texts(points);             // path, device, path, device, ...
    std::map<std::string, std::string> ordered;  // "/" before "/boot" before "/boot/efi"
    for (std::size_t i = 0; i + 1 < list.size(); i += 2) ordered[list[i]] = list[i + 1];
    for (const auto& [path, device] : ordered)
      if (guestfs_mount_ro(handle, device.c_str(), path.c_str()) != 0 && path == "/")
        return fail(failure(handle, "mounting its root"));
    return {};
  }
  if (found.size() > 1)
    return fail(ErrorCode::unsupported, fmt::format("it has {} operating systems, expected one", found.size()),
                "import a tar of the one you mean");
  return fail(ErrorCode::unsupported, "no operating system was found in it",
              "import a tar of its root file system instead");
}

Result<void> extract(const std::string& image, const std::string& tar, const std::string& scratch,
                     const std::string& appliance, Progress& progress) {
  progress.step("virtual machine", "libguestfs, read-only");
  const auto guest = TRY(launch(image, scratch, appliance, progress));
  TRY(mount_root(guest.get()));
  progress.step("extract", image);
  if (guestfs_tar_out_opts(guest.get(), "/", tar.c_str(), GUESTFS_TAR_OUT_OPTS_NUMERICOWNER, 1,
                           GUESTFS_TAR_OUT_OPTS_XATTRS, 1, GUESTFS_TAR_OUT_OPTS_SELINUX, 1, GUESTFS_TAR_OUT_OPTS_ACLS,
                           1, -1) != 0)
    return fail(failure(guest.get(), "reading its files"));
  if (guestfs_shutdown(guest.get()) != 0) return fail(failure(guest.get(), "stopping libguestfs's virtual machine"));
  return {};
}

/// libguestfs builds the system it boots once, in about a minute, and keeps it here.
Result<std::string> appliance_folder(const Cache& cache) {
  const auto folder = cache.path("guestfs");
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) return fail(io_error(fmt::format("creating {}", folder), code.value()));
  return folder;
}

}  // namespace

Result<std::string> disk_format(const std::string& path) {
  const auto source = TRY(file_source(path));
  constexpr std::uint32_t qcow2_magic = 0x514649FB;  // QEMU, "Qcow2 Image File Format", Header
  if (source->size() < 512) return fail(ErrorCode::malformed, fmt::format("{} is too small to be a disk image", path));
  const auto header = TRY(read_part(*source, 0, 20, 20));
  Reader in(header);
  if (in.u32be() != qcow2_magic) return "raw";
  in.skip(4);
  if (in.u64be() != 0)
    return fail(ErrorCode::unsupported, fmt::format("{} has a backing file", path),
                "flatten it with: qemu-img convert -O qcow2");
  return "qcow2";
}

Result<Imported> import_disk_image(const std::string& path, const std::string& cache_folder, Progress& progress) {
  auto cache = TRY(Cache::open(cache_folder));
  const auto source = TRY(file_source(path));
  progress.step("base image", fmt::format("digest of {}", path));
  const auto digest = TRY(file_digest(*source, progress));
  const auto tar = cache.tree("disk-" + digest);
  TRY(cache.lock(progress));
  progress.step("base tree", path);
  if (std::filesystem::exists(tar)) {
    progress.cached();
  } else {
    const auto work = TRY(cache.work());
    const auto made = work.path() + "/tree.tar";
    TRY_IN(path, extract(std::filesystem::absolute(path).string(), made, work.path(), TRY(appliance_folder(cache)),
                         progress));
    if (TRY(file_digest(*source, progress)) != digest)
      return fail(ErrorCode::io, fmt::format("{} changed while it was read", path));
    TRY_IN(path, index_tar(made, progress));
    TRY(publish(made, tar));
  }
  return Imported{TRY(cached_index(tar, progress)), digest};
}

}  // namespace detail

Result<Tree> import_disk(const std::string& path, const std::string& cache, Progress& progress) {
  return TRY(detail::import_disk_image(path, cache, progress)).tree;
}

}  // namespace ingot::builder
