#include "layer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "choice.hpp"
#include "ingot/measure/revocation.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::uint64_t mebibyte = 1u << 20;
/// The smallest that FAT32 with 4 KiB clusters can be: 65525 clusters, and firmware takes anything smaller for FAT16.
constexpr std::uint64_t smallest_esp_bytes = 260 * mebibyte;
constexpr std::uint64_t largest_partition_bytes = std::uint64_t{64} << 40;

using Names = std::vector<std::string_view>;

constexpr Choice<RootFilesystem> filesystems[] = {{"squashfs", RootFilesystem::squashfs},
                                                  {"erofs", RootFilesystem::erofs}};
constexpr Choice<Compression> compressions[] = {{"zstd", Compression::zstd},
                                                {"lz4", Compression::lz4},
                                                {"lz4hc", Compression::lz4hc},
                                                {"xz", Compression::xz},
                                                {"gzip", Compression::gzip}};
constexpr Choice<ImportKind> formats[] = {
    {"disk", ImportKind::disk}, {"tar", ImportKind::tar}, {"oci", ImportKind::oci}};
constexpr Choice<Profile::Execution> executions[] = {{"enforced", Profile::Execution::enforced},
                                                     {"permissive", Profile::Execution::permissive},
                                                     {"open", Profile::Execution::open}};

constexpr std::string_view lower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view digits = "0123456789";

/// A first character of `first`, the others of `first` or `more`.
bool is_word(std::string_view text, std::string_view first, std::string_view more, std::size_t longest) {
  const auto is_in = [](std::string_view set, char c) { return set.find(c) != std::string_view::npos; };
  return !text.empty() && text.size() <= longest && is_in(first, text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_in(first, c) || is_in(more, c); });
}
const std::string alphanumeric = fmt::format("{}{}", lower, digits);
bool is_name(std::string_view text) { return is_word(text, alphanumeric, "-", 63); }
bool is_package(std::string_view text) { return text.size() > 1 && is_word(text, alphanumeric, "+-.", 128); }
bool is_suite(std::string_view text) {
  return is_word(text, alphanumeric, "-./", 64) && text.find("..") == std::string_view::npos;
}
bool is_component(std::string_view text) { return is_word(text, lower, "-/0123456789", 64); }
bool is_module(std::string_view text) {
  return is_word(text, fmt::format("{}ABCDEFGHIJKLMNOPQRSTUVWXYZ", alphanumeric), "_-", 64);
}
bool is_digest(std::string_view text) { return text.size() == 64 && is_word(text, "0123456789abcdef", "", 64); }

Result<void> check_words(const LocatedTexts& words, bool (*is_good)(std::string_view), std::string_view what) {
  for (const auto& word : words)
    if (!is_good(word.value)) return wrong(word.at, fmt::format("\"{}\" is not {}", word.value, what));
  return {};
}

/// Appends a layer's words; "!word" takes an inherited one away.
Result<void> merge_words(std::vector<std::string>& list, const LocatedTexts& layer, bool (*is_good)(std::string_view),
                         std::string_view what) {
  for (const auto& word : layer) {
    const bool takes_away = word.value.starts_with('!');
    const auto text = word.value.substr(takes_away ? 1 : 0);
    TRY(check_words({{text, word.at}}, is_good, what));
    const auto found = std::find(list.begin(), list.end(), text);
    if (!takes_away) {
      if (found == list.end()) list.push_back(text);
      continue;
    }
    if (found == list.end()) {
      const auto close = nearest(text, Names(list.begin(), list.end()));
      return wrong(word.at, fmt::format("\"{}\" takes away what is not inherited", word.value),
                   close.empty() ? "" : fmt::format("did you mean \"!{}\"?", close));
    }
    list.erase(found);
  }
  return {};
}

Result<void> apply_name(std::string& into, const TableReader& table, std::string_view key) {
  const auto text = TRY(table.text(key));
  if (!text) return {};
  if (!is_name(text->value))
    return wrong(text->at, fmt::format("{} is \"{}\", expected up to 63 of a-z, 0-9 and -, not starting with -", key,
                                       text->value));
  into = text->value;
  return {};
}

Result<void> apply_import(Draft& draft, const TableReader& table, const std::string& folder) {
  for (const std::string_view key : {"suite", "packages", "components", "mirror"})
    if (table.has(key))
      return wrong(table.at(key), fmt::format("[base] has both image and {}", key),
                   "a base is either an image or made of packages");
  ImportedBase base;
  const auto image = TRY(table.text("image"));
  if (image->value.empty() || image->value.find('\0') != std::string::npos)
    return wrong(image->at, "image is not a path");
  base.path = (std::filesystem::absolute(folder) / image->value).lexically_normal().string();
  const auto format = TRY(choose(table, "format", formats));
  if (!format)
    return wrong(image->at, "[base] has an image without a format",
                 "add format = \"disk\" (qcow2, raw), \"tar\" or \"oci\"");
  base.kind = format->value;
  if (const auto digest = TRY(table.text("sha256"))) {
    if (!is_digest(digest->value))
      return wrong(digest->at, fmt::format("sha256 is \"{}\", expected 64 digits of 0-9 and a-f", digest->value));
    base.sha256 = digest->value;
  }
  draft.profile.base = std::move(base);
  return {};
}

Result<void> apply_mirror(PackageBase& base, const Located<std::string>& mirror) {
  const auto& text = mirror.value;
  const bool is_known = text.starts_with("https://") || text.starts_with("http://") || text.starts_with("file:///");
  const bool is_clean =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '[' && c != ']'; });
  if (!is_known || !is_clean || text.size() > 1024)
    return wrong(mirror.at, fmt::format("mirror is \"{}\", expected an http, https or file address", text));
  base.mirror = text;
  return {};
}

Result<void> apply_base(Draft& draft, const TableReader& table, const std::string& folder) {
  TRY(table.only({"suite", "packages", "components", "mirror", "image", "format", "sha256"}));
  if (table.has("image")) return apply_import(draft, table, folder);
  for (const std::string_view key : {"format", "sha256"})
    if (table.has(key))
      return wrong(table.at(key), fmt::format("[base] has {} without an image", key), "add image = \"...\"");
  if (table.raw().empty()) return {};
  auto base = std::holds_alternative<PackageBase>(draft.profile.base) ? std::get<PackageBase>(draft.profile.base)
                                                                      : PackageBase{};
  if (const auto suite = TRY(table.text("suite"))) {
    if (!is_suite(suite->value))
      return wrong(suite->at, fmt::format("suite is \"{}\", expected a name such as \"trixie\"", suite->value));
    base.suite = suite->value;
  }
  if (const auto packages = TRY(table.texts("packages")))
    TRY(merge_words(base.packages, *packages, is_package, "a package name"));
  if (const auto components = TRY(table.texts("components"))) {
    if (components->empty()) return wrong(table.at("components"), "components is empty, expected at least \"main\"");
    base.components.clear();
    TRY(merge_words(base.components, *components, is_component, "a component name"));
  }
  if (const auto mirror = TRY(table.text("mirror"))) TRY(apply_mirror(base, *mirror));
  draft.profile.base = std::move(base);
  return {};
}

Result<void> apply_kernel(Draft& draft, const TableReader& table) {
  TRY(table.only({"package", "command_line", "modules", "allow_shell", "execution"}));
  auto& kernel = draft.profile.kernel;
  if (const auto execution = TRY(choose(table, "execution", executions))) draft.profile.execution = execution->value;
  if (const auto package = TRY(table.text("package"))) {
    TRY(check_words({*package}, is_package, "a package name"));
    kernel.package = package->value;
  }
  if (const auto allow = TRY(table.boolean("allow_shell")))
    draft.shell = allow->value ? ShellAccess::allowed : ShellAccess::refused;
  if (const auto line = TRY(table.texts("command_line"))) {
    TRY(merge_command_line(kernel.command_line, *line, draft.shell));
    if (fmt::format("{}", fmt::join(kernel.command_line, " ")).size() > command_line_cap_bytes)
      return wrong(table.at("command_line"),
                   fmt::format("the kernel command line is longer than {} bytes", command_line_cap_bytes));
  }
  if (const auto modules = TRY(table.texts("modules"))) {
    for (const auto& name : *modules)
      if (name.value.find(".ko") != std::string::npos)
        return wrong(name.at, fmt::format("\"{}\" is a file name", name.value), "write the module's name without .ko");
    TRY(merge_words(kernel.modules, *modules, is_module, "a module name"));
  }
  return {};
}

Result<void> apply_root(Draft& draft, const TableReader& table) {
  TRY(table.only({"filesystem", "compression", "compression_level"}));
  if (const auto filesystem = TRY(choose(table, "filesystem", filesystems))) {
    draft.profile.root.filesystem = filesystem->value;
    draft.filesystem_at = filesystem->at;
  }
  if (const auto compression = TRY(choose(table, "compression", compressions))) {
    draft.compression = compression;
    draft.compression_level.reset();  // an inherited level is of another scale
  }
  if (const auto level = TRY(table.integer("compression_level", 0, 22)))
    draft.compression_level = Located<int>{static_cast<int>(level->value), level->at};
  return {};
}

Result<void> apply_disk(Draft& draft, const TableReader& table) {
  TRY(table.only({"esp_size", "root_size", "data_size", "swap_size", "allowed_partitions"}));
  auto& disk = draft.profile.disk;
  if (const auto types = TRY(table.texts("allowed_partitions"))) {
    disk.allowed_partitions.clear();
    for (const auto& type : *types) {
      const auto guid = parse_guid(type.value);
      if (!guid)
        return wrong(type.at, fmt::format("\"{}\" is not a partition type's GUID", type.value),
                     "see `systemd-id128 show`, or the Discoverable Partitions Specification");
      disk.allowed_partitions.push_back(*guid);
    }
  }
  TRY(apply_size(disk.esp_size_bytes, table, "esp_size", smallest_esp_bytes));
  TRY(apply_size(disk.root_size_bytes, table, "root_size", 0));
  TRY(apply_size(disk.data_size_bytes, table, "data_size", 0));
  if (table.has("swap_size")) draft.swap_at = table.at("swap_size");
  return apply_size(disk.swap_size_bytes, table, "swap_size", 0);
}

bool works_with(Compression compression, RootFilesystem filesystem) {
  switch (compression) {
    case Compression::zstd:
    case Compression::xz:
    case Compression::gzip:
      return filesystem == RootFilesystem::squashfs;
    case Compression::lz4hc:
      return filesystem == RootFilesystem::erofs;
    case Compression::lz4:
      return true;
  }
  return false;
}

struct Levels {
  int least, most, usual;
};
Levels levels_of(Compression compression) {
  switch (compression) {
    case Compression::zstd:
      return {1, 22, 3};
    case Compression::gzip:
      return {1, 9, 9};
    case Compression::lz4hc:
      return {0, 12, 9};
    case Compression::lz4:
    case Compression::xz:
      return {0, 0, 0};
  }
  return {0, 0, 0};
}

Result<void> finish_root(Draft& draft) {
  auto& root = draft.profile.root;
  const bool is_erofs = root.filesystem == RootFilesystem::erofs;
  root.compression = draft.compression ? draft.compression->value : (is_erofs ? Compression::lz4hc : Compression::zstd);
  if (!works_with(root.compression, root.filesystem))
    return wrong(draft.compression->at,
                 fmt::format("{} does not have this compression", is_erofs ? "erofs" : "squashfs"),
                 is_erofs ? "use lz4 or lz4hc" : "use zstd, xz, gzip or lz4");
  const auto levels = levels_of(root.compression);
  root.compression_level = draft.compression_level ? draft.compression_level->value : levels.usual;
  if (draft.compression_level && levels.most == 0)
    return wrong(draft.compression_level->at, "this compression has no levels");
  if (root.compression_level < levels.least || root.compression_level > levels.most)
    return wrong(draft.compression_level->at, fmt::format("compression_level is {}, expected {} to {}",
                                                          root.compression_level, levels.least, levels.most));
  return {};
}

}  // namespace

Result<void> apply_size(std::uint64_t& into, const TableReader& table, std::string_view key, std::uint64_t least) {
  const auto size = TRY(table.size(key));
  if (!size) return {};
  const bool is_default = size->value == 0 && least == 0;
  if (size->value % mebibyte != 0)
    return wrong(size->at, fmt::format("{} is {} bytes, expected a multiple of 1 MiB", key, size->value));
  if (!is_default && size->value < least)
    return wrong(size->at,
                 fmt::format("{} is {} MiB, expected at least {} MiB", key, size->value / mebibyte, least / mebibyte));
  if (size->value > largest_partition_bytes) return wrong(size->at, fmt::format("{} is larger than 64 TiB", key));
  into = size->value;
  return {};
}

Result<void> check_packages(const Draft& draft, const TextLocation& at, std::string_view table,
                            std::span<const std::string_view> needed) {
  const auto* base = std::get_if<PackageBase>(&draft.profile.base);
  if (base == nullptr) return {};
  for (const auto name : needed)
    if (std::find(base->packages.begin(), base->packages.end(), name) == base->packages.end())
      return wrong(at, fmt::format("{} needs the package {}", table, name),
                   fmt::format("add \"{}\" to packages of [base]", name));
  return {};
}

Result<void> apply_layer(Draft& draft, const TableReader& top, const std::string& folder) {
  TRY(top.only({"extends",  "name",      "version", "not_after", "generation", "role",    "base",
                "kernel",   "root",      "disk",    "boot",      "site",       "network", "proxy",
                "shipping", "collector", "bastion", "hardening", "ssh",        "users",   "time",
                "volume",   "keyserver", "files",   "modules"}));
  draft.profile.name.clear();  // a profile is itself: its name, version and end are never inherited
  draft.profile.version = 0;
  TRY(apply_name(draft.profile.name, top, "name"));
  TRY(apply_name(draft.profile.role, top, "role"));
  if (const auto version = TRY(top.integer("version", 1, std::numeric_limits<std::int64_t>::max())))
    draft.profile.version = static_cast<std::uint64_t>(version->value);
  draft.profile.not_after = 0;
  if (const auto end = TRY(top.time("not_after"))) draft.profile.not_after = end->value;
  if (const auto generation = TRY(top.integer("generation", 1, measure::generation_cap)))
    draft.profile.generation = static_cast<std::uint32_t>(generation->value);
  if (const auto table = TRY(top.table("base"))) TRY(apply_base(draft, *table, folder));
  if (const auto table = TRY(top.table("kernel"))) TRY(apply_kernel(draft, *table));
  if (const auto table = TRY(top.table("root"))) TRY(apply_root(draft, *table));
  if (const auto table = TRY(top.table("disk"))) TRY(apply_disk(draft, *table));
  if (const auto table = TRY(top.table("boot"))) TRY(apply_boot(draft, *table));
  TRY(apply_volumes(draft, TRY(top.tables("volume"))));
  if (const auto table = TRY(top.table("keyserver"))) TRY(apply_key_server(draft, *table));
  TRY(apply_network(draft.network, top, folder));
  if (const auto table = TRY(top.table("hardening"))) TRY(apply_hardening(draft, *table));
  if (const auto table = TRY(top.table("ssh"))) TRY(apply_ssh(draft, *table, folder));
  if (const auto table = TRY(top.table("users"))) TRY(apply_users(draft, *table));
  if (const auto table = TRY(top.table("time"))) TRY(apply_time(draft, *table));
  if (const auto table = TRY(top.table("files"))) TRY(apply_files(draft, *table, folder));
  if (const auto table = TRY(top.table("modules"))) TRY(apply_modules(draft, *table, folder));
  if (const auto table = TRY(top.table("shipping"))) TRY(apply_shipping(draft, *table, folder));
  if (const auto table = TRY(top.table("collector"))) TRY(apply_collector(draft, *table));
  if (const auto table = TRY(top.table("bastion"))) TRY(apply_bastion(draft, *table, folder));
  return {};
}

Result<Profile> finish(Draft draft) {
  auto& profile = draft.profile;
  const auto missing = [&](std::string_view key, std::string_view example) {
    return wrong(draft.end, fmt::format("the key \"{}\" is missing", key), fmt::format("add {} = {}", key, example));
  };
  if (profile.name.empty()) return missing("name", "\"inference\"");
  if (profile.version == 0) return missing("version", "1, and raise it with every release");
  if (profile.role.empty()) return missing("role", "\"inference\"");
  const auto* packages = std::get_if<PackageBase>(&profile.base);
  if (packages != nullptr && packages->packages.empty())
    return wrong(draft.end, "the profile has no base", "extend base.toml, or give packages or an image in [base]");
  for (const auto& parameter : profile.kernel.command_line)  // a file may take back the allow_shell of one it extends
    TRY(check_parameter({parameter, draft.end}, draft.shell));
  TRY(finish_hardening(draft));
  TRY(finish_network(draft.network, profile));
  finish_ssh(draft);
  TRY(check_lock_out(draft));
  finish_time(draft);
  TRY(finish_users(draft));
  TRY(finish_root(draft));
  TRY(finish_swap(draft));
  TRY(finish_volumes(draft));
  TRY(finish_boot(draft));
  TRY(finish_volume_keys(draft));
  TRY(finish_shipping(draft));
  TRY(finish_bastion(draft));
  TRY(finish_modules(draft));
  for (auto& [path, file] : draft.files) profile.files.push_back(std::move(file));
  return std::move(profile);
}

}  // namespace ingot::builder::detail
