// [modules] in a tree of Debian's own modules: who loads what is asked of modprobe.
#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/modules.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_signature.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/signer/key.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

struct ModuleLab {
  builder::TemporaryFolder work = scratch();
  signer::KeyFolder keys = signer::init_keys(work.path() + "/keys").value();
  signer::SigningKey db = signer::SigningKey::load(keys.key("db"), keys.certificate("db")).value();
  std::string release, folder;
  builder::Tree tree;  ///< the kernel's network drivers

  ModuleLab() {
    for (const auto& entry : fs::directory_iterator("/usr/lib/modules"))
      if (fs::exists(entry.path() / "kernel")) release = entry.path().filename().string();
    REQUIRE_FALSE(release.empty());
    folder = "/usr/lib/modules/" + release;
    for (const auto* part : {"/kernel/drivers/net", "/kernel/net/ipv4", "/kernel/net/ipv6"})
      for (const auto& entry : fs::recursive_directory_iterator(folder + part))
        if (entry.is_regular_file()) copy(entry.path().string());
    for (const auto* name : {"modules.order", "modules.builtin", "modules.builtin.modinfo"}) copy(folder + "/" + name);
  }
  void copy(const std::string& path) { REQUIRE(tree.put_file(path, bytes(path))); }
  static Buffer bytes(const std::string& path) { return read_file(path, codec::module_cap_bytes).value(); }
  /// The path of a module of the kernel.
  [[nodiscard]] std::string of_kernel(const std::string& name) const {
    for (const auto& [path, entry] : tree.entries)
      if (path.ends_with("/" + name + ".ko")) return path;
    FAIL("the kernel has no module " << name);
    return {};
  }
  /// A vendor's build: the kernel's module, compressed as the vendor likes it, at line 7 of the profile.
  [[nodiscard]] ModuleFile vendors(const std::string& name, Buffer module) const {
    return {name,
            "drivers/" + name + ".ko.zst",
            memory_source(codec::compress_module(module, codec::ModuleCompression::zstd).value()),
            {"profile.toml", 7, 10}};
  }
  [[nodiscard]] Result<builder::AddedModules> add(const Profile::Modules& modules) {
    return builder::add_modules(tree, release, modules, db, work.path());
  }
  /// What modprobe would load, in order, by the tree's indexes alone.
  [[nodiscard]] std::string modprobe(const std::string& name) const {
    const auto root = work.path() + "/root";
    fs::remove_all(root);
    for (const auto& [path, entry] : tree.entries)
      if (entry.type == builder::EntryType::file && path.starts_with(folder)) {
        fs::create_directories(fs::path(root + path).parent_path());
        REQUIRE(write_file(root + path, builder::read_tree_file(tree, path).value()));
      }
    fs::create_directory(work.path() + "/none");
    if (!fs::exists(root + "/lib")) fs::create_directory_symlink("usr/lib", root + "/lib");
    return output_of({"modprobe", "-C", work.path() + "/none", "-d", root, "-S", release, "--show-depends", name});
  }
};

bool says(const std::string& text, const std::string& what) { return text.find(what) != text.npos; }

}  // namespace

TEST_CASE("modules in a tree: signed by db, preferred by modprobe, found by those that need them, the same twice") {
  ModuleLab lab;
  const auto vxlan_path = lab.of_kernel("vxlan"), tunnel_path = lab.of_kernel("udp_tunnel");
  const auto tunnel = lab.bytes(tunnel_path);
  // One that replaces the kernel's, one that the kernel does not have (any more) and that others need.
  lab.tree.remove(tunnel_path);
  const Profile::Modules modules{{lab.vendors("udp_tunnel", tunnel), lab.vendors("vxlan", lab.bytes(vxlan_path))},
                                 {"vxlan"}};
  const auto before = lab.tree;
  const auto added = lab.add(modules);
  REQUIRE(added);
  const auto ours = lab.folder + "/updates/ingot/vxlan.ko";
  const auto file = builder::read_tree_file(lab.tree, ours).value();
  REQUIRE(added->modules.size() == 2);
  CHECK(added->modules[1].name == "vxlan");
  CHECK(added->modules[1].sha256 == crypto::sha256_hex(file));
  CHECK(added->modules[1].signer == "CN=Ingot Secure Boot Signing");
  REQUIRE(added->settings.size() == 2);
  CHECK(added->settings[1].value == "out-of-tree");
  CHECK(added->settings[1].file == ours);
  REQUIRE(write_file(lab.work.path() + "/vxlan.ko", file));
  CHECK(output_of({"modinfo", "-F", "signer", lab.work.path() + "/vxlan.ko"}) == "Ingot Secure Boot Signing\n");
  CHECK(as_text(builder::read_tree_file(lab.tree, "/usr/lib/modules-load.d/ingot-modules.conf").value()) == "vxlan\n");
  const auto plan = lab.modprobe("vxlan");
  INFO(plan);
  CHECK(says(plan, "/updates/ingot/vxlan.ko"));
  CHECK(says(plan, "/updates/ingot/udp_tunnel.ko"));
  CHECK(says(plan, "/kernel/net/ipv6/ip6_udp_tunnel.ko"));
  CHECK_FALSE(says(plan, vxlan_path));
  CHECK(says(lab.modprobe("geneve"), "/updates/ingot/udp_tunnel.ko"));  // by its symbols
  const auto digest = builder::tree_digest(lab.tree);
  lab.tree = before;
  REQUIRE(lab.add(modules));
  CHECK(builder::tree_digest(lab.tree) == digest);
}

TEST_CASE("modules in a tree: for another kernel, of another name, without what it needs, or no module: refused") {
  ModuleLab lab;
  const auto before = builder::tree_digest(lab.tree);
  const auto dummy = lab.bytes(lab.of_kernel("dummy"));
  const auto refused = [&](const ModuleFile& file, ErrorCode code, const std::string& part) {
    const auto added = lab.add({{file}, {}});
    REQUIRE_FALSE(added);
    const auto text = describe(added.error());
    INFO(text);
    CHECK(added.error().code == code);
    CHECK(says(text, part));
    REQUIRE(added.error().at);
    CHECK(added.error().at->line == 7);
  };
  auto other = dummy;
  const auto at = as_text(other).find("vermagic=6.");
  REQUIRE(at != std::string_view::npos);
  other[at + 9] = '7';
  refused(lab.vendors("dummy", other), ErrorCode::malformed, "was built for \"7.");
  refused(lab.vendors("nvidia", dummy), ErrorCode::malformed, "says that its name is dummy");
  refused(lab.vendors("nvidia", to_buffer(as_bytes("no module"))), ErrorCode::malformed, "not an ELF file");
  CHECK(builder::tree_digest(lab.tree) == before);
  auto cut = lab.vendors("dummy", dummy);
  cut.content = slice_source(cut.content, 0, cut.content->size() - 1).value();
  refused(cut, ErrorCode::malformed, "ends early");
  const auto vxlan = lab.bytes(lab.of_kernel("vxlan"));
  lab.tree.remove(lab.of_kernel("udp_tunnel"));
  refused(lab.vendors("vxlan", vxlan), ErrorCode::missing, "depends on udp_tunnel");
}
