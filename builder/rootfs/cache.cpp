#include "cache.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace ingot::builder::detail {

namespace fs = std::filesystem;

Result<Cache> Cache::open(const std::string& folder) {
  if (folder.empty()) return fail(ErrorCode::usage, "no cache folder was given", "name one with --cache");
  std::error_code code;
  // Absolute and without links: apt is configured with it, and it must not depend on where a tool stands.
  fs::create_directories(folder, code);
  const auto real = code ? fs::path() : fs::canonical(folder, code);
  if (code) return fail(io_error(fmt::format("creating {}", folder), code.value()));
  for (const auto* part : {"debs", "trees", "apt"}) {
    fs::create_directories(real / part, code);
    if (code) return fail(io_error(fmt::format("creating {}/{}", folder, part), code.value()));
  }
  const auto lock_path = (real / "lock").string();
  const int fd = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return fail(io_error(fmt::format("opening {}", lock_path), errno));
  return Cache(real.string(), fd);
}

Cache::Cache(Cache&& other) noexcept : folder_(std::move(other.folder_)), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

Cache::~Cache() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<void> Cache::lock(Progress& progress) {
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail(io_error(fmt::format("locking {}", folder_), errno));
    progress.step("waiting", fmt::format("for another build that uses {}", folder_));
    while (::flock(lock_fd_, LOCK_EX) != 0)
      if (errno != EINTR) return fail(io_error(fmt::format("locking {}", folder_), errno));
  }
  // Whoever made these held the lock, and does not any more: it was killed.
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder_, code))
    if (entry.path().filename().string().starts_with("work-")) remove_folder(entry.path().string());
  return {};
}

std::string Cache::path(std::string_view name) const { return fmt::format("{}/{}", folder_, name); }
std::string Cache::deb(std::string_view sha256) const { return fmt::format("{}/debs/{}.deb", folder_, sha256); }
std::string Cache::tree(std::string_view key) const { return fmt::format("{}/trees/{}.tar", folder_, key); }
Result<TemporaryFolder> Cache::work() const { return TemporaryFolder::create(folder_, "work-"); }

Result<void> publish(const std::string& from, const std::string& to) {
  const int fd = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(io_error(fmt::format("opening {}", from), errno));
  const int synced = ::fsync(fd);
  const int why = errno;
  ::close(fd);
  if (synced != 0) return fail(io_error(fmt::format("writing {}", to), why));
  if (::rename(from.c_str(), to.c_str()) != 0) return fail(io_error(fmt::format("creating {}", to), errno));
  return {};
}

}  // namespace ingot::builder::detail
