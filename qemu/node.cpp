#include "node.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;

/// Which file a disk is, in one line; a build replaces its output, so a new image is another inode or time.
Result<std::string> origin_of(const std::string& disk) {
  struct stat info {};
  if (::stat(disk.c_str(), &info) != 0) return fail(io_error(disk, errno));
  return fmt::format("{} {} {} {}.{:09}\n", disk, info.st_size, info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace

NodeFiles fresh_node(const std::string& disk, const std::string& run) {
  return {run + "/VARS.fd", run + "/state", disk, false};
}

Result<NodeFiles> kept_node(const std::string& folder, const std::string& disk) {
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", folder), ec.value()));
  const std::string node = fs::canonical(folder, ec).string();
  const std::string base = ec ? std::string{} : fs::canonical(disk, ec).string();
  if (ec) return fail(io_error(disk, ec.value()));
  NodeFiles files{node + "/VARS.fd", node + "/tpm", node + "/disk.qcow2", true};
  const std::string origin_path = node + "/disk.origin";
  const auto origin = TRY(origin_of(base));
  const auto before = read_file(origin_path, 1u << 16);
  if (before && as_text(*before) == origin && fs::exists(files.disk, ec)) return files;
  fs::remove(files.disk, ec);
  TRY(builder::run_checked({.argv = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, files.disk}}));
  TRY(write_file(origin_path, as_bytes(origin)));
  return files;
}

}  // namespace ingot::rig
