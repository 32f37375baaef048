// [modules] of a profile.
#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

const std::string head = "name = \"node\"\nversion = 1\nrole = \"worker\"\n";
const std::string packages = "[base]\npackages = [\"systemd\"]\n";

struct Folder {
  TemporaryFolder folder = TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
  std::string put(const std::string& name, const std::string& text) const {
    const auto path = folder.path() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    REQUIRE(write_file(path, as_bytes(text)));
    return path;
  }
};

}  // namespace

TEST_CASE("modules: files are read from below the profile, and named as the kernel names them") {
  const Folder folder;
  folder.put("drivers/nvidia.ko.zst", "one");
  folder.put("drivers/nvidia-uvm.ko", "two");
  folder.put("own/nvidia.ko.xz", "three");
  folder.put("base.toml", head + packages +
                              "[modules]\nfiles = [\"drivers/nvidia-uvm.ko\", \"drivers/nvidia.ko.zst\"]\nload = "
                              "[\"nvidia-uvm\", \"nvidia\"]\n");
  const auto base = load_profile(folder.folder.path() + "/base.toml");
  REQUIRE(base);
  REQUIRE(base->modules.files.size() == 2);
  CHECK(base->modules.files[0].name == "nvidia");
  CHECK(base->modules.files[0].path == "drivers/nvidia.ko.zst");
  CHECK(as_text(read_all(*base->modules.files[0].content, 100).value()) == "one");
  CHECK(base->modules.files[1].name == "nvidia_uvm");
  CHECK(base->modules.load == std::vector<std::string>{"nvidia_uvm", "nvidia"});
  // Another profile brings its own build of one of them.
  const auto own = load_profile(
      folder.put("own.toml", "extends = \"base.toml\"\n" + head + "[modules]\nfiles = [\"own/nvidia.ko.xz\"]\n"));
  REQUIRE(own);
  REQUIRE(own->modules.files.size() == 2);
  CHECK(as_text(read_all(*own->modules.files[0].content, 100).value()) == "three");
  CHECK(own->modules.load == std::vector<std::string>{"nvidia_uvm", "nvidia"});
}

TEST_CASE("modules: a mistake is told with its place") {
  struct Row {
    const char* name;
    std::string text;
    std::uint32_t line;
    std::string part;
  };
  const Row rows[] = {
      {"no such file", "files = [\"gone.ko\"]", 7, "cannot be read"},
      {"outside the profile's folder", "files = [\"../one.ko\"]", 7, "not a path below"},
      {"no module's name", "files = [\"one.o\"]", 7, "not the name of a module's file"},
      {"a name of other letters", "files = [\"o ne.ko\"]", 7, "not the name of a module's file"},
      {"another compression", "files = [\"one.ko.bz2\"]", 7, "not the name of a module's file"},
      {"one module twice", "files = [\"one.ko\", \"sub/one.ko\"]", 7, "two files for the module one"},
      {"to be loaded without a file", "files = [\"one.ko\"]\nload = [\"on\"]", 8, "did you mean \"one\"?"},
      {"loaded twice", "files = [\"one.ko\"]\nload = [\"one\", \"one\"]", 8, "twice"},
      {"kept out by the table", "files = [\"udf.ko\"]", 7, "drop \"module.udf\" in [hardening.relax]"},
      {"another key", "file = [\"one.ko\"]", 7, "files"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const Folder folder;
    for (const auto* name : {"one.ko", "sub/one.ko", "udf.ko", "one.o", "o ne.ko", "one.ko.bz2"}) folder.put(name, "x");
    const auto profile = load_profile(folder.put("p.toml", head + packages + "[modules]\n" + row.text + "\n"));
    REQUIRE_FALSE(profile);
    const auto text = describe(profile.error());
    INFO(text);
    CHECK(profile.error().code == ErrorCode::malformed);
    REQUIRE(profile.error().at);
    CHECK(profile.error().at->line == row.line);
    CHECK(text.find(row.part) != text.npos);
  }
}

TEST_CASE("modules: the list of what is loaded is no file of the profile's own") {
  const Folder folder;
  const auto profile = load_profile(folder.put(
      "p.toml", head + packages + "[files]\n\"/usr/lib/modules-load.d/ingot-modules.conf\" = { content = \"x\" }\n"));
  REQUIRE_FALSE(profile);
  CHECK(describe(profile.error()).find("[modules]") != std::string::npos);
}
