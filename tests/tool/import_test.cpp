#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "ingot/base/output.hpp"
#include "ingot/builder/base_tree.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;
using namespace ingot::builder;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

TemporaryFolder scratch() { return TemporaryFolder::create(fs::temp_directory_path(), "ingot-test-").value(); }

void tool(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  const auto result = run_checked(command);
  if (!result) FAIL(describe(result.error()));
}

void put(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  REQUIRE(write_file(path, as_bytes(text)));
}

/// A small tree with what is easily lost: modes, owners, links, devices, holes, capabilities, names that are not ASCII.
std::string make_root(const std::string& folder) {
  const auto root = folder + "/root";
  put(root + "/etc/os-release", "ID=debian\nNAME=Debian\nVERSION_ID=13\n");
  put(root + "/etc/debian_version", "13.0\n");
  put(root + "/etc/fstab", "");
  put(root + "/etc/hostname", "vendor\n");
  put(root + "/usr/bin/tool", std::string(200'000, 't'));
  put(root + "/usr/share/\xc3\xa9t\xc3\xa9", "summer");
  put(root + "/" + std::string(100, 'l') + "/" + std::string(120, 'n'), "long");
  for (const auto* name : {"/bin", "/boot", "/dev", "/proc", "/tmp", "/var/log"}) fs::create_directories(root + name);
  fs::create_symlink("../usr/bin/tool", root + "/bin/sh");
  fs::create_hard_link(root + "/usr/bin/tool", root + "/usr/bin/aaa");
  tool({"chmod", "4755", root + "/usr/bin/tool"});
  tool({"chown", "12:34", root + "/etc/os-release"});
  tool({"mkfifo", root + "/var/pipe"});
  tool({"truncate", "-s", "3M", root + "/var/holes"});
  std::fstream holes(root + "/var/holes", std::ios::in | std::ios::out | std::ios::binary);
  holes.seekp(1 << 20);
  holes << std::string(5000, 'h');
  holes.seekp(2 << 20);
  holes << "end";
  return root;
}

/// The oracle: what the file system itself says of every path.
void check_against(const Tree& tree, const std::string& root) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const auto path = entry.path().string().substr(root.size());
    INFO(path);
    const auto* found = tree.find(path);
    REQUIRE(found != nullptr);
    ++count;
    if (entry.is_symlink()) {
      CHECK(found->link_target == fs::read_symlink(entry.path()).string());
      continue;
    }
    CHECK(found->mode == static_cast<unsigned>(entry.status().permissions()));
    if (!entry.is_regular_file()) continue;
    const auto content = read_file(entry.path().string(), 1u << 30).value();
    CHECK(found->size_bytes == content.size());
    CHECK(found->sha256 == crypto::sha256_hex(content));
    CHECK(read_tree_file(tree, path).value() == content);
  }
  CHECK(tree.entries.size() == count + 1);
}

Tree must(Result<Tree> tree) {
  if (!tree) FAIL(describe(tree.error()));
  return *std::move(tree);
}

class Layout {
 public:
  explicit Layout(std::string folder) : folder_(std::move(folder)) {
    put(folder_ + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  }
  Json blob(const std::string& from, const std::string& type) {
    const auto bytes = read_file(from, 1u << 30).value();
    const auto digest = crypto::sha256_hex(bytes);
    put(folder_ + "/blobs/sha256/" + digest, std::string(as_text(bytes)));
    return {{"mediaType", type}, {"digest", "sha256:" + digest}, {"size", bytes.size()}};
  }
  Json text_blob(const std::string& text, const std::string& type) {
    put(folder_ + "/blob.tmp", text);
    return blob(folder_ + "/blob.tmp", type);
  }
  void finish(const std::vector<Json>& layers) {
    const Json manifest{{"schemaVersion", 2}, {"layers", layers}};
    auto descriptor = text_blob(manifest.dump(), "application/vnd.oci.image.manifest.v1+json");
    descriptor["platform"] = {{"os", "linux"}, {"architecture", "amd64"}};
    auto other = descriptor;
    other["platform"]["architecture"] = "arm64";
    put(folder_ + "/index.json", Json{{"schemaVersion", 2}, {"manifests", {other, descriptor}}}.dump());
    manifest_ = descriptor["digest"];
  }
  [[nodiscard]] std::string manifest_sha256() const { return manifest_.substr(7); }
  [[nodiscard]] const std::string& path() const { return folder_; }

 private:
  std::string folder_;
  std::string manifest_;
};

}  // namespace

TEST_CASE("a tar of GNU tar is indexed as the file system says, in every format and compression") {
  const auto folder = scratch();
  const auto root = make_root(folder.path());
  const auto* format = GENERATE("--format=pax", "--format=gnu", "--format=posix --sparse", "--format=gnu --sparse",
                                "--format=pax --sparse --sparse-version=0.1", "--format=pax --zstd",
                                "--format=pax --gzip", "--format=pax --xz");
  INFO(format);
  const auto tar = folder.path() + "/root.tar";
  std::vector<std::string> argv{"tar", "-C", root, "-cf", tar};
  std::istringstream words(format);
  for (std::string word; words >> word;) argv.push_back(word);
  argv.emplace_back(".");
  tool(argv);

  const auto cache = folder.path() + "/cache";
  const auto tree = must(import_tar(tar, cache, silent_progress()));
  check_against(tree, root);
  CHECK(tree.find("/etc/os-release")->uid == 12);
  CHECK(tree.find("/etc/os-release")->gid == 34);
  CHECK(tree.find("/var/pipe")->type == EntryType::fifo);
  CHECK(tree.find("/usr/bin/aaa")->hard_link_to.empty());
  CHECK(tree.find("/usr/bin/tool")->hard_link_to == "/usr/bin/aaa");

  // A second time it comes from the index, equal, and even when the input's index was damaged.
  CHECK(tree_digest(must(import_tar(tar, cache, silent_progress()))) == tree_digest(tree));
  for (const auto& entry : fs::directory_iterator(cache + "/trees"))
    if (entry.path().extension() == ".index") fs::resize_file(entry.path(), fs::file_size(entry.path()) / 2);
  CHECK(tree_digest(must(import_tar(tar, cache, silent_progress()))) == tree_digest(tree));
}

TEST_CASE("capabilities survive a tar") {
  const auto folder = scratch();
  const auto root = make_root(folder.path());
  Command command;
  command.argv = {"setfattr",
                  "-n",
                  "security.capability",
                  "-v",
                  "0x0100000200200000000000000000000000000000",
                  root + "/usr/bin/tool"};
  const auto set = run(command);
  if (!set || set->exit_code != 0) {
    WARN("SKIPPED: security.capability cannot be set here");
    return;
  }
  tool({"tar", "--xattrs", "--xattrs-include=*", "-C", root, "-cf", folder.path() + "/a.tar", "."});
  const auto tree = must(import_tar(folder.path() + "/a.tar", folder.path() + "/cache", silent_progress()));
  CHECK(tree.find("/usr/bin/tool")->xattrs.at("security.capability") ==
        Buffer{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("what is no tar does not come into the cache") {
  const auto folder = scratch();
  const auto path = folder.path() + "/x";
  SECTION("text") { put(path, std::string(5000, 'x')); }
  SECTION("a compressed text") {
    put(path + "1", std::string(5000, 'x'));
    tool({"gzip", "-k", path + "1"});
    fs::rename(path + "1.gz", path);
  }
  SECTION("a truncated compressed tar") {
    tool({"tar", "-C", make_root(folder.path()), "--gzip", "-cf", path, "."});
    fs::resize_file(path, fs::file_size(path) / 2);
  }
  CHECK_FALSE(import_tar(path, folder.path() + "/cache", silent_progress()));
  CHECK(fs::is_empty(folder.path() + "/cache/trees"));
}

TEST_CASE("a profile's digest pins its base") {
  const auto folder = scratch();
  const auto tar = folder.path() + "/a.tar";
  tool({"tar", "-C", make_root(folder.path()), "-cf", tar, "."});
  Profile profile;
  profile.base = ImportedBase{ImportKind::tar, tar, crypto::sha256_hex(read_file(tar, 1u << 30).value())};
  BaseOptions options;
  options.cache = folder.path() + "/cache";
  const auto base = make_base_tree(profile, options, silent_progress());
  REQUIRE(base);
  CHECK(base->packages.empty());
  CHECK(base->digest == tree_digest(base->tree));
  CHECK(base->tree.find("/etc/hostname") == nullptr);  // stripped
  std::get<ImportedBase>(profile.base).sha256 = std::string(64, '0');
  const auto other = make_base_tree(profile, options, silent_progress());
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::crypto);
}

TEST_CASE("layers of an OCI layout are laid over each other with their whiteouts") {
  const auto folder = scratch();
  const auto at = [&](const std::string& name) { return folder.path() + "/" + name; };
  const auto root = make_root(folder.path());
  put(root + "/opt/old/a", "1");
  put(root + "/opt/old/b", "2");
  put(root + "/opt/all/x", "3");
  tool({"tar", "-C", root, "--gzip", "-cf", at("1.tgz"), "."});
  // The opaque mark comes after a file of the same layer, which stays.
  put(at("two/opt/old/.wh.a"), "");
  put(at("two/opt/all/.keep"), "kept");
  put(at("two/opt/all/.wh..wh..opq"), "");
  put(at("two/etc/hostname"), "second\n");
  put(at("two/.wh.boot"), "");
  tool({"tar", "-C", at("two"), "--zstd", "-cf", at("2.tzst"), "./opt/all/.keep", "./opt/all/.wh..wh..opq", "./opt/old",
        "./etc/hostname", "./.wh.boot"});
  put(at("three/opt/new"), "4");
  tool({"tar", "-C", at("three"), "-cf", at("3.tar"), "opt"});

  Layout layout(at("layout"));
  layout.finish({layout.blob(at("1.tgz"), "application/vnd.oci.image.layer.v1.tar+gzip"),
                 layout.blob(at("2.tzst"), "application/vnd.oci.image.layer.v1.tar+zstd"),
                 layout.blob(at("3.tar"), "application/vnd.oci.image.layer.v1.tar")});
  const auto tree = must(import_oci(layout.path(), at("cache"), silent_progress()));
  CHECK(tree.find("/opt/old/a") == nullptr);
  CHECK(tree.find("/opt/old/b") != nullptr);
  CHECK(tree.find("/opt/all/x") == nullptr);
  CHECK(tree.find("/opt/all/.keep") != nullptr);
  CHECK(tree.find("/boot") == nullptr);
  CHECK(tree.find("/opt/new") != nullptr);
  CHECK(as_text(read_tree_file(tree, "/etc/hostname").value()) == "second\n");
  CHECK(read_tree_file(tree, "/usr/bin/aaa").value() == Buffer(200'000, 't'));
  for (const auto& [path, entry] : tree.entries) CHECK(path.find(".wh.") == std::string::npos);
  CHECK(tree_digest(must(import_oci(layout.path(), at("cache"), silent_progress()))) == tree_digest(tree));

  SECTION("the same layout as a tar is the same tree") {
    tool({"tar", "-C", layout.path(), "--gzip", "-cf", at("layout.tgz"), "."});
    CHECK(tree_digest(must(import_oci(at("layout.tgz"), at("cache2"), silent_progress()))) == tree_digest(tree));
  }
  SECTION("its manifest's digest pins it") {
    Profile profile;
    profile.base = ImportedBase{ImportKind::oci, layout.path(), layout.manifest_sha256()};
    BaseOptions options;
    options.cache = at("cache");
    CHECK(make_base_tree(profile, options, silent_progress()));
  }
  SECTION("a blob that is not what its name says is refused") {
    for (const auto& blob : fs::directory_iterator(layout.path() + "/blobs/sha256")) {
      const auto path = blob.path().string();
      auto bytes = read_file(path, 1u << 30).value();
      bytes[bytes.size() / 2] ^= 1;
      const auto original = read_file(path, 1u << 30).value();
      REQUIRE(write_file(path, bytes));
      const auto bad = import_oci(layout.path(), at("cache3"), silent_progress());
      REQUIRE(write_file(path, original));
      INFO(path);
      REQUIRE_FALSE(bad);
      CHECK(bad.error().code == ErrorCode::malformed);
      fs::remove_all(at("cache3"));
    }
  }
}

TEST_CASE("a layout that says nothing clear is refused") {
  const auto folder = scratch();
  struct Row {
    std::string name, index, message;
  };
  const std::string digest = "sha256:" + std::string(64, '0');
  const auto row = GENERATE_COPY(values<Row>({
      {"no index", "", "no OCI image layout"},
      {"no JSON", "x", "no JSON object"},
      {"no manifests", "{}", "has no manifests"},
      {"two images",
       R"({"manifests":[{"digest":")" + digest + R"(","size":1},{"digest":")" + digest + R"(","size":1}]})",
       "has 2 images"},
      {"a digest that climbs", R"({"manifests":[{"digest":"sha256:../../../../etc/passwd","size":1}]})", "the digest"},
      {"another hash", R"({"manifests":[{"digest":"md5:00","size":1}]})", "the digest"},
      {"no size", R"({"manifests":[{"digest":")" + digest + R"("}]})", "without a size"},
      {"a missing blob", R"({"manifests":[{"digest":")" + digest + R"(","size":1}]})", digest.substr(7)},
  }));
  INFO(row.name);
  fs::create_directories(folder.path() + "/layout");
  if (!row.index.empty()) put(folder.path() + "/layout/index.json", row.index);
  const auto tree = import_oci(folder.path() + "/layout", folder.path() + "/cache", silent_progress());
  REQUIRE_FALSE(tree);
  INFO(describe(tree.error()));
  CHECK(tree.error().message.find(row.message) != std::string::npos);
}

TEST_CASE("a disk image gives the tree of its root file system") {
  const auto folder = scratch();
  const auto root = make_root(folder.path());
  const auto raw = folder.path() + "/disk.raw";
  tool({"truncate", "-s", "64M", raw});
  tool({"mkfs.ext4", "-q", "-F", "-d", root, raw});
  tool({"qemu-img", "convert", "-O", "qcow2", raw, folder.path() + "/disk.qcow2"});
  const auto before = crypto::sha256_hex(read_file(folder.path() + "/disk.qcow2", 1u << 30).value());
  auto imported = import_disk(folder.path() + "/disk.qcow2", folder.path() + "/cache", silent_progress());
  if (!imported && imported.error().code == ErrorCode::missing) {
    WARN("SKIPPED: " << describe(imported.error()));
    std::cerr << "SKIPPED: " << describe(imported.error()) << "\n";
    return;
  }
  auto tree = must(std::move(imported));
  tree.remove("/lost+found");
  check_against(tree, root);
  CHECK(tree.find("/etc/os-release")->gid == 34);
  CHECK(crypto::sha256_hex(read_file(folder.path() + "/disk.qcow2", 1u << 30).value()) == before);
}

TEST_CASE("a disk image that is none, or that names another file, is refused before anything is started") {
  const auto folder = scratch();
  const auto path = folder.path() + "/disk.qcow2";
  put(folder.path() + "/secret.raw", std::string(1u << 20, 's'));
  SECTION("too small") { put(path, "QFI\xfb"); }
  SECTION("a backing file") {
    tool({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", folder.path() + "/secret.raw", path});
  }
  SECTION("missing") {}
  CHECK_FALSE(import_disk(path, folder.path() + "/cache", silent_progress()));
  CHECK(fs::is_empty(folder.path() + "/cache/trees"));
}
