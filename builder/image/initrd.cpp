// The initrd, picked from the same tree as the root: one table of what goes in, and the closure of what that needs.
#include <fmt/format.h>

#include <algorithm>

#include "elf.hpp"
#include "ingot/base/output.hpp"
#include "ingot/builder/image.hpp"
#include "initrd_parts.hpp"
#include "kernel.hpp"
#include "modules.hpp"
#include "tree_stream.hpp"

namespace ingot::builder {
namespace {

using detail::ElfNeeds;

constexpr int symlink_limit = 40;  // as Linux: MAXSYMLINKS
constexpr std::string_view unit_folder = "/usr/lib/systemd/system";
/// 9 gives 5% more than the default for twice its time; decompression costs the same.
constexpr int zstd_level = 9;

Error missing(std::string message, std::string remedy) {
  return Error{ErrorCode::missing, std::move(message), std::move(remedy), std::nullopt, std::nullopt};
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

/// Picks files out of one tree into another.
class Picker {
 public:
  explicit Picker(const Tree& from) : from_(from) {
    const std::string prefix = "/usr/lib/";
    for (auto at = from.entries.lower_bound(prefix); at != from.entries.end() && at->first.starts_with(prefix); ++at)
      if (at->second.type == EntryType::directory && at->first.ends_with("-linux-gnu") &&
          parent_of(at->first) == "/usr/lib")
        library_folders_.push_back(at->first);
    library_folders_.insert(library_folders_.end(), {"/usr/lib64", "/lib64", "/usr/lib", "/lib"});
  }

  /// A path with the symlinks on its way, what it ends at, and all libraries that this needs. False when it is not
  /// there.
  Result<bool> add(const std::string& path) { return add_following(path, symlink_limit); }

  Result<void> require(const std::string& path) {
    if (TRY(add(path))) return {};
    return fail(missing(
        fmt::format("the base tree has no {}, which the initrd needs", path),
        "add the package that carries it to base.packages (systemd, systemd-cryptsetup, udev, dmsetup, kmod, mount)"));
  }

  /// The first of the library folders' files that start so, with what it links to.
  Result<void> add_library_by_prefix(std::string_view prefix) {
    for (const auto& folder : library_folders_) {
      const auto start = fmt::format("{}/{}", folder, prefix);
      const auto found = from_.entries.lower_bound(start);
      if (found == from_.entries.end() || !found->first.starts_with(start)) continue;
      (void)TRY(add(found->first));
      return {};
    }
    return {};
  }

  [[nodiscard]] const std::vector<std::string>& library_folders() const { return library_folders_; }
  Tree out;

 private:
  Result<bool> add_following(const std::string& path, int links_left) {
    std::string at;
    for (std::size_t from = 1; from <= path.size();) {
      const auto end = std::min(path.find('/', from), path.size());
      const auto name = path.substr(from, end - from);
      from = end + 1;
      if (name.empty() || name == ".") continue;
      if (name == "..") {
        at = at.empty() ? at : at.substr(0, at.rfind('/'));
        continue;
      }
      at += "/" + name;
      const auto* entry = from_.find(at);
      if (entry == nullptr) return false;
      if (entry->type == EntryType::symlink) {
        if (links_left == 0) return fail(ErrorCode::malformed, fmt::format("{}: too many symbolic links", path));
        copy(at, *entry);
        const auto rest = from <= path.size() ? "/" + path.substr(from) : std::string();
        const auto base = entry->link_target.starts_with('/') ? std::string() : parent_of(at) + "/";
        return add_following(base + entry->link_target + rest, links_left - 1);
      }
      const bool is_new = copy(at, *entry);
      if (entry->type == EntryType::file && is_new) TRY(add_needs_of(at, *entry));
    }
    return true;
  }

  /// True when it was not there yet.
  bool copy(const std::string& path, const TreeEntry& entry) {
    const auto [place, is_new] = out.entries.try_emplace(path, entry);
    // A cpio has neither links nor attributes, and an initrd nobody for whom set-id could mean anything.
    place->second.hard_link_to.clear();
    place->second.xattrs.clear();
    place->second.mode &= ~06000U;
    return is_new;
  }

  Result<void> add_needs_of(const std::string& path, const TreeEntry& entry) {
    const auto elf = TRY_IN(path, detail::read_elf(*detail::content_of(entry)));
    if (!elf) return {};
    if (!elf->interpreter.empty()) TRY(require(elf->interpreter));
    for (const auto& library : elf->libraries) TRY(add_library(library, path, *elf));
    return {};
  }

  /// ld.so(8): DT_RUNPATH of the file itself, then the standard folders; there is no ld.so.cache in the initrd. Last
  /// the DT_RUNPATH of what uses the file: a library that its program has loaded already is not searched again.
  Result<void> add_library(const std::string& name, const std::string& user, const ElfNeeds& elf) {
    std::vector<std::string> folders;
    for (auto folder : elf.search) {
      for (const std::string_view origin : {"${ORIGIN}", "$ORIGIN"})
        if (const auto at = folder.find(origin); at != std::string::npos)
          folder.replace(at, origin.size(), parent_of(user));
      folders.push_back(folder);
      if (std::find(seen_folders_.begin(), seen_folders_.end(), folder) == seen_folders_.end())
        seen_folders_.push_back(folder);
    }
    folders.insert(folders.end(), library_folders_.begin(), library_folders_.end());
    folders.insert(folders.end(), seen_folders_.begin(), seen_folders_.end());
    for (const auto& folder : folders)
      if (from_.resolve(folder + "/" + name) != nullptr && TRY(add(folder + "/" + name))) return {};
    return fail(missing(fmt::format("{} needs the library {}, which the base tree does not have", user, name),
                        "add the package that carries it to base.packages"));
  }

  const Tree& from_;
  std::vector<std::string> library_folders_;
  std::vector<std::string> seen_folders_;
};

Result<void> put_text(Tree& tree, const std::string& path, std::string_view text, unsigned mode = 0644) {
  return tree.put_file(path, to_buffer(as_bytes(text)), mode);
}

/// "modprobe@loop.service" -> "modprobe@.service".
std::string template_of(const std::string& unit) {
  const auto at = unit.find('@');
  const auto dot = unit.rfind('.');
  if (at == std::string::npos || dot == std::string::npos || dot < at) return unit;
  return unit.substr(0, at + 1) + unit.substr(dot);
}

/// The units of the table, their drop-ins, and the links by which one of them pulls in another.
Result<void> add_units(Picker& picker, const Tree& tree, const std::vector<std::string>& extra) {
  const auto has = [&](const std::string& unit) {
    return picker.out.find(fmt::format("{}/{}", unit_folder, template_of(unit))) != nullptr;
  };
  for (const auto unit : detail::units) (void)TRY(picker.add(fmt::format("{}/{}", unit_folder, unit)));
  for (const auto& unit : extra) TRY(picker.require(fmt::format("{}/{}", unit_folder, unit)));
  const auto prefix = fmt::format("{}/", unit_folder);
  for (auto at = tree.entries.lower_bound(prefix); at != tree.entries.end() && at->first.starts_with(prefix); ++at) {
    const auto name = at->first.substr(prefix.size());
    const auto slash = name.find('/');
    if (slash == std::string::npos || at->second.type == EntryType::directory) continue;
    const auto folder = name.substr(0, slash);
    const auto file = name.substr(slash + 1);
    const auto kind = folder.rfind('.');
    if (kind == std::string::npos || !has(folder.substr(0, kind))) continue;
    const auto ending = folder.substr(kind);
    if (ending == ".d" || ((ending == ".wants" || ending == ".requires") && has(file)))
      (void)TRY(picker.add(at->first));
  }
  TRY(put_text(picker.out, fmt::format("{}/emergency.service", unit_folder), detail::emergency_unit));
  for (const auto unit : detail::masked_units)
    TRY(picker.out.put_symlink(fmt::format("/etc/systemd/system/{}", unit), "/dev/null"));
  return {};
}

Result<void> add_modules(Picker& picker, const Tree& tree, const InitrdOptions& options) {
  const auto kernel = TRY(find_kernel(tree));
  const auto folder = "/usr/lib/modules/" + kernel.release;
  const auto modules = TRY(detail::KernelModules::load(tree, folder));
  auto names = options.extra_modules;
  for (const auto& name : detail::required_modules) names.emplace_back(name);
  for (const auto& name : names)
    if (!modules.has(name))
      return fail(missing(fmt::format("kernel {} has no module {}", kernel.release, name),
                          "use another kernel.package, or check kernel.modules"));
  if (!modules.has("squashfs") && !modules.has("erofs"))
    return fail(
        missing(fmt::format("kernel {} has neither squashfs nor erofs", kernel.release), "use another kernel.package"));
  for (const auto& name : detail::optional_modules) names.emplace_back(name);
  names.insert(names.end(), options.wished_modules.begin(), options.wished_modules.end());
  for (const auto& path : modules.closure(names)) TRY(picker.require(path));
  for (const auto& name : detail::module_indexes) (void)TRY(picker.add(fmt::format("{}/{}", folder, name)));
  return {};
}

/// What makes it an initrd to systemd, accounts without a password, and the folders that are mounted over.
Result<void> add_identity(Picker& picker, const Tree& tree) {
  auto& out = picker.out;
  const auto release = TRY(read_tree_file(tree, "/etc/os-release", 1u << 20));
  TRY(put_text(out, "/usr/lib/initrd-release", as_text(release)));
  TRY(out.put_symlink("/etc/initrd-release", "../usr/lib/initrd-release"));
  TRY(out.put_symlink("/etc/os-release", "../usr/lib/initrd-release"));
  TRY(out.put_symlink("/usr/lib/os-release", "initrd-release"));
  TRY(put_text(out, "/etc/shadow", "root:!*:::::::\n", 0600));
  TRY(put_text(out, "/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n"));
  TRY(out.put_symlink("/init", "usr/lib/systemd/systemd"));
  for (const auto* folder : {"/dev", "/proc", "/run", "/sys", "/sysroot", "/var"}) TRY(out.put_directory(folder));
  TRY(out.put_directory("/root", 0700));
  return out.put_directory("/tmp", 01777);
}

Result<Tree> pick(const Tree& tree, const InitrdOptions& options) {
  Picker picker(tree);
  for (const auto* link : {"/bin", "/sbin", "/lib", "/lib64"})
    if (const auto* entry = tree.find(link); entry != nullptr && entry->type == EntryType::symlink)
      (void)TRY(picker.add(link));
  for (const auto path : detail::required_files) TRY(picker.require(std::string(path)));
  for (const auto& path : options.extra_files) TRY(picker.require(path));
  for (const auto path : detail::optional_files) (void)TRY(picker.add(std::string(path)));
  for (const auto prefix : detail::loaded_libraries) TRY(picker.add_library_by_prefix(prefix));
  for (const auto& folder : picker.library_folders())
    (void)TRY(picker.add(fmt::format("{}/{}", folder, detail::tpm2_token_plugin)));
  TRY(add_units(picker, tree, options.extra_units));
  TRY(add_modules(picker, tree, options));
  TRY(add_identity(picker, tree));
  return std::move(picker.out);
}

}  // namespace

Result<void> write_initrd(const Tree& content, const std::string& out_path, Progress& progress) {
  auto out = TRY(OutputFile::create(out_path));
  TRY(detail::write_cpio_zstd(
      content, zstd_level, [&](Bytes bytes) { return out.write(bytes); }, &progress));
  return out.commit();
}

Result<void> make_initrd(const Tree& tree, const InitrdOptions& options, const std::string& out_path,
                         Progress& progress) {
  return write_initrd(TRY_IN("the initrd", pick(tree, options)), out_path, progress);
}

}  // namespace ingot::builder
