#include "output_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "ingot/builder/build.hpp"

namespace ingot::builder {
namespace {
namespace fs = std::filesystem;

/// An empty folder, or one that a build filled: it has the files that every build ends with.
bool may_be_replaced(const fs::path& path) {
  std::error_code ec;
  return fs::is_empty(path, ec) || (fs::exists(path / output::baseline, ec) && fs::exists(path / output::manifest, ec));
}

std::string work_prefix(const fs::path& path) { return fmt::format(".{}.ingot-", path.filename().string()); }

/// Precondition: the lock on `path` is held, so nobody else works in a folder of this name.
void clear_leftovers(const fs::path& path) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(path.parent_path(), ec)) {
    std::error_code ignored;
    if (entry.path().filename().string().starts_with(work_prefix(path))) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

Result<OutputFolder> OutputFolder::open(const std::string& given) {
  std::error_code ec;
  fs::path path = fs::absolute(given, ec).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  fs::create_directories(path, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", given), ec.value()));
  const int lock = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock < 0) return fail(io_error(fmt::format("opening {}", given), errno));
  OutputFolder folder(lock, path.string(), {});
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::busy, fmt::format("another build is working on {}", given),
                "wait for it, or give another --out");
  if (!may_be_replaced(path))
    return fail(ErrorCode::usage, fmt::format("{} holds files that no build made", given),
                "give an empty or new folder as --out");
  clear_leftovers(path);
  std::string work = (path.parent_path() / (work_prefix(path) + "XXXXXX")).string();
  if (::mkdtemp(work.data()) == nullptr)
    return fail(io_error(fmt::format("creating a folder beside {}", given), errno));
  folder.work_ = work;
  if (::chmod(work.c_str(), 0755) != 0) return fail(io_error(fmt::format("setting the mode of {}", work), errno));
  return folder;
}

OutputFolder::OutputFolder(OutputFolder&& other) noexcept
    : lock_(std::exchange(other.lock_, -1)), path_(std::move(other.path_)), work_(std::exchange(other.work_, {})) {}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (!work_.empty()) fs::remove_all(work_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

Result<void> OutputFolder::commit() {
  // After the exchange the work folder's name holds what was in `path_` before; the destructor removes it.
  if (::renameat2(AT_FDCWD, work_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) != 0)
    return fail(io_error(fmt::format("putting the result in place as {}", path_), errno));
  return {};
}

}  // namespace ingot::builder
