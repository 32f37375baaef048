// [modules]: kernel modules that are not of the kernel's package.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "choice.hpp"
#include "ingot/builder/settings.hpp"
#include "ingot/codec/module_compression.hpp"
#include "layer.hpp"

namespace ingot::builder::detail {
namespace {

namespace fs = std::filesystem;
using codec::ModuleCompression;

constexpr std::size_t name_cap_bytes = 55;  // Linux, include/linux/moduleparam.h: MODULE_NAME_LEN, less its end

/// To modprobe(8), "-" and "_" are the same.
std::string canonical(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

bool is_module_name(std::string_view text) {
  return !text.empty() && text.size() <= name_cap_bytes && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

/// "drivers/nvidia-uvm.ko.zst" -> "nvidia_uvm".
Result<std::string> name_of(const Located<std::string>& file) {
  const auto name = fs::path(file.value).filename().string();
  for (const auto kind :
       {ModuleCompression::none, ModuleCompression::xz, ModuleCompression::zstd, ModuleCompression::gzip}) {
    const auto suffix = codec::module_suffix(kind);
    if (!name.ends_with(suffix)) continue;
    const auto stem = name.substr(0, name.size() - suffix.size());
    if (is_module_name(stem)) return canonical(stem);
  }
  return wrong(file.at, fmt::format("\"{}\" is not the name of a module's file", file.value),
               "name it after the module: NAME.ko, NAME.ko.xz, NAME.ko.zst or NAME.ko.gz");
}

}  // namespace

Result<void> apply_modules(Draft& draft, const TableReader& table, const std::string& folder) {
  TRY(table.only({"files", "load"}));
  if (const auto files = TRY(table.texts("files"))) {
    std::map<std::string, ModuleFile> own;
    for (const auto& file : *files) {
      const auto name = TRY(name_of(file));
      auto content = TRY(read_profile_file(file, "files", folder, codec::module_cap_bytes));
      if (!own.try_emplace(name, ModuleFile{name, file.value, memory_source(std::move(content)), file.at}).second)
        return wrong(file.at, fmt::format("two files for the module {}", name), "keep one of them");
    }
    for (auto& [name, file] : own) draft.modules.insert_or_assign(name, std::move(file));
  }
  if (const auto load = TRY(table.texts("load"))) draft.loaded_modules = *load;
  return {};
}

Result<void> finish_modules(Draft& draft) {
  auto& modules = draft.profile.modules;
  std::vector<std::string_view> names;
  for (const auto& [name, file] : draft.modules) names.push_back(name);
  for (const auto& setting : chosen_settings(draft.profile.hardening, SettingArea::module))
    if (const auto found = draft.modules.find(canonical(setting.name)); found != draft.modules.end())
      return wrong(found->second.at, fmt::format("the settings table keeps the module {} out", found->first),
                   fmt::format("drop \"module.{}\" in [hardening.relax], and say why", setting.name));
  for (const auto& one : draft.loaded_modules) {
    const auto name = canonical(one.value);
    if (!draft.modules.contains(name))
      return wrong(one.at, fmt::format("load names \"{}\", for which there is no file", one.value),
                   suggestion(name, names));
    if (std::find(modules.load.begin(), modules.load.end(), name) != modules.load.end())
      return wrong(one.at, fmt::format("load names \"{}\" twice", one.value));
    modules.load.push_back(name);
  }
  for (auto& [name, file] : draft.modules) modules.files.push_back(std::move(file));
  return {};
}

}  // namespace ingot::builder::detail
