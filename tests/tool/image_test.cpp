// Images judged by the tools that others use: veritysetup, sbsign and sbverify, objdump, ukify, unsquashfs, fsck.erofs,
// fsck.vfat, mtools, sfdisk, readelf.
#include "ingot/builder/image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "../../builder/image/elf.hpp"
#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/fat.hpp"
#include "ingot/codec/pe.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::builder;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string oracles = std::string(INGOT_SOURCE) + "/build/oracles";
const Guid uuid = make_guid("11111111-2222-3333-4444-555555555555");

void must(const Result<void>& done) {
  if (!done) FAIL(describe(done.error()));
}

Buffer bytes_of(const std::string& path) { return read_file(path, 1u << 30).value(); }

Buffer noise(std::size_t size) {
  Buffer data(size);
  std::uint32_t state = 7;
  for (auto& byte : data) byte = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return data;
}

/// One of everything that a root may hold.
Tree rich_tree() {
  Tree tree;
  REQUIRE(tree.put_directory("/", 0751));
  REQUIRE(tree.put_file("/plain", noise(5000)));
  REQUIRE(tree.put_file("/empty", {}));
  REQUIRE(tree.put_file("/usr/bin/su", noise(300000), 04755));
  REQUIRE(tree.put_file("/usr/bin/ping", noise(4096), 0755));
  REQUIRE(tree.put_file("/usr/a-b", noise(10), 0640, 1000, 65534));
  REQUIRE(tree.put_file("/usr/bin0", noise(11)));
  for (const auto* name : {"with space", "quo\"te", "back\\slash", "apo'strophe", "#hash", "-dash", "star*[x]?",
                           "tab\tname", "line\nbreak", "\xC3\xBC\xE2\x82\xAC", "latin\xFC"})
    REQUIRE(tree.put_file(fmt::format("/names/{}", name), to_buffer(as_bytes(name))));
  REQUIRE(tree.put_file("/" + std::string(120, 'd') + "/" + std::string(200, 'f'), noise(20)));
  REQUIRE(tree.put_symlink("/link", "usr/bin/su"));
  REQUIRE(tree.put_symlink("/odd link", "to \"a\" \\ b "));
  REQUIRE(tree.put_directory("/tmp", 01777));
  tree.entries["/usr/bin/ping"].xattrs["security.capability"] = {1, 0, 0, 2, 0, 32, 0, 0, 0, 0,
                                                                 0, 0, 0, 0, 0, 0,  0, 0, 0, 0};
  tree.entries["/usr/bin/ping"].xattrs["user.note"] = to_buffer(as_bytes("hello"));
  auto twin = tree.entries["/plain"];
  twin.hard_link_to = "/plain";
  tree.entries["/usr/twin"] = twin;
  TreeEntry device;
  device.type = EntryType::character_device;
  device.mode = 0620;
  device.gid = 5;
  device.device_major = 4;
  device.device_minor = 64;
  tree.entries["/device"] = device;
  device.type = EntryType::fifo;
  device.device_major = device.device_minor = 0;
  tree.entries["/fifo"] = device;
  return tree;
}

/// What lies below `top` on the host is the tree, to the bit; folder times and link counts of folders aside.
void check_unpacked(const Tree& tree, const std::string& top) {
  std::size_t found = 0;
  for ([[maybe_unused]] const auto& entry : fs::recursive_directory_iterator(top)) ++found;
  CHECK(found + 1 == tree.entries.size());
  for (const auto& [path, entry] : tree.entries) {
    CAPTURE(path);
    const auto at = path == "/" ? top : top + path;
    struct stat info {};
    REQUIRE(::lstat(at.c_str(), &info) == 0);
    CHECK(info.st_uid == entry.uid);
    CHECK(info.st_gid == entry.gid);
    CHECK(info.st_mtime == image_time);
    if (entry.type != EntryType::symlink) CHECK((info.st_mode & 07777) == entry.mode);
    if (entry.type == EntryType::symlink) CHECK(fs::read_symlink(at) == entry.link_target);
    if (entry.type == EntryType::character_device)
      CHECK(info.st_rdev == makedev(entry.device_major, entry.device_minor));
    CHECK(S_ISFIFO(info.st_mode) == (entry.type == EntryType::fifo));
    if (entry.type != EntryType::file) continue;
    CHECK(bytes_of(at) == (entry.content ? read_all(*entry.content, 1u << 30).value() : Buffer{}));
    for (const auto& [name, value] : entry.xattrs) {
      Buffer read_back(256);
      const auto size = ::lgetxattr(at.c_str(), name.c_str(), read_back.data(), read_back.size());
      REQUIRE(size == static_cast<ssize_t>(value.size()));
      read_back.resize(value.size());
      CHECK(read_back == value);
    }
  }
  struct stat first {
  }, second{};
  REQUIRE(::lstat((top + "/plain").c_str(), &first) == 0);
  REQUIRE(::lstat((top + "/usr/twin").c_str(), &second) == 0);
  CHECK(first.st_ino == second.st_ino);
}

}  // namespace

TEST_CASE("verity: byte-identical to veritysetup format, and veritysetup verify accepts it") {
  const auto blocks = GENERATE(std::size_t{1}, 2u, 127u, 128u, 129u, 16385u);
  CAPTURE(blocks);
  const auto folder = scratch();
  const auto at = [&](const char* name) { return folder.path() + "/" + name; };
  REQUIRE(write_file(at("data"), noise(blocks * 4096)));
  const Buffer salt(32, 0x5A);
  const auto made = make_verity(at("data"), salt, uuid, at("ours"), silent_progress());
  REQUIRE(made);
  const auto said = output_of(
      {"veritysetup", "format", "--salt=" + to_hex(salt), "--uuid=" + to_text(uuid), at("data"), at("theirs")});
  CHECK(said.find(to_hex(made->root_hash)) != std::string::npos);
  CHECK(bytes_of(at("ours")) == bytes_of(at("theirs")));
  output_of({"veritysetup", "verify", at("data"), at("ours"), to_hex(made->root_hash)});
}

namespace {

/// A real stub and a real kernel, and everything else small.
UkiParts real_parts(const std::string& stub, const std::string& kernel) {
  UkiParts parts;
  parts.stub = file_source(stub).value();
  parts.kernel = file_source(kernel).value();
  parts.initrd = memory_source(noise(100001));
  parts.os_release = "ID=debian\nVERSION_ID=\"13\"\n";
  parts.command_line = "quiet roothash=0011223344";
  parts.uname = "6.12.0-test";
  parts.pcr_public_key_pem = "-----BEGIN PUBLIC KEY-----\n";
  parts.pcr_signature_json = "{}";
  return parts;
}

}  // namespace

TEST_CASE("uki: sbsign signs it, sbverify accepts it, objdump reads it") {
  const auto stub = GENERATE(as<std::string>{}, oracles + "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
                             "/usr/lib/systemd/boot/efi/linuxx64.efi.stub");
  CAPTURE(stub);
  if (skipped(stub, "UKIs with this stub were not checked") ||
      skipped(host_kernel(), "UKIs were not checked: no kernel in /boot"))
    return;
  const auto folder = scratch();
  const auto at = [&](const char* name) { return folder.path() + "/" + name; };
  auto parts = real_parts(stub, host_kernel());
  SECTION("stub's own SBAT") {}
  SECTION("SBAT that outgrows its place") { parts.sbat = std::string(5000, 'x') + ",1\n"; }
  must(write_uki(parts, at("uki")));
  output_of({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=db", "-keyout", at("key"),
             "-out", at("crt")});
  output_of({"sbsign", "--key", at("key"), "--cert", at("crt"), "--output", at("signed"), at("uki")});
  output_of({"sbverify", "--cert", at("crt"), at("signed")});
  const auto headers = output_of({"objdump", "-h", at("uki")});
  for (const auto* name :
       {".sdmagic", ".osrel", ".cmdline", ".uname", ".sbat", ".pcrpkey", ".pcrsig", ".initrd", ".linux"})
    CHECK(headers.find(fmt::format(" {} ", name)) != std::string::npos);
  // Its own signature is no reason to sign twice: a signed UKI is not a stub.
  parts.stub = file_source(at("signed")).value();
  CHECK(write_uki(parts, at("twice")).error().code == ErrorCode::unsupported);
}

TEST_CASE("uki: ukify makes the same sections of the same parts") {
  if (skipped(oracles + "/usr/bin/ukify", "UKIs were not compared with ukify") ||
      skipped(host_kernel(), "no kernel in /boot"))
    return;
  const auto folder = scratch(oracles + "/tmp");
  const auto inside = folder.path().substr(oracles.size());
  const auto parts = real_parts(oracles + "/usr/lib/systemd/boot/efi/linuxx64.efi.stub", host_kernel());
  must(write_uki(parts, folder.path() + "/ours"));
  REQUIRE(write_file(folder.path() + "/linux", read_all(*parts.kernel, 1u << 28).value()));
  REQUIRE(write_file(folder.path() + "/initrd", read_all(*parts.initrd, 1u << 28).value()));
  REQUIRE(write_file(folder.path() + "/osrel", as_bytes(parts.os_release)));
  output_of({"chroot", oracles, "ukify", "build", "--linux=" + inside + "/linux", "--initrd=" + inside + "/initrd",
             "--os-release=@" + inside + "/osrel", "--cmdline=" + parts.command_line, "--uname=" + parts.uname,
             "--output=" + inside + "/theirs"});
  const auto ours = file_source(folder.path() + "/ours").value();
  const auto theirs = file_source(folder.path() + "/theirs").value();
  const auto our_pe = codec::decode_pe(*ours).value();
  const auto their_pe = codec::decode_pe(*theirs).value();
  for (const auto* name : {".text", ".sdmagic", ".osrel", ".cmdline", ".uname", ".initrd", ".linux"}) {
    CAPTURE(name);
    const auto* our = our_pe.find(name);
    const auto* their = their_pe.find(name);
    REQUIRE(our != nullptr);
    REQUIRE(their != nullptr);
    // ukify 257 reserves the file's size for the kernel, later ones what its header asks for, as we do.
    const auto kernel = codec::decode_pe(*parts.kernel).value();
    CHECK(our->virtual_size == (name == std::string(".linux") ? kernel.size_of_image : their->virtual_size));
    CHECK(our->characteristics == their->characteristics);
    const auto size = std::min({our->virtual_size, our->raw_size, their->raw_size});
    CHECK(read_part(*ours, our->raw_offset, size, 1u << 28).value() ==
          read_part(*theirs, their->raw_offset, size, 1u << 28).value());
  }
}

TEST_CASE("squashfs: unsquashfs finds the whole tree, and two runs agree") {
  const auto folder = scratch();
  const auto at = [&](const char* name) { return folder.path() + "/" + name; };
  const auto tree = rich_tree();
  Profile::Root root;
  root.compression =
      GENERATE(Compression::zstd, Compression::gzip, Compression::lz4, Compression::lz4hc, Compression::xz);
  must(make_root_image(tree, root, uuid, at("first"), folder.path(), silent_progress()));
  must(make_root_image(tree, root, uuid, at("second"), folder.path(), silent_progress()));
  CHECK(bytes_of(at("first")) == bytes_of(at("second")));
  CHECK(fs::file_size(at("first")) % 4096 == 0);
  output_of({"unsquashfs", "-quiet", "-no-progress", "-dest", at("out"), at("first")});
  check_unpacked(tree, at("out"));
}

TEST_CASE("erofs: fsck.erofs accepts it and finds the whole tree, and two runs agree") {
  const auto folder = scratch();
  const auto at = [&](const char* name) { return folder.path() + "/" + name; };
  const auto tree = rich_tree();
  Profile::Root root;
  root.filesystem = RootFilesystem::erofs;
  root.compression = GENERATE(Compression::lz4, Compression::lz4hc);
  must(make_root_image(tree, root, uuid, at("first"), folder.path(), silent_progress()));
  must(make_root_image(tree, root, uuid, at("second"), folder.path(), silent_progress()));
  CHECK(bytes_of(at("first")) == bytes_of(at("second")));
  CHECK(fs::file_size(at("first")) % 4096 == 0);
  output_of({"fsck.erofs", at("first")});
  CHECK(output_of({"dump.erofs", "--path=/usr/a-b", at("first")}).find("Uid: 1000   Gid: 65534") != std::string::npos);
  // Nothing of the unpacked tree is left behind.
  for (const auto& entry : fs::directory_iterator(folder.path())) CHECK(entry.is_regular_file());
}

TEST_CASE("root image: what a file system cannot hold is refused") {
  const auto folder = scratch();
  auto tree = rich_tree();
  Profile::Root root;
  SECTION("an attribute without a place") { tree.entries["/plain"].xattrs["system.nfs4_acl"] = {1}; }
  SECTION("attributes of the root folder, in squashfs") { tree.entries["/"].xattrs["user.x"] = {1}; }
  SECTION("erofs with zstd") { root.filesystem = RootFilesystem::erofs; }
  const auto done = make_root_image(tree, root, uuid, folder.path() + "/image", folder.path(), silent_progress());
  REQUIRE(!done);
  CHECK(done.error().code == ErrorCode::unsupported);
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("root image: a source that fails leaves no image") {
  class Broken final : public ByteSource {
   public:
    std::uint64_t size() const override { return 50u << 20; }
    Result<void> read(std::uint64_t offset, MutableBytes) const override {
      if (offset < (8u << 20)) return {};
      return fail(ErrorCode::io, "the source broke");
    }
  };
  const auto folder = scratch();
  auto tree = rich_tree();
  tree.entries["/zz"] = tree.entries["/empty"];
  tree.entries["/zz"].content = std::make_shared<Broken>();
  const auto done = make_root_image(tree, {}, uuid, folder.path() + "/image", folder.path(), silent_progress());
  REQUIRE(!done);
  CHECK(done.error().message.find("the source broke") != std::string::npos);
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("esp: fsck.vfat accepts it, mtools and our reader find the files, and no time of the run is in it") {
  const auto folder = scratch();
  const auto at = [&](const char* name) { return folder.path() + "/" + name; };
  REQUIRE(write_file(at("uki"), noise(3'000'000)));
  REQUIRE(write_file(at("text"), as_bytes("hello")));
  const std::vector<EspFile> files = {{"EFI/BOOT/BOOTX64.EFI", at("uki")}, {"LOADER/A long name.conf", at("text")}};
  must(make_esp(files, 260u << 20, 0xCAFE0123, at("first")));
  ::setenv("TZ", "Asia/Tokyo", 1);
  ::utimensat(AT_FDCWD, at("uki").c_str(), std::array<timespec, 2>{timespec{1, 0}, timespec{1, 0}}.data(), 0);
  const auto second = make_esp(files, 260u << 20, 0xCAFE0123, at("second"));
  ::unsetenv("TZ");
  must(second);
  CHECK(bytes_of(at("first")) == bytes_of(at("second")));
  output_of({"fsck.vfat", "-n", at("first")});
  const auto listing = output_of({"mdir", "-i", at("first"), "-/", "::"});
  CHECK(listing.find("CAFE-0123") != std::string::npos);
  CHECK(listing.find("has no label") != std::string::npos);
  // Each entry carries image_time, none the time of the run.
  for (std::size_t line = listing.find("20"); line != std::string::npos; line = listing.find("\n", line + 1))
    if (const auto year = listing.find("20", line); year != std::string::npos && listing.compare(year + 4, 1, "-") == 0)
      CHECK(listing.compare(year, 10, "2024-01-01") == 0);
  const auto found = codec::list_fat32(file_source(at("first")).value());
  REQUIRE(found);
  REQUIRE(found->size() == 2);
  CHECK((*found)[0].path == "EFI/BOOT/BOOTX64.EFI");
  CHECK(read_all(*(*found)[0].content, 1u << 28).value() == noise(3'000'000));
  CHECK((*found)[1].path == "LOADER/A long name.conf");
  struct stat info {};
  REQUIRE(::stat(at("first").c_str(), &info) == 0);
  CHECK(info.st_blocks * 512 < (32 << 20));  // sparse
}

TEST_CASE("esp: what does not fit or cannot be named is refused") {
  const auto folder = scratch();
  REQUIRE(write_file(folder.path() + "/file", noise(2'000'000)));
  struct Row {
    const char* name;
    std::vector<std::string> paths;
    std::uint64_t size;
    ErrorCode code;
  };
  const std::vector<Row> rows = {
      {"too few clusters for FAT32", {"a"}, 16u << 20, ErrorCode::limit},
      {"content larger than the partition", {"a"}, 1u << 20, ErrorCode::limit},
      {"not whole MiB", {"a"}, (260u << 20) + 512, ErrorCode::usage},
      {"leaves the partition", {"../a"}, 260u << 20, ErrorCode::malformed},
      {"absolute", {"/a"}, 260u << 20, ErrorCode::malformed},
      {"wildcard", {"EFI/*.EFI"}, 260u << 20, ErrorCode::malformed},
      {"drive letter", {"c:a"}, 260u << 20, ErrorCode::malformed},
      {"the same name in another case", {"EFI/a", "efi/A"}, 260u << 20, ErrorCode::malformed},
      {"a file where a folder is", {"EFI", "EFI/a"}, 260u << 20, ErrorCode::malformed},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    std::vector<EspFile> files;
    for (const auto& path : row.paths) files.push_back({path, folder.path() + "/file"});
    const auto done = make_esp(files, row.size, 1, folder.path() + "/esp");
    REQUIRE(!done);
    CHECK(done.error().code == row.code);
    CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
  }
}

TEST_CASE("disk: sfdisk finds the partitions and nothing wrong; the disk is sparse") {
  const auto folder = scratch();
  const auto at = [&](const char* name) { return folder.path() + "/" + name; };
  REQUIRE(write_file(at("root"), noise(5'000'000)));
  const auto part = [](char digit) {
    return parse_guid(std::string(8, digit) + "-1111-4111-8111-111111111111").value();
  };
  const std::vector<DiskPartition> partitions = {
      {codec::esp_type, part('1'), "esp", {}, 260u << 20},
      {codec::root_x86_64_type, part('2'), "root", at("root"), 0},
      {codec::linux_generic_type, part('3'), "data", at("root"), (64u << 20) + 1}};
  const auto gpt = make_disk(uuid, partitions, 0, at("disk"), silent_progress());
  REQUIRE(gpt);
  REQUIRE(make_disk(uuid, partitions, 0, at("again"), silent_progress()));
  CHECK(bytes_of(at("disk")) == bytes_of(at("again")));
  CHECK(output_of({"sfdisk", "--verify", at("disk")}).find("No errors detected") != std::string::npos);
  const auto dump = output_of({"sfdisk", "--dump", at("disk")});
  CHECK(dump.find("label-id: 11111111-2222-3333-4444-555555555555") != std::string::npos);
  for (const auto* line : {"start=        2048, size=      532480, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
                           "start=      534528, size=       10240, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
                           "start=      544768, size=      133120, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4"})
    CHECK(dump.find(line) != std::string::npos);
  const auto disk = file_source(at("disk")).value();
  for (const auto first_lba : {534528u, 544768u})
    CHECK(read_part(*disk, std::uint64_t{first_lba} * 512, 5'000'000, 1u << 28).value() == noise(5'000'000));
  CHECK(codec::decode_gpt(*disk).value() == *gpt);
  struct stat info {};
  REQUIRE(::stat(at("disk").c_str(), &info) == 0);
  CHECK(info.st_blocks * 512 < (16 << 20));
}

TEST_CASE("disk: partitions that cannot be are refused") {
  const auto folder = scratch();
  REQUIRE(write_file(folder.path() + "/content", noise(3u << 20)));
  struct Row {
    const char* name;
    DiskPartition partition;
    ErrorCode code;
  };
  const std::vector<Row> rows = {
      {"content larger than its partition",
       {codec::esp_type, uuid, "x", folder.path() + "/content", 1u << 20},
       ErrorCode::limit},
      {"neither content nor size", {codec::esp_type, uuid, "x", {}, 0}, ErrorCode::usage},
      {"larger than any disk", {codec::esp_type, uuid, "x", {}, UINT64_MAX}, ErrorCode::limit},
      {"content that is not there", {codec::esp_type, uuid, "x", folder.path() + "/nothing", 0}, ErrorCode::missing},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    const auto done = make_disk(uuid, {row.partition}, 0, folder.path() + "/disk", silent_progress());
    REQUIRE(!done);
    CHECK(done.error().code == row.code);
    CHECK(!fs::exists(folder.path() + "/disk"));
  }
}

TEST_CASE("elf: readelf names the same libraries for programs and libraries of this machine") {
  std::size_t compared = 0;
  for (const auto* folder : {"/usr/bin", "/usr/lib/x86_64-linux-gnu"})
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (compared >= 60 || !entry.is_regular_file() || entry.is_symlink()) continue;
      const auto needs = builder::detail::read_elf(*file_source(entry.path().string()).value()).value_or(std::nullopt);
      if (!needs) continue;
      CAPTURE(entry.path().string());
      const auto dynamic = output_of({"readelf", "-dlW", entry.path().string()});
      std::vector<std::string> libraries;
      for (auto at = dynamic.find("Shared library: ["); at != std::string::npos;
           at = dynamic.find("Shared library: [", at + 1)) {
        const auto start = dynamic.find('[', at) + 1;
        libraries.push_back(dynamic.substr(start, dynamic.find(']', start) - start));
      }
      CHECK(needs->libraries == libraries);
      CHECK(needs->interpreter.empty() == (dynamic.find("Requesting program interpreter") == std::string::npos));
      ++compared;
    }
  CHECK(compared >= 20);
}
