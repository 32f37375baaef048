#include "ingot/builder/profile.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "layer.hpp"

namespace ingot::builder {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t chain_cap = 16;
constexpr std::uint64_t default_esp_bytes = std::uint64_t{260} << 20;

struct File {
  std::string path;  ///< as the user would write it
  toml::table table;
};

/// The file and what it extends, the file itself first.
Result<std::vector<File>> read_chain(const std::string& path) {
  std::vector<File> chain;
  std::vector<std::string> seen;
  std::string next = path;
  TextLocation asked_at;
  while (!next.empty()) {
    std::error_code code;
    const auto real = fs::canonical(next, code);
    if (code && chain.empty()) return fail(io_error(fmt::format("reading {}", next), code.value()));
    if (code)
      return detail::wrong(asked_at, fmt::format("extends \"{}\", which cannot be read: {}", next, code.message()));
    if (std::find(seen.begin(), seen.end(), real.string()) != seen.end())
      return detail::wrong(
          asked_at, fmt::format("\"{}\" extends itself: {} -> {}", next, fmt::join(seen, " -> "), real.string()));
    if (chain.size() == chain_cap)
      return detail::wrong(asked_at, fmt::format("more than {} profiles extend each other", chain_cap));
    seen.push_back(real.string());
    auto table = TRY(detail::parse_toml(next));
    chain.push_back({next, std::move(table)});
    const detail::TableReader top(chain.back().table, next, "");
    const auto base = TRY(top.text("extends"));
    if (!base) break;
    if (base->value.empty() || base->value.find('\0') != std::string::npos)
      return detail::wrong(base->at, "extends is not a path");
    asked_at = base->at;
    next = (fs::path(next).parent_path() / base->value).string();
  }
  return chain;
}

Result<Profile> load(const std::string& path) {
  const auto chain = TRY(read_chain(path));
  detail::Draft draft;
  draft.profile.kernel.command_line = detail::default_command_line();
  draft.profile.disk.esp_size_bytes = default_esp_bytes;
  draft.profile.boot.phases = {"enter-initrd", "leave-initrd", "sysinit", "ready"};
  for (auto file = chain.rbegin(); file != chain.rend(); ++file) {
    draft.profile.sources.push_back(file->path);
    const auto folder = fs::path(file->path).parent_path();
    const detail::TableReader top(file->table, file->path, "");
    TRY(detail::apply_layer(draft, top, folder.empty() ? "." : folder.string()));
  }
  draft.profile.path = path;
  draft.end = {path, 1, 1};
  return detail::finish(std::move(draft));
}

}  // namespace

Result<Profile> load_profile(const std::string& path) {
  try {
    return load(path);
  } catch (const fs::filesystem_error& error) {
    return fail(ErrorCode::io, fmt::format("{}: {}", path, error.what()));
  }
}

}  // namespace ingot::builder
