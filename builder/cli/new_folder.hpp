// Output that is a folder: it appears under its name with all its files, or not at all.
#pragma once

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>

#include "ingot/builder/process.hpp"

namespace ingot::cli {

/// `fill` gets a folder to write to, beside the final one. Error (usage): there is something of that name.
inline Result<void> write_new_folder(const std::filesystem::path& folder,
                                     const std::function<Result<void>(const std::string&)>& fill) {
  namespace fs = std::filesystem;
  std::error_code ec;
  const auto path = fs::absolute(folder, ec).lexically_normal();
  const auto final_path = path.has_filename() ? path : path.parent_path();
  if (fs::exists(final_path, ec))
    return fail(ErrorCode::usage, fmt::format("{} exists", folder.string()), "remove it, or give another name");
  fs::create_directories(final_path.parent_path(), ec);
  if (ec) return fail(io_error(fmt::format("creating {}", final_path.parent_path().string()), ec.value()));
  const auto work = TRY(builder::TemporaryFolder::create(final_path.parent_path().string(), ".ingot-"));
  TRY(fill(work.path()));
  if (::chmod(work.path().c_str(), 0755) != 0)
    return fail(io_error(fmt::format("creating {}", folder.string()), errno));
  fs::rename(work.path(), final_path, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", folder.string()), ec.value()));
  return {};
}

}  // namespace ingot::cli
