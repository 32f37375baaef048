#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/modules.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_signature.hpp"
#include "ingot/crypto/detached.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/signer/module.hpp"
#include "kernel.hpp"
#include "modules.hpp"
#include "tree_stream.hpp"

namespace ingot::builder {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t index_cap_bytes = 64u << 20;
constexpr std::string_view load_list = "/usr/lib/modules-load.d/ingot-modules.conf";
/// What depmod reads beside modules; all else of its name it writes (depmod(8)).
constexpr std::string_view depmod_inputs[] = {"modules.order", "modules.builtin", "modules.builtin.modinfo"};

bool is_module(std::string_view path) {
  using codec::ModuleCompression;
  for (const auto kind :
       {ModuleCompression::none, ModuleCompression::xz, ModuleCompression::zstd, ModuleCompression::gzip})
    if (path.ends_with(codec::module_suffix(kind))) return true;
  return false;
}

/// Calls `each` with path and entry of every regular file below a folder.
template <typename Each>
Result<void> for_each_file(const Tree& tree, const std::string& folder, Each each) {
  const auto prefix = folder + "/";
  for (auto at = tree.entries.lower_bound(prefix); at != tree.entries.end() && at->first.starts_with(prefix); ++at)
    if (at->second.type == EntryType::file) TRY(each(at->first, at->second));
  return {};
}

/// The kernel's own word, which all of its modules repeat.
Result<std::string> vermagic_of_kernel(const Tree& tree, const std::string& folder) {
  const auto prefix = folder + "/kernel/";
  for (auto at = tree.entries.lower_bound(prefix); at != tree.entries.end() && at->first.starts_with(prefix); ++at) {
    if (at->second.type != EntryType::file || !is_module(at->first)) continue;
    const auto file = TRY(read_tree_file(tree, at->first, codec::module_cap_bytes));
    const auto module = TRY_IN(at->first, codec::decompress_module(file, codec::module_compression(file)));
    return TRY_IN(at->first, codec::decode_module_info(module)).vermagic;
  }
  return fail(ErrorCode::missing, fmt::format("{} has no module to compare the profile's with", folder),
              "use a kernel package that has its modules");
}

/// What was signed by the key before, where the key is on another machine (`ingot sign module`): the same bytes.
Result<std::optional<signer::SignedModule>> signed_before(Bytes module, const signer::SigningKey& key) {
  const auto parts = TRY(codec::decode_module_signature(module));
  if (!parts || TRY(codec::without_module_signatures(module)).size() != parts->content.size() ||
      !crypto::verify_detached(parts->pkcs7, parts->content, TRY(key.certificate())))
    return std::optional<signer::SignedModule>{};
  return signer::SignedModule{TRY(codec::decode_module_info(parts->content)), to_buffer(module)};
}

Result<signer::SignedModule> sign_one(const ModuleFile& file, const std::string& vermagic,
                                      const signer::SigningKey& key) {
  const auto packed = TRY(read_all(*file.content, codec::module_cap_bytes));
  const auto plain = TRY(codec::decompress_module(packed, codec::module_compression(packed)));
  auto before = TRY(signed_before(plain, key));
  auto module = before ? *std::move(before) : TRY(signer::sign_module(plain, key, signer::OldSignature::replaced));
  if (module.info.name != file.name)
    return fail(ErrorCode::malformed, fmt::format("it says that its name is {}", module.info.name),
                "name the file after the module: modprobe looks for that");
  if (module.info.vermagic != vermagic)
    return fail(
        ErrorCode::malformed,
        fmt::format("it was built for \"{}\", and the image's kernel is \"{}\"", module.info.vermagic, vermagic),
        "build it against the headers of the image's kernel, which would not load it");
  return module;
}

/// An error of the profile's file, with the place where the profile names it.
Result<signer::SignedModule> sign_file(const ModuleFile& file, const std::string& vermagic,
                                       const signer::SigningKey& key) {
  auto module = sign_one(file, vermagic, key);
  if (module) return module;
  auto error = std::move(module).error().in(file.path);
  if (error.code == ErrorCode::malformed) error.at = file.at;
  return fail(std::move(error));
}

/// For depmod alone, and gone again soon: nobody waits until it is on the disk.
Result<void> copy_out(const TreeEntry& entry, const std::string& path) {
  std::error_code ec;
  fs::create_directories(fs::path(path).parent_path(), ec);
  if (ec) return fail(io_error(fmt::format("creating {}", path), ec.value()));
  const auto content = TRY(read_all(*detail::content_of(entry), codec::module_cap_bytes));
  std::ofstream file(path, std::ios::binary);
  file << as_text(content);
  if (!file.flush()) return fail(io_error(fmt::format("writing {}", path), errno));
  return {};
}

/// depmod of this machine over a copy of the tree's modules, its configuration ours: the tree's own indexes were made
/// when its packages were configured.
Result<void> make_indexes(Tree& tree, const std::string& release, const std::string& folder,
                          const std::string& scratch) {
  const auto work = TRY(TemporaryFolder::create(scratch, ".depmod-"));
  const auto copy = work.path() + folder;
  TRY(for_each_file(tree, folder, [&](const std::string& path, const TreeEntry& entry) -> Result<void> {
    const auto name = path.substr(folder.size() + 1);
    const bool is_input =
        std::find(std::begin(depmod_inputs), std::end(depmod_inputs), name) != std::end(depmod_inputs);
    return is_module(path) || is_input ? copy_out(entry, work.path() + path) : Result<void>{};
  }));
  std::error_code ec;
  fs::create_directory(work.path() + "/configuration", ec);
  // Where kmod looks below its base folder depends on its release.
  if (!ec) fs::create_directory_symlink("usr/lib", work.path() + "/lib", ec);
  if (ec) return fail(io_error(fmt::format("preparing {}", work.path()), ec.value()));
  TRY(write_file(work.path() + "/configuration/search.conf", as_bytes("search updates built-in\n")));
  TRY(run_checked({.argv = {"depmod", "-C", work.path() + "/configuration", "-b", work.path(), release}}));
  for (const auto& entry : fs::directory_iterator(copy, ec)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with("modules.") ||
        std::find(std::begin(depmod_inputs), std::end(depmod_inputs), name) != std::end(depmod_inputs))
      continue;
    TRY(tree.put_file(folder + "/" + name, TRY(read_file(entry.path().string(), index_cap_bytes))));
  }
  if (ec) return fail(io_error(fmt::format("reading {}", copy), ec.value()));
  return {};
}

/// depmod passes over what is missing.
Result<void> check_needs(const Tree& tree, const std::string& folder, const ModuleFile& file,
                         const codec::ModuleInfo& info) {
  const auto known = TRY(detail::KernelModules::load(tree, folder));
  for (const auto& name : info.depends)
    if (!known.has(name))
      return fail(Error{ErrorCode::missing,
                        fmt::format("{} depends on {}, which neither the kernel nor [modules] has", file.path, name),
                        "give that module's file, too", std::nullopt, file.at});
  return {};
}

}  // namespace

Result<std::string> kernel_release(const Tree& base) { return TRY(find_kernel(base)).release; }

Result<AddedModules> add_modules(Tree& tree, const std::string& release, const Profile::Modules& modules,
                                 const signer::SigningKey& key, const std::string& scratch) {
  const auto folder = "/usr/lib/modules/" + release;
  const auto vermagic = TRY(vermagic_of_kernel(tree, folder));
  const auto signer = TRY(key.certificate()).subject();
  AddedModules out;
  std::vector<codec::ModuleInfo> infos;
  for (const auto& file : modules.files) {
    auto module = TRY(sign_file(file, vermagic, key));
    const auto path = fmt::format("{}/updates/ingot/{}.ko", folder, file.name);
    out.modules.push_back({file.name, crypto::sha256_hex(module.bytes), signer});
    out.settings.push_back({SettingArea::module, file.name, "out-of-tree", path, "[modules]", ""});
    infos.push_back(std::move(module.info));
    TRY(tree.put_file(path, std::move(module.bytes)));
  }
  TRY(make_indexes(tree, release, folder, scratch));
  for (std::size_t i = 0; i < infos.size(); ++i) TRY(check_needs(tree, folder, modules.files[i], infos[i]));
  if (modules.load.empty()) return out;
  std::string list;
  for (const auto& name : modules.load) list += name + "\n";
  TRY(tree.put_file(std::string(load_list), to_buffer(as_bytes(list))));
  return out;
}

}  // namespace ingot::builder
