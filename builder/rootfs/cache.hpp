// The cache folder: package files and trees by digest, and one builder at a time.
#pragma once

#include <string>

#include "ingot/builder/process.hpp"
#include "ingot/builder/progress.hpp"

namespace ingot::builder::detail {

/// cache/lock        held by whoever changes the cache
/// cache/debs/       <SHA-256>.deb
/// cache/trees/      <key>.tar and <key>.tar.index
/// cache/apt/        apt's package lists
/// cache/work-*/     of the holder of the lock; those of killed builds are removed by the next one
class Cache {
 public:
  /// Makes the folders that are missing.
  static Result<Cache> open(const std::string& folder);
  Cache(Cache&& other) noexcept;
  Cache& operator=(Cache&&) = delete;
  ~Cache();

  /// Waits until no other build changes the cache. Held until destruction.
  Result<void> lock(Progress& progress);
  [[nodiscard]] std::string path(std::string_view name) const;
  [[nodiscard]] std::string deb(std::string_view sha256) const;
  [[nodiscard]] std::string tree(std::string_view key) const;
  /// A folder for half-finished things. Precondition: locked.
  [[nodiscard]] Result<TemporaryFolder> work() const;

 private:
  Cache(std::string folder, int fd) : folder_(std::move(folder)), lock_fd_(fd) {}
  std::string folder_;
  int lock_fd_ = -1;
};

/// Renames within the cache; the file is on the disk before it has its name.
Result<void> publish(const std::string& from, const std::string& to);

}  // namespace ingot::builder::detail
