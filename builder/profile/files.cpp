#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "ingot/base/source.hpp"
#include "layer.hpp"

namespace ingot::builder::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t all_files_cap_bytes = 64u << 20;  // they travel in the profile, so in memory
constexpr std::size_t path_cap_bytes = 4095;
/// Covered by a mount at boot: nobody would ever see a file there.
constexpr std::string_view hidden[] = {"/proc", "/sys", "/dev", "/run", "/tmp"};

Result<void> check_target(const Located<std::string>& path) {
  const auto bad = [&](std::string_view why) {
    return wrong(path.at, fmt::format("the path \"{}\" {}", path.value, why));
  };
  const auto& text = path.value;
  if (!text.starts_with('/')) return bad("is not absolute");
  if (text.size() > path_cap_bytes) return bad("is too long");
  if (text.ends_with('/')) return bad("names no file");
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return bad("has a control character");
  for (const auto& part : fs::path(text).relative_path())
    if (part == "." || part == "..") return bad("has a \".\" or \"..\" in it");
  if (text.find("//") != std::string::npos) return bad("has a double slash");
  for (const auto folder : hidden)
    if (text.starts_with(fmt::format("{}/", folder)))
      return bad(fmt::format("would be hidden by what is mounted on {} at boot", folder));
  return {};
}

Result<unsigned> parse_mode(const Located<std::string>& text) {
  unsigned mode = 0;
  const auto* end = text.value.data() + text.value.size();
  const auto parsed = std::from_chars(text.value.data(), end, mode, 8);
  if (parsed.ec != std::errc{} || parsed.ptr != end || text.value.size() < 3 || text.value.size() > 5 || mode > 07777)
    return wrong(text.at, fmt::format("mode is \"{}\", expected octal digits such as \"0644\"", text.value));
  return mode;
}

/// Made from the profile by config/: a file put over one of these would void what the baseline says of it.
struct Owned {
  std::string_view path;  ///< with a '/' at its end: everything below
  std::string_view table;
};
constexpr Owned owned[] = {
    {"/etc/ssh/", "[ssh] and [hardening.relax]"},
    {"/etc/sysctl.d/", "[hardening.relax]"},
    {"/etc/modprobe.d/", "[hardening.relax]"},
    {"/etc/audit/", "[hardening.relax]"},
    {"/etc/sudoers", "[users]"},
    {"/etc/sudoers.d/", "[users]"},
    {"/etc/passwd", "[users]"},
    {"/etc/group", "[users]"},
    {"/etc/shadow", "[users]"},
    {"/etc/gshadow", "[users]"},
    {"/etc/pam.d/", "[users]"},
    {"/etc/ingot/bastion-targets", "the site's flows"},
    {"/etc/ingot/onward_known_hosts", "[bastion]"},
    {"/etc/ingot/onward_ssh_config", "[bastion]"},
    {"/usr/lib/ingot/", "the tables of the profile"},
    {"/usr/lib/modules-load.d/ingot-modules.conf", "[modules]"},
};

Result<void> check_owner(const Located<std::string>& path) {
  for (const auto& one : owned)
    if (one.path.ends_with('/') ? path.value.starts_with(one.path) : path.value == one.path)
      return wrong(path.at, fmt::format("{} is made by Ingot, and the baseline says what is in it", path.value),
                   fmt::format("say what you want in {}", one.table));
  return {};
}

}  // namespace

Result<Buffer> read_profile_file(const Located<std::string>& source, std::string_view what, const std::string& folder,
                                 std::uint64_t cap_bytes) {
  const fs::path relative(source.value);
  const bool climbs = std::any_of(relative.begin(), relative.end(), [](const fs::path& part) { return part == ".."; });
  if (source.value.empty() || relative.is_absolute() || climbs || source.value.find('\0') != std::string::npos)
    return wrong(source.at, fmt::format("{} \"{}\" is not a path below the profile's folder", what, source.value));
  std::error_code code;
  const auto root = fs::canonical(folder, code);
  const auto real = fs::canonical(fs::path(folder) / relative, code);
  if (code) return wrong(source.at, fmt::format("{} \"{}\" cannot be read: {}", what, source.value, code.message()));
  const auto [at_root, at_real] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
  if (at_root != root.end())
    return wrong(source.at, fmt::format("{} \"{}\" is a link that leaves the profile's folder", what, source.value));
  if (!fs::is_regular_file(real, code))
    return wrong(source.at, fmt::format("{} \"{}\" is not a regular file", what, source.value));
  auto content = read_file(real.string(), cap_bytes);
  if (!content) return wrong(source.at, fmt::format("{} \"{}\": {}", what, source.value, content.error().message));
  return *std::move(content);
}

namespace {

Result<ExtraFile> read_entry(const std::string& path, const TextLocation& at, const TableReader& entry,
                             const std::string& folder) {
  TRY(entry.only({"content", "source", "mode", "uid", "gid"}));
  ExtraFile file;
  file.path = path;
  const auto content = TRY(entry.text("content"));
  const auto source = TRY(entry.text("source"));
  if (content && source)
    return wrong(source->at, fmt::format("{} has both content and source", path), "keep one of them");
  if (!content && !source) return wrong(at, fmt::format("{} has neither content nor source", path), "give one of them");
  if (content && content->value.size() > profile_file_cap_bytes)
    return wrong(content->at, fmt::format("content of {} bytes, expected at most {}", content->value.size(),
                                          profile_file_cap_bytes));
  file.content = content ? to_buffer(as_bytes(content->value)) : TRY(read_profile_file(*source, "source", folder));
  if (const auto* mode = entry.raw().get("mode"); mode != nullptr && mode->is_integer())
    return wrong(location(mode->source(), entry.file()), "mode is an integer, expected a string of octal digits",
                 "write \"0644\", with quotes");
  if (const auto mode = TRY(entry.text("mode"))) file.mode = TRY(parse_mode(*mode));
  constexpr std::int64_t id_most = UINT32_MAX - 1;  // the last one means "no change" to chown(2)
  if (const auto uid = TRY(entry.integer("uid", 0, id_most))) file.uid = static_cast<std::uint32_t>(uid->value);
  if (const auto gid = TRY(entry.integer("gid", 0, id_most))) file.gid = static_cast<std::uint32_t>(gid->value);
  return file;
}

}  // namespace

Result<void> apply_files(Draft& draft, const TableReader& files, const std::string& folder) {
  for (const auto& [key, node] : files.raw()) {
    const std::string path(key.str());
    const auto at = location(key.source(), files.file());
    TRY(check_target({path, at}));
    TRY(check_owner({path, at}));
    if (const auto* flag = node.as_boolean(); flag != nullptr && !flag->get()) {
      if (draft.files.erase(path) == 0)
        return wrong(at, fmt::format("{} = false takes away a file that is not inherited", path));
      continue;
    }
    const auto* table = node.as_table();
    if (table == nullptr)
      return wrong(location(node.source(), files.file()), fmt::format("{} is not a table", path),
                   "write { content = \"...\" } or { source = \"...\" }, or false to take an inherited file away");
    const TableReader entry(*table, files.file(), fmt::format("\"{}\"", path));
    draft.files.insert_or_assign(path, TRY(read_entry(path, at, entry, folder)));
  }
  std::uint64_t total = 0;
  for (const auto& [path, file] : draft.files) {
    total += file.content.size();
    const auto child = draft.files.lower_bound(path + "/");
    if (child != draft.files.end() && child->first.starts_with(path + "/"))
      return wrong(files.at(), fmt::format("{} is a file, and {} lies below it", path, child->first));
  }
  if (total > all_files_cap_bytes)
    return wrong(files.at(), fmt::format("[files] has {} bytes, expected at most {}", total, all_files_cap_bytes),
                 "put large content into a package or the base image");
  return {};
}

}  // namespace ingot::builder::detail
