#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "guestfs.hpp"
#include "import.hpp"
#include "index_file.hpp"
#include "ingot/base/reader.hpp"
#include "kvm.hpp"

namespace ingot::builder {
namespace detail {
namespace {

/// A machine of libguestfs's, and the library that it belongs to.
struct Guest {
  struct Close {
    decltype(&guestfs_close) close;
    void operator()(guestfs_h* machine) const { close(machine); }
  };
  Guestfs library;
  std::unique_ptr<guestfs_h, Close> handle;
};

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

Error failure(const Guest& guest, std::string_view what) {
  const char* text = guest.library.last_error(guest.handle.get());
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

Result<Guest> launch(const std::string& image, const std::string& scratch, const std::string& appliance,
                     Progress& progress) {
  if (!has_kernel())
    return fail(ErrorCode::missing, "libguestfs starts this machine's kernel in a virtual machine, and /boot has none",
                "install the Debian package linux-image-cloud-amd64");
  const auto lib = TRY(load_guestfs());
  Guest guest{lib, {lib.create_flags(GUESTFS_CREATE_NO_ENVIRONMENT), {lib.close}}};
  auto* handle = guest.handle.get();
  if (handle == nullptr) return fail(ErrorCode::internal, "libguestfs gives no handle");
  lib.set_error_handler(handle, nullptr, nullptr);  // libraries do not print
  (void)lib.set_event_callback(handle, report_progress, GUESTFS_EVENT_PROGRESS, 0, &progress);
  if (lib.set_backend(handle, "direct") != 0 || lib.set_tmpdir(handle, scratch.c_str()) != 0 ||
      lib.set_cachedir(handle, appliance.c_str()) != 0)
    return fail(failure(guest, "preparing libguestfs"));
  if (!kvm_works() && lib.set_backend_setting(handle, "force_tcg", "1") != 0)
    return fail(failure(guest, "preparing libguestfs"));
  // Probing the format of a raw image would let its content choose qcow2 and name other files: detect it from the
  // header here.
  const auto format = TRY(disk_format(image));
  if (lib.add_drive_opts(handle, image.c_str(), GUESTFS_ADD_DRIVE_OPTS_READONLY, 1, GUESTFS_ADD_DRIVE_OPTS_FORMAT,
                         format.c_str(), -1) != 0)
    return fail(failure(guest, "opening it"));
  if (lib.launch(handle) != 0) {
    auto error = failure(guest, "starting libguestfs's virtual machine");
    error.remedy =
        "run libguestfs-test-tool; it needs the Debian packages linux-image-cloud-amd64, supermin and qemu-system-x86";
    return fail(std::move(error));
  }
  return guest;
}

Result<void> mount_root(const Guest& guest) {
  const auto& lib = guest.library;
  auto* handle = guest.handle.get();
  const Strings roots(lib.inspect_os(handle));
  if (roots == nullptr) return fail(failure(guest, "looking for an operating system"));
  const auto found = texts(roots);
  if (found.size() == 1) {
    const Strings points(lib.inspect_get_mountpoints(handle, found.front().c_str()));
    if (points == nullptr) return fail(failure(guest, "looking for mount points"));
    const auto list = texts(points);             // path, device, path, device, ...
    std::map<std::string, std::string> ordered;  // "/" before "/boot" before "/boot/efi"
    for (std::size_t i = 0; i + 1 < list.size(); i += 2) ordered[list[i]] = list[i + 1];
    for (const auto& [path, device] : ordered)
      if (lib.mount_ro(handle, device.c_str(), path.c_str()) != 0 && path == "/")
        return fail(failure(guest, "mounting its root"));
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
  const auto& lib = guest.library;
  auto* handle = guest.handle.get();
  TRY(mount_root(guest));
  progress.step("extract", image);
  if (lib.tar_out_opts(handle, "/", tar.c_str(), GUESTFS_TAR_OUT_OPTS_NUMERICOWNER, 1, GUESTFS_TAR_OUT_OPTS_XATTRS, 1,
                       GUESTFS_TAR_OUT_OPTS_SELINUX, 1, GUESTFS_TAR_OUT_OPTS_ACLS, 1, -1) != 0)
    return fail(failure(guest, "reading its files"));
  if (lib.shutdown(handle) != 0) return fail(failure(guest, "stopping libguestfs's virtual machine"));
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
