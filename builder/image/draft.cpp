#include "draft.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace ingot::builder::detail {

Result<TemporaryFolder> draft_folder(const std::string& out_path) {
  const auto parent = std::filesystem::path(out_path).parent_path();
  return TemporaryFolder::create(parent.empty() ? "." : parent.string(), ".draft-");
}

Result<void> publish_draft(const std::string& draft, const std::string& out_path) {
  const int fd = ::open(draft.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(io_error(fmt::format("opening what a tool wrote for {}", out_path), errno));
  const bool durable = ::fchmod(fd, 0644) == 0 && ::fsync(fd) == 0;
  const int why = errno;
  ::close(fd);
  if (!durable) return fail(io_error(fmt::format("writing {}", out_path), why));
  if (::rename(draft.c_str(), out_path.c_str()) != 0)
    return fail(io_error(fmt::format("creating {}", out_path), errno));
  return {};
}

}  // namespace ingot::builder::detail
