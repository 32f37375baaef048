#include "ingot/builder/base_tree.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include "../../builder/rootfs/apt.hpp"
#include "../../builder/rootfs/deb.hpp"
#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"

using namespace ingot;
using namespace ingot::builder;
namespace fs = std::filesystem;
namespace rootfs = ingot::builder::detail;

namespace {

TemporaryFolder scratch() { return TemporaryFolder::create(fs::temp_directory_path(), "ingot-test-").value(); }

std::string printed(const std::vector<std::string>& addresses) {
  std::string out;
  for (const auto& address : addresses)
    out += "'" + address + "/InRelease' x_InRelease 0 \n'" + address + "/main/binary-amd64/Packages.xz' x 0 \n";
  return out;
}

/// A package that no archive has, made by dpkg-deb.
std::string make_deb(const std::string& folder, const std::string& compression) {
  fs::create_directories(folder + "/p/DEBIAN");
  fs::create_directories(folder + "/p/etc");
  REQUIRE(write_file(folder + "/p/DEBIAN/control",
                     as_bytes("Package: demo\nVersion: 1:2.0-1~x\nArchitecture: all\nMaintainer: M "
                              "<m@example.org>\nDescription: one\n two\n .\n three\n")));
  Command command;
  command.argv = {"dpkg-deb", "-Z" + compression, "--root-owner-group", "-b", folder + "/p", folder + "/demo.deb"};
  REQUIRE(run_checked(command));
  return folder + "/demo.deb";
}

/// The smallest profile that mmdebstrap can install.
Profile essential() {
  Profile profile;
  profile.base = PackageBase{"trixie", {"base-files"}, {"main"}, ""};
  profile.kernel.package = "";
  return profile;
}

class Steps final : public Progress {
 public:
  void step(std::string_view name, std::string_view) override { names.emplace_back(name); }
  void at(std::uint64_t, std::uint64_t) override {}
  void cached() override { names.emplace_back("cached"); }
  [[nodiscard]] bool has(std::string_view name) const {
    return std::find(names.begin(), names.end(), name) != names.end();
  }
  std::vector<std::string> names;
};

bool any_process_mentions(const std::string& text) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const auto line = read_file(entry.path().string() + "/cmdline", 1u << 20);
    if (line && as_text(*line).find(text) != std::string_view::npos) return true;
  }
  return false;
}

bool any_mount_mentions(const std::string& text) {
  return as_text(read_file("/proc/self/mountinfo", 16u << 20).value()).find(text) != std::string_view::npos;
}

}  // namespace

TEST_CASE("the mirror is the Debian archive of apt's own sources") {
  struct Row {
    std::string name;
    std::vector<std::string> addresses;
    std::string suite;
    std::vector<rootfs::AptSource> sources;
  };
  const auto row = GENERATE(values<Row>({
      {"archive and security",
       {"http://m.example/debian/dists/bookworm", "http://m.example/debian/dists/bookworm-updates",
        "http://s.example/debian-security/dists/bookworm-security"},
       "trixie",
       {{"http://m.example/debian", "trixie"}, {"http://s.example/debian-security", "trixie-security"}}},
      {"others come first",
       {"https://other.example/node/dists/nodistro", "https://other.example/x/dists/cloud-bookworm",
        "https://m.example/debian/dists/bookworm"},
       "trixie",
       {{"https://m.example/debian", "trixie"}}},
      {"sid has no security suite",
       {"http://m.example/debian/dists/bookworm", "http://s.example/d/dists/bookworm-security"},
       "sid",
       {{"http://m.example/debian", "sid"}}},
      {"a machine of another release",
       {"http://m.example/debian/dists/trixie"},
       "bookworm",
       {{"http://m.example/debian", "bookworm"}}},
      {"updates alone are no archive", {"http://m.example/debian/dists/bookworm-updates"}, "trixie", {}},
      {"nothing", {}, "trixie", {}},
  }));
  INFO(row.name);
  const auto sources = rootfs::debian_sources(printed(row.addresses), "bookworm", row.suite);
  if (row.sources.empty()) {
    REQUIRE_FALSE(sources);
    CHECK(sources.error().remedy.find("--mirror") != std::string::npos);
    return;
  }
  REQUIRE(sources);
  CHECK(*sources == row.sources);
}

TEST_CASE("what apt prints of a package is read whole or not at all") {
  const std::string digest(64, 'a');
  const auto good =
      rootfs::parse_uri_line("'http://m/p/a_1%3a2.0%7ex-1_amd64.deb' a_1%3a2.0~x-1_amd64.deb 12 SHA256:" + digest);
  REQUIRE(good);
  CHECK(good->package == LockedPackage{"a", "1:2.0~x-1", "amd64", digest, 12});
  CHECK(good->uri == "http://m/p/a_1%3a2.0%7ex-1_amd64.deb");
  for (const auto* bad :
       {"", "Reading package lists...", "'http://m/a_1_all.deb'", "'http://m/a_1_all.deb' a_1_all.deb 12 MD5Sum:00",
        "'http://m/a.deb' a.deb 12 SHA256:00", "'http://m/a_1_all.deb' a_1_all.deb x SHA256:00", "'unclosed"}) {
    INFO(bad);
    CHECK_FALSE(rootfs::parse_uri_line(bad));
  }
}

TEST_CASE("a package's control file is what dpkg-deb put in") {
  const auto folder = scratch();
  const auto* compression = GENERATE("xz", "gzip", "zstd", "none");
  INFO(compression);
  const auto deb = make_deb(folder.path(), compression);
  const auto control = rootfs::read_control(deb).value();
  auto fields = rootfs::control_fields(control);
  CHECK(fields["Package"] == "demo");
  CHECK(fields["Version"] == "1:2.0-1~x");
  CHECK(fields["Description"] == "one\n two\n .\n three");
  const auto whole = read_file(deb, 1u << 20).value();
  for (std::size_t size = 0; size + 200 < whole.size(); size += 13) {
    REQUIRE(write_file(folder.path() + "/cut.deb", Bytes(whole).first(size)));
    const auto cut = rootfs::read_control(folder.path() + "/cut.deb");
    if (cut) CHECK(*cut == control);
  }
}

TEST_CASE("a cache folder that apt cannot be told of is refused") {
  const auto folder = scratch();
  BaseOptions options;
  options.cache = folder.path() + "/with blank";
  const auto base = make_base_tree(essential(), options, silent_progress());
  REQUIRE_FALSE(base);
  CHECK(base.error().code == ErrorCode::usage);
}

TEST_CASE("nothing to go by offline") {
  const auto folder = scratch();
  BaseOptions options;
  options.cache = folder.path() + "/cache";
  options.offline = true;
  options.mirror = "http://mirror.example/debian";
  const auto base = make_base_tree(essential(), options, silent_progress());
  REQUIRE_FALSE(base);
  CHECK(base.error().code == ErrorCode::missing);
  CHECK(base.error().message.find("--offline") != std::string::npos);
}

// One case with its parts in a row: each of them needs the first build, which takes long.
TEST_CASE("a base from packages: lock, cache, offline, two at once, killed, gone") {
  if (::geteuid() != 0) {
    std::cerr << "SKIPPED: needs root\n";
    return;
  }
  const auto folder = scratch();
  const auto lock_path = folder.path() + "/x.lock";
  BaseOptions options;
  options.cache = folder.path() + "/cache";
  options.lock_path = lock_path;
  const auto first = make_base_tree(essential(), options, silent_progress());
  if (!first && first.error().message.starts_with("fetching package lists")) {
    std::cerr << "SKIPPED: no mirror can be reached: " << describe(first.error()) << "\n";
    return;
  }
  if (!first) FAIL(describe(first.error()));
  REQUIRE(first->tree.find("/usr/bin/dpkg") != nullptr);
  CHECK(first->tree.find("/usr/bin/apt") == nullptr);
  CHECK(first->tree.find("/etc/hostname") == nullptr);
  CHECK(first->tree.find("/etc/apt/sources.list") == nullptr);
  const auto lock_text = std::string(as_text(read_file(lock_path, 1u << 20).value()));
  CHECK(parse_lock(lock_path, lock_text).value().packages == first->packages);
  CHECK(std::is_sorted(first->packages.begin(), first->packages.end(),
                       [](const auto& a, const auto& b) { return a.name < b.name; }));

  {  // a second build asks nobody
    auto offline = options;
    offline.offline = true;
    Steps steps;
    const auto second = make_base_tree(essential(), offline, steps);
    REQUIRE(second);
    CHECK(second->digest == first->digest);
    CHECK(steps.has("cached"));
    CHECK_FALSE(steps.has("package lists"));
    CHECK(std::string(as_text(read_file(lock_path, 1u << 20).value())) == lock_text);
  }
  {  // another folder, umask, locale and time zone make the same tree; two at once share the work; a killed one does no
     // harm
    auto other = options;
    other.cache = folder.path() + "/a-cache-with-a-longer-name";
    other.offline = true;
    fs::create_directories(other.cache);
    fs::copy(options.cache + "/debs", other.cache + "/debs");

    // Killed in the middle of mmdebstrap.
    const pid_t builder = ::fork();
    if (builder == 0) {
      (void)make_base_tree(essential(), other, silent_progress());
      ::_exit(0);
    }
    for (int i = 0; i < 1000 && !any_process_mentions(other.cache + "/work-"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::this_thread::sleep_for(std::chrono::seconds(2));
    REQUIRE(::kill(builder, SIGKILL) == 0);
    REQUIRE(::waitpid(builder, nullptr, 0) == builder);
    for (int i = 0; i < 500 && any_process_mentions(other.cache + "/work-"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK_FALSE(any_process_mentions(other.cache + "/work-"));
    CHECK_FALSE(any_mount_mentions(other.cache));
    CHECK(fs::is_empty(other.cache + "/trees"));

    const auto old_mask = ::umask(077);
    REQUIRE(::setenv("TZ", "Asia/Tokyo", 1) == 0);
    REQUIRE(::setenv("LC_ALL", "C", 1) == 0);
    const auto result = folder.path() + "/digest";
    const pid_t twin = ::fork();
    if (twin == 0) {
      const auto base = make_base_tree(essential(), other, silent_progress());
      (void)write_file(result, as_bytes(base ? base->digest : describe(base.error())));
      ::_exit(0);
    }
    const auto second = make_base_tree(essential(), other, silent_progress());
    REQUIRE(::waitpid(twin, nullptr, 0) == twin);
    (void)::umask(old_mask);
    (void)::unsetenv("LC_ALL");
    (void)::unsetenv("TZ");
    if (!second) FAIL(describe(second.error()));
    CHECK(second->digest == first->digest);
    CHECK(as_text(read_file(result, 1000).value()) == first->digest);
    for (const auto& entry : fs::directory_iterator(other.cache))
      CHECK_FALSE(entry.path().filename().string().starts_with("work-"));
  }
  {  // a lock that answers another request is refused, and renewed on demand
    auto profile = essential();
    std::get<PackageBase>(profile.base).packages.emplace_back("ed");
    const auto stale = make_base_tree(profile, options, silent_progress());
    REQUIRE_FALSE(stale);
    CHECK(stale.error().remedy.find("--update-lock") != std::string::npos);
    CHECK(std::string(as_text(read_file(lock_path, 1u << 20).value())) == lock_text);
  }
  {  // a version that the mirror no longer has is named
    auto lock = parse_lock(lock_path, lock_text).value();
    lock.packages.front().version = "0.1-1";
    lock.packages.front().sha256 = std::string(64, '0');
    REQUIRE(write_file(lock_path, as_bytes(render_lock(lock))));
    const auto gone = make_base_tree(essential(), options, silent_progress());
    REQUIRE(write_file(lock_path, as_bytes(lock_text)));
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == ErrorCode::missing);
    CHECK(gone.error().message.find(lock.packages.front().name + " 0.1-1") != std::string::npos);
    CHECK(gone.error().remedy.find("--update-lock") != std::string::npos);
  }
  {  // a damaged package file is not used
    const auto deb = options.cache + "/debs/" + first->packages.front().sha256 + ".deb";
    fs::resize_file(deb, fs::file_size(deb) - 1);
    fs::remove_all(options.cache + "/trees");
    options.offline = true;
    const auto damaged = make_base_tree(essential(), options, silent_progress());
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().message.find(first->packages.front().name) != std::string::npos);
  }
}
