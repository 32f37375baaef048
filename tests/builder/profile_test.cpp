#include "ingot/builder/profile.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

const std::string head = "name = \"node\"\nversion = 3\nrole = \"worker\"\n";
const std::string packages = "[base]\npackages = [\"systemd\"]\n";

class Folder {
 public:
  Folder() : folder_(TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value()) {}
  std::string put(const std::string& name, const std::string& text) const {
    const auto path = folder_.path() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    REQUIRE(write_file(path, as_bytes(text)));
    return path;
  }
  [[nodiscard]] const std::string& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

Result<Profile> load(const std::string& text) { return load_profile(Folder().put("p.toml", text)); }

Profile must(Result<Profile> profile) {
  if (!profile) FAIL(describe(profile.error()));
  return *std::move(profile);
}

std::string word(const std::string& line) { return line.substr(0, line.find('=')); }

bool has(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

TEST_CASE("every key of a profile reaches the value") {
  const Folder folder;
  folder.put("conf/motd", "from a file\n");
  const auto profile = must(load_profile(folder.put("p.toml", head + R"(
[base]
suite = "forky"
packages = ["systemd", "systemd-cryptsetup"]
components = ["main", "non-free-firmware"]
mirror = "https://mirror.example/debian"
[kernel]
package = "linux-image-amd64"
command_line = ["quiet", "console=tty9", "panic=5", "foo=\"a b\""]
modules = ["nvme", "8021q"]
[root]
filesystem = "squashfs"
compression = "gzip"
compression_level = 5
[disk]
esp_size = "1GiB"
root_size = 2147483648
data_size = "4 GiB"
swap_size = "3GiB"
[boot]
stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
chain = "systemd-boot"
phases = ["enter-initrd", "leave-initrd"]
secure_boot = false
system_policy = true
next_pcr7 = ["00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"]
[files]
"/etc/motd" = { source = "conf/motd", mode = "0640", uid = 1, gid = 4294967294 }
"/etc/a" = { content = "text" }
)")));
  CHECK(profile.name == "node");
  CHECK(profile.version == 3);
  CHECK(profile.role == "worker");
  const auto& base = std::get<PackageBase>(profile.base);
  CHECK(base.suite == "forky");
  CHECK(base.packages == std::vector<std::string>{"systemd", "systemd-cryptsetup"});
  CHECK(base.components == std::vector<std::string>{"main", "non-free-firmware"});
  CHECK(base.mirror == "https://mirror.example/debian");
  CHECK(profile.kernel.package == "linux-image-amd64");
  CHECK(profile.kernel.modules == std::vector<std::string>{"nvme", "8021q"});
  const auto& line = profile.kernel.command_line;
  CHECK(line[0] == "module.sig_enforce=1");
  CHECK(has(line, "panic=5"));  // a key that holds one value is replaced
  CHECK_FALSE(has(line, "panic=30"));
  CHECK(line.back() == "foo=\"a b\"");
  CHECK(profile.root.compression == Compression::gzip);
  CHECK(profile.root.compression_level == 5);
  CHECK(profile.disk.esp_size_bytes == 1u << 30);
  CHECK(profile.disk.root_size_bytes == 1u << 31);
  CHECK(profile.disk.data_size_bytes == std::uint64_t{1} << 32);
  CHECK(profile.disk.swap_size_bytes == std::uint64_t{3} << 30);
  CHECK(profile.boot.stub == "/usr/lib/systemd/boot/efi/linuxx64.efi.stub");
  CHECK(profile.boot.phases == std::vector<std::string>{"enter-initrd", "leave-initrd"});
  CHECK_FALSE(profile.boot.secure_boot);
  CHECK(profile.boot.system_policy);
  REQUIRE(profile.boot.next_pcr_7.size() == 1);
  CHECK(to_hex(profile.boot.next_pcr_7.front()).starts_with("00112233"));
  CHECK(profile.boot.chain == BootChain::systemd_boot);
  REQUIRE(profile.files.size() == 2);
  CHECK(profile.files[0].path == "/etc/a");
  CHECK(as_text(profile.files[0].content) == "text");
  CHECK(profile.files[0].mode == 0644);
  CHECK(as_text(profile.files[1].content) == "from a file\n");
  CHECK(profile.files[1].mode == 0640);
  CHECK(profile.files[1].uid == 1);
  CHECK(profile.files[1].gid == 4294967294);
  CHECK(profile.sources == std::vector<std::string>{folder.path() + "/p.toml"});
}

TEST_CASE("a profile that says little gets safe defaults") {
  const auto profile = must(load(head + packages));
  const auto& line = profile.kernel.command_line;
  for (const auto* parameter :
       {"module.sig_enforce=1", "lockdown=confidentiality", "systemd.import_credentials=no", "systemd.volatile=state"})
    CHECK(has(line, parameter));
  CHECK(profile.root.filesystem == RootFilesystem::squashfs);
  CHECK(profile.root.compression == Compression::zstd);
  CHECK(profile.root.compression_level == 3);
  CHECK(profile.disk.esp_size_bytes == 260u << 20);
  CHECK(profile.boot.secure_boot);
  CHECK(profile.boot.chain == BootChain::uki);
  CHECK(profile.boot.phases.size() == 4);
  CHECK_FALSE(profile.boot.system_policy);
  const auto erofs = must(load(head + packages + "[root]\nfilesystem = \"erofs\"\n"));
  CHECK(erofs.root.compression == Compression::lz4hc);
}

TEST_CASE("an imported base is an absolute path") {
  const Folder folder;
  const auto profile = must(
      load_profile(folder.put("p.toml", head + "[base]\nimage = \"../vendor.qcow2\"\nformat = \"disk\"\nsha256 = \"" +
                                            std::string(64, 'a') + "\"\n")));
  const auto& base = std::get<ImportedBase>(profile.base);
  CHECK(base.kind == ImportKind::disk);
  CHECK(base.path == std::filesystem::path(folder.path()).parent_path().string() + "/vendor.qcow2");
  CHECK(base.sha256 == std::string(64, 'a'));
}

TEST_CASE("a profile that extends another adds, replaces and takes away") {
  const Folder folder;
  folder.put("base/motd", "base");
  folder.put("base/base.toml", head + R"(generation = 3
[base]
suite = "trixie"
packages = ["systemd", "nftables", "systemd-cryptsetup"]
[kernel]
command_line = ["quiet", "console=tty0"]
modules = ["nvme"]
[root]
compression = "xz"
[disk]
data_size = "1GiB"
swap_size = "2GiB"
[files]
"/etc/motd" = { source = "motd" }
"/etc/base" = { content = "base" }
"/etc/gone" = { content = "gone" }
)");
  const auto path = folder.put("p.toml", R"(
extends = "base/base.toml"
name = "child"
version = 7
[base]
packages = ["nginx-light", "!nftables", "systemd"]
[kernel]
command_line = ["!quiet", "!panic", "console=ttyS1"]
modules = ["!nvme", "virtio_blk"]
[root]
compression = "zstd"
[files]
"/etc/base" = { content = "child" }
"/etc/gone" = false
)");
  const auto profile = must(load_profile(path));
  CHECK(profile.name == "child");
  CHECK(profile.version == 7);
  CHECK(profile.role == "worker");
  CHECK(profile.generation == 3);  // a fleet's, where it stands in the base
  CHECK(std::get<PackageBase>(profile.base).packages ==
        std::vector<std::string>{"systemd", "systemd-cryptsetup", "nginx-light"});
  const auto& line = profile.kernel.command_line;
  CHECK_FALSE(has(line, "quiet"));
  CHECK(std::none_of(line.begin(), line.end(), [](const auto& text) { return word(text) == "panic"; }));
  for (const auto* parameter : {"console=ttyS0", "console=tty0", "console=ttyS1"}) CHECK(has(line, parameter));
  CHECK(profile.kernel.modules == std::vector<std::string>{"virtio_blk"});
  CHECK(profile.root.compression == Compression::zstd);
  CHECK(profile.root.compression_level == 3);
  CHECK(profile.disk.data_size_bytes == 1u << 30);
  CHECK(profile.disk.swap_size_bytes == 1u << 31);
  REQUIRE(profile.files.size() == 2);
  CHECK(as_text(profile.files[0].content) == "child");
  CHECK(as_text(profile.files[1].content) == "base");  // relative to the file that names it
  CHECK(profile.sources == std::vector<std::string>{folder.path() + "/base/base.toml", path});
}

TEST_CASE("a mistake in a profile is told with its place and what was expected") {
  struct Row {
    std::string name, text;
    std::uint32_t line, column;
    std::string message, remedy;
  };
  // Line 4 is the first after `head`.
  const auto row = GENERATE(values<Row>({
      {"broken TOML", "x = \n", 4, 5, "", ""},
      {"a key twice", "name = \"b\"\n", 4, 1, "name", ""},
      {"an unknown key with a near one", packages + "[disk]\nesp_sise = 1\n", 7, 1,
       "unknown key \"esp_sise\" in [disk]", "did you mean \"esp_size\""},
      {"an unknown table with a near one", "[kernal]\n", 4, 2, "unknown key \"kernal\"", "did you mean \"kernel\""},
      {"an unknown key far from all", "zzz = 1\n", 4, 1, "unknown key \"zzz\"", "valid here: extends, name"},
      {"a string for an array", "[base]\npackages = \"systemd\"\n", 5, 12,
       "packages of [base] is a string, expected an array of strings", ""},
      {"an integer in an array of strings", "[base]\npackages = [\"systemd\", 1]\n", 5, 24,
       "is an integer, expected a string", ""},
      {"a value for a table", "base = 1\n", 4, 8, "base is an integer, expected a table", ""},
      {"a string for a boolean", packages + "[boot]\nsecure_boot = \"yes\"\n", 7, 15, "expected true or false", ""},
      {"a package name with a blank", "[base]\npackages = [\"a b\"]\n", 5, 13, "\"a b\" is not a package name", ""},
      {"a package name that is an option", "[base]\npackages = [\"-oDir\"]\n", 5, 13, "is not a package name", ""},
      {"a package with a version", "[base]\npackages = [\"a=1\"]\n", 5, 13, "is not a package name", ""},
      {"a suite that climbs", "[base]\nsuite = \"../x\"\n", 5, 9, "suite", ""},
      {"no components", "[base]\ncomponents = []\n", 5, 1, "components is empty", ""},
      {"a mirror of another kind", "[base]\nmirror = \"ftp://x\"\n", 5, 10, "expected an http, https or file address",
       ""},
      {"a mirror with options for apt", "[base]\nmirror = \"http://x/ [trusted=yes]\"\n", 5, 10, "mirror", ""},
      {"an image and packages", "[base]\nimage = \"x\"\nformat = \"tar\"\npackages = [\"systemd\"]\n", 7, 1,
       "both image and packages", ""},
      {"an image without a format", "[base]\nimage = \"x\"\n", 5, 9, "without a format", ""},
      {"a format without an image", "[base]\nformat = \"tar\"\n", 5, 1, "format without an image", ""},
      {"a near format", "[base]\nimage = \"x\"\nformat = \"disc\"\n", 6, 10, "expected one of",
       "did you mean \"disk\""},
      {"a digest in capitals", "[base]\nimage = \"x\"\nformat = \"tar\"\nsha256 = \"" + std::string(64, 'A') + "\"\n",
       7, 10, "sha256", ""},
      {"a near filesystem", packages + "[root]\nfilesystem = \"squashsf\"\n", 7, 14, "expected one of",
       "did you mean \"squashfs\""},
      {"a level out of range", packages + "[root]\ncompression_level = 23\n", 7, 21, "expected 0 to 22", ""},
      {"a level that gzip has not", packages + "[root]\ncompression = \"gzip\"\ncompression_level = 10\n", 8, 21,
       "expected 1 to 9", ""},
      {"a level for xz", packages + "[root]\ncompression = \"xz\"\ncompression_level = 1\n", 8, 21, "no levels", ""},
      {"erofs with zstd", packages + "[root]\nfilesystem = \"erofs\"\ncompression = \"zstd\"\n", 8, 15,
       "erofs does not have this compression", "lz4hc"},
      {"a size without a unit", packages + "[disk]\nesp_size = \"512\"\n", 7, 12, "is not a size", "MiB"},
      {"a size in powers of ten", packages + "[disk]\nesp_size = \"512MB\"\n", 7, 12, "is not a size", "MiB"},
      {"a negative size", packages + "[disk]\nesp_size = -1\n", 7, 12, "expected a size", ""},
      {"an ESP too small for FAT32", packages + "[disk]\nesp_size = \"259MiB\"\n", 7, 12, "at least 260 MiB", ""},
      {"a size off the grid", packages + "[disk]\ndata_size = 1048577\n", 7, 13, "multiple of 1 MiB", ""},
      {"a size that overflows", packages + "[disk]\ndata_size = \"99999999999TiB\"\n", 7, 13, "too large", ""},
      {"a near phase", packages + "[boot]\nphases = [\"enter-initd\"]\n", 7, 11, "no boot phase",
       "did you mean \"enter-initrd\""},
      {"an execution policy that is none", packages + "[kernel]\nexecution = \"enforce\"\n", 7, 13, "expected one of",
       "enforced"},
      {"a phase left out", packages + "[boot]\nphases = [\"enter-initrd\", \"ready\"]\n", 7, 27, "out of order", ""},
      {"a near boot chain", packages + "[boot]\nchain = \"shims\"\n", 7, 9,
       "expected one of \"uki\", \"systemd-boot\", \"shim\"", "\"shim\""},
      {"a PCR 7 that is none", packages + "[boot]\nnext_pcr7 = [\"ab\"]\n", 7, 14, "no value of PCR 7", "keys plan"},
      {"a PCR 7 twice",
       packages + "[boot]\nnext_pcr7 = [\"" + std::string(64, '0') + "\", \"" + std::string(64, '0') + "\"]\n", 7, 82,
       "twice", ""},
      {"a relative stub", packages + "[boot]\nstub = \"usr/x\"\n", 7, 8, "absolute path", ""},
      {"a module's file name", packages + "[kernel]\nmodules = [\"nvme.ko\"]\n", 7, 12, "file name", "without .ko"},
      {"version as text", packages + "[files]\n\"/a\" = { content = 1 }\n", 7, 20, "expected a string", ""},
      {"a relative target", packages + "[files]\n\"etc/a\" = { content = \"\" }\n", 7, 1, "is not absolute", ""},
      {"a target that climbs", packages + "[files]\n\"/etc/../a\" = { content = \"\" }\n", 7, 1, "\"..\"", ""},
      {"a target below a mount", packages + "[files]\n\"/run/a\" = { content = \"\" }\n", 7, 1, "hidden", ""},
      {"a target with a line break", packages + "[files]\n\"/etc/a\\nb\" = { content = \"\" }\n", 7, 1,
       "control character", ""},
      {"content and source", packages + "[files]\n\"/a\" = { content = \"\", source = \"x\" }\n", 7, 33,
       "both content and source", ""},
      {"neither content nor source", packages + "[files]\n\"/a\" = { mode = \"0644\" }\n", 7, 1,
       "neither content nor source", ""},
      {"a near key of a file", packages + "[files]\n\"/a\" = { contents = \"\" }\n", 7, 10, "unknown key \"contents\"",
       "did you mean \"content\""},
      {"a source that climbs", packages + "[files]\n\"/a\" = { source = \"../x\" }\n", 7, 19,
       "below the profile's folder", ""},
      {"an absolute source", packages + "[files]\n\"/a\" = { source = \"/etc/passwd\" }\n", 7, 19,
       "below the profile's folder", ""},
      {"a missing source", packages + "[files]\n\"/a\" = { source = \"none\" }\n", 7, 19, "cannot be read", ""},
      {"a folder as source", packages + "[files]\n\"/a\" = { source = \".\" }\n", 7, 19, "not a regular file", ""},
      {"a mode as integer", packages + "[files]\n\"/a\" = { content = \"\", mode = 0o644 }\n", 7, 31,
       "string of octal digits", "quotes"},
      {"a mode that is not octal", packages + "[files]\n\"/a\" = { content = \"\", mode = \"0689\" }\n", 7, 31, "octal",
       ""},
      {"an owner out of range", packages + "[files]\n\"/a\" = { content = \"\", uid = 4294967295 }\n", 7, 30,
       "expected 0 to 4294967294", ""},
      {"a file below a file", packages + "[files]\n\"/a\" = { content = \"\" }\n\"/a/b\" = { content = \"\" }\n", 6, 1,
       "lies below it", ""},
      {"taking away what is not there", packages + "[files]\n\"/a\" = false\n", 7, 1, "not inherited", ""},
      {"taking away a package that is not there", "[base]\npackages = [\"systemd\", \"!systemdd\"]\n", 5, 24,
       "not inherited", "did you mean \"!systemd\""},
      {"no base", "", 1, 1, "has no base", "extend base.toml"},
  }));
  INFO(row.name);
  const auto profile = load(head + row.text);
  REQUIRE_FALSE(profile);
  const auto& error = profile.error();
  INFO(describe(error));
  CHECK(error.code == ErrorCode::malformed);
  REQUIRE(error.at);
  CHECK(error.at->file.ends_with("/p.toml"));
  CHECK(error.at->line == row.line);
  if (row.column > 1 || row.name != "a key twice") CHECK(error.at->column == row.column);
  CHECK(error.message.find(row.message) != std::string::npos);
  CHECK(error.remedy.find(row.remedy) != std::string::npos);
}

TEST_CASE("name, version and role are checked and must be there") {
  struct Row {
    std::string name, text, message;
  };
  const auto row = GENERATE(values<Row>({
      {"no name", "version = 1\nrole = \"r\"\n", "\"name\" is missing"},
      {"no version", "name = \"n\"\nrole = \"r\"\n", "\"version\" is missing"},
      {"no role", "name = \"n\"\nversion = 1\n", "\"role\" is missing"},
      {"generation zero", "name = \"n\"\nversion = 1\ngeneration = 0\nrole = \"r\"\n", "generation is 0"},
      {"a generation too many", "name = \"n\"\nversion = 1\ngeneration = 513\nrole = \"r\"\n", "1 to 512"},
      {"version zero", "name = \"n\"\nversion = 0\nrole = \"r\"\n", "version is 0"},
      {"version as text", "name = \"n\"\nversion = \"1\"\nrole = \"r\"\n", "version is a string, expected an integer"},
      {"version as a fraction", "name = \"n\"\nversion = 1.5\nrole = \"r\"\n", "floating-point"},
      {"a name with a slash", "name = \"a/b\"\nversion = 1\nrole = \"r\"\n", "name is \"a/b\""},
      {"a name in capitals", "name = \"Node\"\nversion = 1\nrole = \"r\"\n", "name is"},
      {"a name too long", "name = \"" + std::string(64, 'n') + "\"\nversion = 1\nrole = \"r\"\n", "name is"},
      {"an empty role", "name = \"n\"\nversion = 1\nrole = \"\"\n", "role is"},
  }));
  INFO(row.name);
  const auto profile = load(row.text + packages);
  REQUIRE_FALSE(profile);
  INFO(describe(profile.error()));
  CHECK(profile.error().message.find(row.message) != std::string::npos);
  CHECK(profile.error().at);
}

TEST_CASE("kernel parameters that are not a profile's to give are refused") {
  struct Row {
    std::string parameter, message;
  };
  const auto row = GENERATE(values<Row>({
      {"roothash=00", "the builder appends it"},
      {"root=/dev/sda", "roothash= names"},
      {"rw", "read-only"},
      {"initrd=x", "inside the unified kernel image"},
      {"systemd.verity=no", "verity"},
      {"systemd.verity_root_data=/dev/sda", "verity"},
      {"init=/bin/sh", "way into the node"},
      {"\\\"init=/bin/sh\\\"", "way into the node"},
      {"rdinit=/bin/sh", "way into the node"},
      {"single", "way into the node"},
      {"1", "way into the node"},
      {"emergency", "way into the node"},
      {"rd.break", "way into the node"},
      {"systemd.debug-shell", "way into the node"},
      {"systemd.debug_shell=1", "way into the node"},
      {"systemd.unit=rescue.target", "way into the node"},
      {"systemd.run=/bin/x", "way into the node"},
      {"systemd.setenv=SYSTEMD_SULOGIN_FORCE=1", "way into the node"},
      {"systemd.set_credential=a:b", "way into the node"},
      {"systemd.set_credential_binary=a:b", "way into the node"},
      {"foo=SYSTEMD_SULOGIN_FORCE", "sulogin"},
      {"", "empty kernel parameter"},
      {"a b", "blank outside of quotes"},
      {"a=\\\"b", "quote that is not closed"},
      {"a\\nb", "0x0a"},
      {"a\\u0000", "0x00"},
      {"\\u00e4", "0xc3"},
      {"--", "hide"},
      {"!nothing", "not inherited"},
  }));
  INFO(row.parameter);
  const auto profile = load(head + packages + "[kernel]\ncommand_line = [\"quiet\", \"" + row.parameter + "\"]\n");
  REQUIRE_FALSE(profile);
  INFO(describe(profile.error()));
  CHECK(profile.error().message.find(row.message) != std::string::npos);
  REQUIRE(profile.error().at);
  CHECK(profile.error().at->line == 7);
  CHECK(profile.error().at->column == 26);
}

TEST_CASE("the command line is one that the kernel takes whole") {
  CHECK_FALSE(load(head + packages + "[kernel]\ncommand_line = [\"a=" + std::string(1900, 'x') + "\"]\n"));
  CHECK(load(head + packages + "[kernel]\ncommand_line = [\"a=" + std::string(400, 'x') + "\"]\n"));
  const auto twice = load(head + packages + "[kernel]\ncommand_line = [\"loglevel=3\", \"loglevel=4\"]\n");
  REQUIRE_FALSE(twice);
  CHECK(twice.error().message.find("given twice") != std::string::npos);
}

TEST_CASE("a shell needs to be said, and can be taken back") {
  const Folder folder;
  const auto lab = folder.put(
      "lab.toml", head + packages + "[kernel]\nallow_shell = true\ncommand_line = [\"systemd.debug_shell=ttyS0\"]\n");
  CHECK(has(must(load_profile(lab)).kernel.command_line, "systemd.debug_shell=ttyS0"));
  const auto child = folder.put("p.toml", "extends = \"lab.toml\"\n" + head + "[kernel]\nallow_shell = false\n");
  REQUIRE_FALSE(load_profile(child));
  CHECK(load_profile(child).error().message.find("way into the node") != std::string::npos);
}

TEST_CASE("extending goes nowhere in circles") {
  const Folder folder;
  struct Row {
    std::string name, file, text, message;
  };
  const auto row = GENERATE(values<Row>({
      {"itself", "p.toml", "extends = \"p.toml\"\n", "extends itself"},
      {"itself by another name", "p.toml", "extends = \"./../X/p.toml\"\n", "extends itself"},
      {"in a circle", "a.toml", "extends = \"p.toml\"\n", "extends itself"},
      {"a missing file", "p.toml", "extends = \"none.toml\"\n", "cannot be read"},
      {"a number", "p.toml", "extends = 1\n", "expected a string"},
      {"nothing", "p.toml", "extends = \"\"\n", "not a path"},
  }));
  INFO(row.name);
  auto text = row.text;
  if (const auto at = text.find('X'); at != std::string::npos)
    text.replace(at, 1, std::filesystem::path(folder.path()).filename().string());
  folder.put("p.toml", "extends = \"a.toml\"\n");
  folder.put(row.file, text);
  const auto profile = load_profile(folder.path() + "/p.toml");
  REQUIRE_FALSE(profile);
  INFO(describe(profile.error()));
  CHECK(profile.error().message.find(row.message) != std::string::npos);
  REQUIRE(profile.error().at);
  CHECK(profile.error().at->line == 1);
}

TEST_CASE("a mistake in an extended file is told there") {
  const Folder folder;
  const auto base = folder.put("base.toml", "\n[disk]\nesp_size = 1\n");
  const auto profile = load_profile(folder.put("p.toml", "extends = \"base.toml\"\n" + head));
  REQUIRE_FALSE(profile);
  CHECK(profile.error().at->file == base);
  CHECK(profile.error().at->line == 3);
}

TEST_CASE("a source cannot leave the profile's folder through a link") {
  const Folder folder;
  folder.put("outside", "secret");
  std::filesystem::create_directories(folder.path() + "/profiles");
  std::filesystem::create_symlink("../outside", folder.path() + "/profiles/link");
  const auto profile =
      load_profile(folder.put("profiles/p.toml", head + packages + "[files]\n\"/a\" = { source = \"link\" }\n"));
  REQUIRE_FALSE(profile);
  CHECK(profile.error().message.find("leaves the profile's folder") != std::string::npos);
}

TEST_CASE("a profile that is not there is an I/O error") {
  const auto profile = load_profile(Folder().path() + "/none.toml");
  REQUIRE_FALSE(profile);
  CHECK(exit_status(profile.error().code) == 3);
}

TEST_CASE("every truncation of a profile is a profile or an error, never anything else") {
  const auto text =
      head + packages +
      "[kernel]\ncommand_line = [\"quiet\"]\n[files]\n\"/etc/a\" = { content = \"x\", mode = \"0600\" }\n";
  const Folder folder;
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const auto profile = load_profile(folder.put("p.toml", text.substr(0, size)));
    if (!profile) {
      INFO(size);
      CHECK(profile.error().code == ErrorCode::malformed);
      CHECK(profile.error().at);
    }
  }
}

TEST_CASE("the profiles that are shipped are valid") {
  const auto* name = GENERATE("base", "inference");
  const auto profile = must(load_profile(std::string(INGOT_SOURCE) + "/profiles/" + name + ".toml"));
  CHECK(profile.name == name);
  CHECK(std::get<PackageBase>(profile.base).mirror.empty());
  for (const auto* parameter : {"module.sig_enforce=1", "slab_nomerge", "systemd.import_credentials=no"})
    CHECK(has(profile.kernel.command_line, parameter));
}

TEST_CASE("the state of a fleet's node is on a volume of its own, that of a laboratory is not") {
  const auto shipped = [](const std::string& name) {
    return must(load_profile(std::string(INGOT_SOURCE) + "/profiles/" + name + ".toml"));
  };
  for (const std::string name : {"base", "training", "inference", "storage", "management"}) {
    INFO(name);
    const auto profile = shipped(name);
    REQUIRE(profile.state_volume() == &profile.volumes.front());
    CHECK(profile.state_bytes() == (name == "management" ? std::uint64_t{8} << 30 : std::uint64_t{1} << 30));
    CHECK_FALSE(profile.volumes.front().recovery);
    CHECK(profile.disk.data_size_bytes == 0);
  }
  CHECK(shipped("training").volumes.back().grow);
  const auto standalone = shipped("standalone");
  CHECK(standalone.volumes.empty());
  CHECK(standalone.disk.data_size_bytes == 1u << 30);
}
