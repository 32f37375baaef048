#include "modules.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ingot::builder::detail {
namespace {

constexpr std::uint64_t index_cap_bytes = 16u << 20;

std::string canonical(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

/// "kernel/drivers/md/dm-verity.ko.xz" -> "dm_verity".
std::string module_name(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);  // npos + 1 == 0
  return canonical(path.substr(0, path.find(".ko")));
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) break;
    line.remove_prefix(start);
    const auto end = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

template <typename Line>
void for_each_line(std::string_view text, Line line) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

Result<KernelModules> KernelModules::load(const Tree& tree, const std::string& folder) {
  KernelModules out;
  const auto dependencies = TRY(read_tree_file(tree, folder + "/modules.dep", index_cap_bytes));
  for_each_line(as_text(dependencies), [&](std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    Module module;
    module.path = fmt::format("{}/{}", folder, line.substr(0, colon));
    for (const auto word : words_of(line.substr(colon + 1))) module.needs.push_back(module_name(word));
    out.modules_[module_name(line.substr(0, colon))] = std::move(module);
  });
  const auto optional_text = [&](const std::string& name) -> Result<Buffer> {
    if (tree.resolve(fmt::format("{}/{}", folder, name)) == nullptr) return Buffer{};
    return read_tree_file(tree, fmt::format("{}/{}", folder, name), index_cap_bytes);
  };
  const auto built_in = TRY(optional_text("modules.builtin"));
  for_each_line(as_text(built_in), [&](std::string_view line) {
    if (!line.empty()) out.built_in_.insert(module_name(line));
  });
  // "softdep NAME pre: A B post: C". Some name aliases ("crypto-crc32c"): what no module is called adds nothing.
  const auto soft = TRY(optional_text("modules.softdep"));
  for_each_line(as_text(soft), [&](std::string_view line) {
    const auto words = words_of(line);
    if (words.size() < 3 || words[0] != "softdep") return;
    const auto found = out.modules_.find(canonical(words[1]));
    if (found == out.modules_.end()) return;
    for (std::size_t i = 2; i < words.size(); ++i)
      if (words[i].back() != ':') found->second.needs.push_back(canonical(words[i]));
  });
  return out;
}

bool KernelModules::has(std::string_view name) const {
  return modules_.contains(canonical(name)) || built_in_.contains(canonical(name));
}

std::set<std::string> KernelModules::closure(const std::vector<std::string>& names) const {
  std::set<std::string> paths;
  std::vector<std::string> todo;
  for (const auto& name : names) todo.push_back(canonical(name));
  while (!todo.empty()) {
    const auto found = modules_.find(todo.back());
    todo.pop_back();
    if (found == modules_.end() || !paths.insert(found->second.path).second) continue;
    todo.insert(todo.end(), found->second.needs.begin(), found->second.needs.end());
  }
  return paths;
}

}  // namespace ingot::builder::detail
