// The initrd made from a small tree: what is in it, what must not be, and that it is the same each time.
#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "../../builder/image/initrd_parts.hpp"
#include "../../builder/image/modules.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/builder/process.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace parts = ingot::builder::detail;

namespace {

const std::string modules_folder = "/usr/lib/modules/6.12-test";

void put(Tree& tree, const std::string& path, std::string_view text, unsigned mode = 0644) {
  REQUIRE(tree.put_file(path, to_buffer(as_bytes(text)), mode));
}

/// The least tree that make_initrd accepts. Programs are texts: the ELF reader has its own tests.
Tree small_tree() {
  Tree tree;
  REQUIRE(tree.put_directory("/"));
  for (const auto* name : {"bin", "sbin", "lib", "lib64"})
    REQUIRE(tree.put_symlink(fmt::format("/{}", name), fmt::format("usr/{}", name)));
  REQUIRE(tree.put_directory("/usr/lib64"));
  for (const auto path : parts::required_files) put(tree, std::string(path), "program", 0755);
  put(tree, "/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
  put(tree, "/etc/os-release", "ID=debian\n");
  put(tree, "/etc/shadow", "root:$y$secret:1::::::\n", 0640);
  put(tree, "/usr/bin/bash", "shell", 0755);
  put(tree, "/usr/bin/sulogin", "shell", 0755);
  REQUIRE(tree.put_symlink("/usr/sbin/modprobe", "../bin/kmod"));
  const std::string units = "/usr/lib/systemd/system/";
  for (const auto* unit : {"initrd.target", "sysinit.target", "emergency.target", "veritysetup.target",
                           "modprobe@.service", "getty.target"})
    put(tree, units + unit, unit);
  put(tree, units + "emergency.service", "[Service]\nExecStart=-/usr/lib/systemd/systemd-sulogin-shell emergency\n");
  put(tree, units + "initrd.target.d/10-x.conf", "drop-in");
  REQUIRE(tree.put_symlink(units + "sysinit.target.wants/veritysetup.target", "../veritysetup.target"));
  REQUIRE(tree.put_symlink(units + "sysinit.target.wants/getty.target", "../getty.target"));
  REQUIRE(tree.put_symlink(units + "sysinit.target.wants/modprobe@loop.service", "../modprobe@.service"));
  put(tree, "/boot/vmlinuz-6.12-test", "kernel");
  put(tree, modules_folder + "/modules.dep",
      "kernel/dm-mod.ko.xz:\nkernel/dm-bufio.ko.xz: kernel/dm-mod.ko.xz\nkernel/dm-verity.ko.xz: kernel/dm-bufio.ko.xz "
      "kernel/dm-mod.ko.xz\nkernel/overlay.ko.xz:\nkernel/sound.ko.xz:\nkernel/extra.ko.xz:\nkernel/soft.ko.xz:\n");
  put(tree, modules_folder + "/modules.builtin", "kernel/fs/squashfs/squashfs.ko\n");
  put(tree, modules_folder + "/modules.softdep", "# comment\nsoftdep extra pre: soft post: crypto-nothing\n");
  put(tree, modules_folder + "/modules.dep.bin", "index");
  for (const auto* name : {"dm-mod", "dm-bufio", "dm-verity", "overlay", "sound", "extra", "soft"})
    put(tree, fmt::format("{}/kernel/{}.ko.xz", modules_folder, name), name);
  return tree;
}

struct Unpacked {
  std::vector<std::string> names;  ///< in archive order
  std::map<std::string, std::string> content;
  std::map<std::string, unsigned> mode;
  std::vector<std::int64_t> inodes;
  bool has(const std::string& name) const { return mode.contains(name); }
};

Unpacked unpack(const std::string& path) {
  Unpacked out;
  const std::unique_ptr<archive, void (*)(archive*)> in(archive_read_new(), [](archive* a) { archive_read_free(a); });
  archive_read_support_filter_zstd(in.get());
  archive_read_support_format_cpio(in.get());
  REQUIRE(archive_read_open_filename(in.get(), path.c_str(), 65536) == ARCHIVE_OK);
  archive_entry* entry = nullptr;
  while (archive_read_next_header(in.get(), &entry) == ARCHIVE_OK) {
    const std::string name = archive_entry_pathname(entry);
    out.names.push_back(name);
    out.mode[name] = static_cast<unsigned>(archive_entry_perm(entry));
    out.inodes.push_back(archive_entry_ino64(entry));
    CHECK(archive_entry_mtime(entry) == image_time);
    CHECK(archive_entry_uid(entry) == 0);
    if (const char* target = archive_entry_symlink(entry)) out.content[name] = target;
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    std::string text(static_cast<std::size_t>(archive_entry_size(entry)), '\0');
    REQUIRE(archive_read_data(in.get(), text.data(), text.size()) == static_cast<la_ssize_t>(text.size()));
    out.content[name] = text;
  }
  return out;
}

struct Made {
  Unpacked initrd;
  Buffer bytes;
};
Made make(const Tree& tree, const InitrdOptions& options = {}) {
  const auto folder = TemporaryFolder::create("/tmp", "ingot-initrd-test-").value();
  const auto done = make_initrd(tree, options, folder.path() + "/initrd", silent_progress());
  if (!done) FAIL(describe(done.error()));
  return {unpack(folder.path() + "/initrd"), read_file(folder.path() + "/initrd", 16u << 20).value()};
}

}  // namespace

TEST_CASE("initrd: systemd starts it and takes it for an initrd") {
  const auto initrd = make(small_tree()).initrd;
  CHECK(initrd.content.at("init") == "usr/lib/systemd/systemd");
  CHECK(initrd.content.at("etc/initrd-release") == "../usr/lib/initrd-release");
  CHECK(initrd.content.at("usr/lib/initrd-release") == "ID=debian\n");
  CHECK(initrd.content.at("lib64") == "usr/lib64");
  CHECK(initrd.content.at("usr/sbin/modprobe") == "../bin/kmod");
  for (const auto* folder : {"dev", "proc", "sys", "run", "sysroot", "tmp"}) CHECK(initrd.has(folder));
  CHECK(initrd.mode.at("tmp") == 01777);
}

TEST_CASE("initrd: nobody gets a shell") {
  const auto initrd = make(small_tree()).initrd;
  CHECK(initrd.content.at("etc/shadow") == "root:!*:::::::\n");
  CHECK(initrd.mode.at("etc/shadow") == 0600);
  for (const auto* name : {"usr/bin/bash", "usr/bin/sh", "usr/bin/sulogin", "usr/lib/systemd/systemd-sulogin-shell"})
    CHECK(!initrd.has(name));
  const auto& emergency = initrd.content.at("usr/lib/systemd/system/emergency.service");
  CHECK(emergency.find("sulogin") == std::string::npos);
  CHECK(emergency.find("poweroff-force") != std::string::npos);
  for (const auto* unit : {"rescue.service", "rescue.target", "debug-shell.service"})
    CHECK(initrd.content.at(fmt::format("etc/systemd/system/{}", unit)) == "/dev/null");
}

TEST_CASE("initrd: units come with their drop-ins and the links among them only") {
  const auto initrd = make(small_tree()).initrd;
  const std::string units = "usr/lib/systemd/system/";
  CHECK(initrd.has(units + "initrd.target.d/10-x.conf"));
  CHECK(initrd.has(units + "sysinit.target.wants/veritysetup.target"));
  CHECK(initrd.has(units + "sysinit.target.wants/modprobe@loop.service"));
  CHECK(!initrd.has(units + "sysinit.target.wants/getty.target"));
  CHECK(!initrd.has(units + "getty.target"));
}

TEST_CASE("initrd: modules come with what they depend on") {
  const auto kernel = modules_folder.substr(1) + "/kernel/";
  const auto plain = make(small_tree()).initrd;
  for (const auto* name : {"dm-mod", "dm-bufio", "dm-verity"})
    CHECK(plain.has(fmt::format("{}{}.ko.xz", kernel, name)));
  for (const auto* name : {"sound", "extra", "soft"}) CHECK(!plain.has(fmt::format("{}{}.ko.xz", kernel, name)));
  CHECK(plain.has(modules_folder.substr(1) + "/modules.dep.bin"));
  const auto more = make(small_tree(), {{"extra"}}).initrd;
  CHECK(more.has(kernel + "extra.ko.xz"));
  CHECK(more.has(kernel + "soft.ko.xz"));
}

TEST_CASE("initrd: what a key server needs comes on request, and what is not there is refused or passed over") {
  auto tree = small_tree();
  put(tree, "/usr/lib/systemd/system/systemd-networkd.service", "unit");
  put(tree, "/usr/lib/systemd/system/systemd-networkd.service.d/10-x.conf", "drop-in");
  const InitrdOptions options{{}, {"/usr/bin/bash"}, {"systemd-networkd.service"}, {"sound", "no-such-card"}};
  const auto initrd = make(tree, options).initrd;
  CHECK(initrd.has("usr/bin/bash"));
  CHECK(initrd.has("usr/lib/systemd/system/systemd-networkd.service"));
  CHECK(initrd.has("usr/lib/systemd/system/systemd-networkd.service.d/10-x.conf"));
  CHECK(initrd.has(modules_folder.substr(1) + "/kernel/sound.ko.xz"));
  CHECK_FALSE(initrd.has("usr/bin/sulogin"));
  for (const auto& [gone, named] : {std::pair{"/usr/bin/bash", "/usr/bin/bash"},
                                    {"/usr/lib/systemd/system/systemd-networkd.service", "systemd-networkd.service"}}) {
    INFO(gone);
    auto without = tree;
    without.remove(gone);
    const auto folder = TemporaryFolder::create("/tmp", "ingot-initrd-test-").value();
    const auto done = make_initrd(without, options, folder.path() + "/initrd", silent_progress());
    REQUIRE(!done);
    CHECK(done.error().code == ErrorCode::missing);
    CHECK(done.error().message.find(named) != std::string::npos);
  }
}

TEST_CASE("initrd: sorted, numbered from 1, the same each time") {
  const auto first = make(small_tree());
  const auto second = make(small_tree());
  CHECK(first.bytes == second.bytes);
  CHECK(std::is_sorted(first.initrd.names.begin(), first.initrd.names.end()));
  for (std::size_t i = 0; i < first.initrd.inodes.size(); ++i)
    CHECK(first.initrd.inodes[i] == static_cast<std::int64_t>(i + 1));
}

TEST_CASE("initrd: a tree that cannot boot is refused, and what it lacks is named") {
  for (const auto path : parts::required_files) {
    auto tree = small_tree();
    tree.remove(std::string(path));
    const auto folder = TemporaryFolder::create("/tmp", "ingot-initrd-test-").value();
    const auto done = make_initrd(tree, {}, folder.path() + "/initrd", silent_progress());
    REQUIRE(!done);
    CAPTURE(describe(done.error()));
    CHECK(done.error().code == ErrorCode::missing);
    CHECK(!file_source(folder.path() + "/initrd"));
  }
  struct Row {
    const char* name;
    std::string remove;
    std::vector<std::string> modules;
    std::string named;
  };
  const std::vector<Row> rows = {
      {"no kernel", "/boot/vmlinuz-6.12-test", {}, "kernel"},
      {"no module index", modules_folder + "/modules.dep", {}, "modules.dep"},
      {"index names a module that is not there", modules_folder + "/kernel/dm-bufio.ko.xz", {}, "dm-bufio.ko.xz"},
      {"unknown extra module", "/nothing", {"nosuch"}, "nosuch"},
      {"no read-only file system", modules_folder + "/modules.builtin", {}, "squashfs"},
      {"no os-release", "/etc/os-release", {}, "os-release"}};
  for (const auto& row : rows) {
    CAPTURE(row.name);
    auto tree = small_tree();
    tree.remove(row.remove);
    const auto folder = TemporaryFolder::create("/tmp", "ingot-initrd-test-").value();
    const auto done = make_initrd(tree, {row.modules}, folder.path() + "/initrd", silent_progress());
    REQUIRE(!done);
    CHECK(done.error().code == ErrorCode::missing);
    CHECK(done.error().message.find(row.named) != std::string::npos);
  }
}

TEST_CASE("initrd: hard links become copies") {
  Tree tree;
  REQUIRE(tree.put_directory("/"));
  put(tree, "/a", "content");
  tree.entries["/b"] = tree.entries["/a"];
  tree.entries["/b"].hard_link_to = "/a";
  const auto folder = TemporaryFolder::create("/tmp", "ingot-initrd-test-").value();
  REQUIRE(write_initrd(tree, folder.path() + "/initrd", silent_progress()));
  const auto initrd = unpack(folder.path() + "/initrd");
  CHECK(initrd.content.at("a") == "content");
  CHECK(initrd.content.at("b") == "content");
}
