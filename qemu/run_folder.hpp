// Where a run keeps its sockets, and what lies there. Internal to qemu/.
#pragma once

#include <filesystem>
#include <string>

#include "ingot/base/output.hpp"

namespace ingot::rig {

/// Room for a socket's name below 108 bytes (unix(7), "sun_path").
inline constexpr std::size_t run_parent_cap = 64;

/// Sockets need a short path, so a long TMPDIR is passed over.
inline std::string run_parent() {
  std::error_code ec;
  auto parent = std::filesystem::temp_directory_path(ec).string();
  return ec || parent.size() > run_parent_cap ? "/tmp" : parent;
}

/// A disk of zeroes, without blocks.
inline Result<void> write_blank_disk(const std::string& path, std::uint64_t size_bytes) {
  auto disk = TRY(OutputFile::create(path));
  TRY(disk.truncate(size_bytes));
  return disk.commit();
}

}  // namespace ingot::rig
