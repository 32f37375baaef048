// A node whose volumes have their key on a key server, and the server: a real tang, the clevis, cryptsetup and systemd
// of Debian 13, and what we put into the initrd. The two are network namespaces; the TPM is swtpm.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "ingot/builder/config.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/measure/revocation.hpp"
#include "network_lab.hpp"
#include "volume_site.hpp"

namespace ingot::test {

inline constexpr std::uint64_t mebibyte = 1u << 20;
inline constexpr std::uint64_t volume_bytes = 64 * mebibyte;
inline const std::string address = "10.10.0.5";
using Key = std::vector<KeyProvider>;
using Volumes = std::vector<std::pair<std::string, Key>>;
inline const Key tpm_alone = {KeyProvider::tpm}, tang_alone = {KeyProvider::tang},
                 both = {KeyProvider::tpm, KeyProvider::tang}, file_alone = {KeyProvider::file},
                 tpm_and_file = {KeyProvider::tpm, KeyProvider::file};

inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

inline const auto release_index = fmt::format("{:#010x}", measure::release_index({}).index);

struct Release {
  std::string kernel;  ///< that makes it another one for PCR 11
  std::uint32_t generation;
};
inline const Release first{"5", 1};  // as SealingSite has it

/// A node with its TPM, and the key server across the network.
class KeyLab {
 public:
  explicit KeyLab(Tpm::Bus bus = Tpm::Bus::quiet) : tpm_(bus), site_(tpm_) {
    site_.boot(tpm_);
    tpm_.make_srk("ecc256:aes128cfb");
    lab_.add_node("node");
    lab_.add_node("server");
    lab_.connect("node", "mgmt", "management", {"10.10.0.20/24"});
    lab_.connect("server", "mgmt", "management", {address + "/24"});
    std::filesystem::create_directories(file("volumes"));
    std::filesystem::create_directories(file("initrd"));
    thumbprint = new_server("keys");
    start_server("keys");
  }

  std::string thumbprint;  ///< of the server that is there at first, with the database "keys"
  std::function<void(Volume&)> more_of_volume = [](Volume&) {};  ///< what else a profile says of each

  [[nodiscard]] const Tpm& tpm() const { return tpm_; }
  [[nodiscard]] std::string file(const std::string& name) const { return tpm_.file(name); }
  [[nodiscard]] std::string text(const std::string& name) const {
    return std::filesystem::exists(file(name)) ? std::string(as_text(tpm_.read(name))) : std::string();
  }

  /// The node starts with a release. Whether its ingot-release.service lets the release open volumes.
  bool start(const Release& release) {
    tpm_.restart();
    site_.image.events.at(1) = event(11, ".linux", release.kernel);
    site_.measure(tpm_, release.generation);
    const auto done = run_tool(admit_command(tpm_, file("keys/pcr.pub")));
    UNSCOPED_INFO(done.error_tail);
    return done.exit_code == 0;
  }

  /// A command in the initrd of the node.
  [[nodiscard]] std::vector<std::string> initrd_command(std::vector<std::string> argv,
                                                        const std::string& where = "node") const {
    argv.insert(argv.begin(), {"ip", "netns", "exec", lab_.name(where),
                               std::string(INGOT_SOURCE) + "/tests/tool/stock-initrd", oracles, folder()});
    return argv;
  }
  builder::Completed run(std::vector<std::string> argv) {
    std::filesystem::remove(file("slept"));
    tpm_.forget_objects();
    auto done = run_tool(initrd_command(std::move(argv)));
    UNSCOPED_INFO(done.error_tail);
    return done;
  }
  bool runs(std::vector<std::string> argv) { return run(std::move(argv)).exit_code == 0; }
  std::string shell(const std::string& text) {
    const auto done = run({"/bin/bash", "-c", "set -euo pipefail; " + text});
    REQUIRE(done.exit_code == 0);
    return std::string(as_text(done.output));
  }

  /// The thumbprint of a new database's signing key.
  std::string new_server(const std::string& database) {
    std::filesystem::create_directories(file(database));
    REQUIRE(runs({"/usr/libexec/tangd-keygen", "/mnt/" + database}));
    return shown_by(database);
  }
  /// As tang-show-keys tells it of a running server.
  std::string shown_by(const std::string& database) {
    return shell("for key in /mnt/" + database +
                 "/*.jwk; do if grep -q verify $key; then printf %s $(jose jwk thp -i $key -a S256); fi; done");
  }
  void start_server(const std::string& database) {
    stop_server();
    serve(initrd_command({"/usr/libexec/tangd", "-l", "-p", "80", "/mnt/" + database}, "server"));
  }
  /// Somebody at the server's address who answers whatever lies in a folder.
  void start_impostor(const std::string& content) {
    stop_server();
    serve({"ip", "netns", "exec", lab_.name("server"), "python3", "-m", "http.server", "80", "--bind", address,
           "--directory", file(content)});
  }
  void stop_server() { server_.reset(); }
  void link(const std::string& state) { lab_.ip("node", {"link set mgmt " + state}); }

  /// The initrd's share in an image with these volumes.
  void render(const Volumes& volumes, const std::string& print, const std::string& url) {
    Profile profile;
    for (const auto& [name, key] : volumes) {
      profile.volumes.push_back(test_volume(name, "/srv/" + name));
      profile.volumes.back().key = key;
      more_of_volume(profile.volumes.back());
      if (profile.volumes.back().is_held_by(KeyProvider::tang)) profile.key_server = {url, print, "management", {}};
    }
    profile.role = "node";
    profile.links = {{.name = "mgmt", .mac = {}, .path = {}, .driver = "virtio_net", .kernel = {}, .bond = {}}};
    profile.site.emplace();
    profile.site->planes = {{.name = "management",
                             .subnets = {},
                             .gateways = {},
                             .addressing = Addressing::dhcp,
                             .link = "mgmt",
                             .underlay = {},
                             .vteps = {},
                             .at = {}}};
    profile.site->roles = {{.name = "node", .planes = {{"management", {}, {}}}, .at = {}}};
    std::filesystem::remove_all(file("initrd"));
    const auto part = builder::render_initrd_volumes(profile).value();
    for (const auto& one : part.files) {
      const auto path = file("initrd" + one.path);
      std::filesystem::create_directories(std::filesystem::path(path).parent_path());
      REQUIRE(write_file(path, one.content));
      std::filesystem::permissions(path, static_cast<std::filesystem::perms>(one.mode));
    }
    keep_to_needs(builder::initrd_volume_needs(profile));
  }
  /// That, and a disk with room for the volumes.
  void cast(const Volumes& volumes, const std::string& print) {
    render(volumes, print, "http://" + address);
    std::filesystem::remove_all(file("volumes"));
    std::filesystem::create_directories(file("volumes"));
    const auto guid = parse_guid("11111111-2222-4333-8444-555555555555").value();
    REQUIRE(builder::make_disk(guid, {{codec::linux_generic_type, guid, "data", {}, 4 * mebibyte}},
                               volumes.size() * volume_bytes, file("disk"), builder::silent_progress()));
  }
  /// How many volumes are on the disk; each is taken out of it for later boots.
  std::size_t take_out() {
    std::filesystem::remove_all(file("volumes"));
    std::filesystem::create_directories(file("volumes"));
    const auto disk = file_source(file("disk")).value();
    std::size_t count = 0;
    const auto table = nlohmann::json::parse(output_of({"sfdisk", "--json", file("disk")})).at("partitiontable");
    for (const auto& partition : table.at("partitions")) {
      if (parse_guid(partition.at("type").get<std::string>()) != codec::ingot_volume_type) continue;
      const auto part = slice_source(disk, partition.at("start").get<std::uint64_t>() * codec::lba_size_bytes,
                                     partition.at("size").get<std::uint64_t>() * codec::lba_size_bytes)
                            .value();
      tpm_.write("volumes/" + partition.at("name").get<std::string>(), read_all(*part, 1u << 30).value());
      ++count;
    }
    return count;
  }
  /// Made, by a first boot that succeeds.
  void make(const Volumes& volumes) {
    cast(volumes, thumbprint);
    REQUIRE(runs({"first-boot"}));
    REQUIRE(take_out() == volumes.size());
  }

  /// Whether a later boot's key opens the volume.
  bool opens(const std::string& volume) { return opens_with("/usr/lib/ingot/volume-key give " + volume, volume); }
  /// Whether what a command prints is the volume's passphrase.
  bool opens_with(const std::string& command, const std::string& volume) {
    return runs(
        {"/bin/bash", "-c",
         "set -o pipefail; " + command + " | cryptsetup open --test-passphrase --key-file=- /mnt/volumes/" + volume});
  }
  [[nodiscard]] nlohmann::json header(const std::string& volume) const {
    return nlohmann::json::parse(
        output_of({"cryptsetup", "luksDump", "--dump-json-metadata", file("volumes/" + volume)}));
  }
  /// Of the TPM's share, as it is predicted without the node.
  [[nodiscard]] Buffer policy() const {
    const auto told = tpm_.tool({"tpm2_nvreadpublic", release_index});
    const auto index = measure::release_index(parse_hex(value_of(told, "authorization policy")).value());
    CHECK(to_hex(codec::nv_name(index)) == value_of(told, "name"));
    return measure::index_policy(site_.policy().by_value, index).value();
  }
  /// What the TPM still has of sessions that somebody began.
  [[nodiscard]] std::string sessions() const {
    return tpm_.tool({"tpm2_getcap", "handles-loaded-session"}) + tpm_.tool({"tpm2_getcap", "handles-saved-session"});
  }
  /// What a boot says that gets no key, once it is sure that it wrote nothing and gave nothing away.
  std::string refusal(const std::string& volume) {
    const auto before = digest_of(file("volumes/" + volume));
    const auto done = run({"/usr/lib/ingot/volume-key", "give", volume});
    CHECK(done.exit_code != 0);
    CHECK(done.output.empty());
    CHECK(digest_of(file("volumes/" + volume)) == before);
    return done.error_tail;
  }
  /// What a first boot says that makes no volume; nothing of it is on the disk.
  std::string no_creation() {
    const auto before = digest_of(file("disk"));
    const auto done = run({"first-boot"});
    CHECK(done.exit_code != 0);
    CHECK(digest_of(file("disk")) == before);
    return done.error_tail;
  }

 private:
  /// The providers of TPM and file find what the image's initrd has for them, and no other program.
  void keep_to_needs(const builder::InitrdNeeds& needs) const {
    const std::string everything = "PATH=/usr/sbin:/usr/bin";
    std::filesystem::create_directories(file("initrd/needs"));
    auto paths = needs.files;
    paths.emplace_back("/usr/bin/mount");  // each initrd has it
    for (const auto& path : paths)
      std::filesystem::create_symlink(path, file("initrd/needs/" + std::filesystem::path(path).filename().string()));
    for (const std::string provider :
         {"initrd/usr/lib/ingot/key-providers/tpm", "initrd/usr/lib/ingot/key-providers/file"}) {
      if (!std::filesystem::exists(file(provider))) continue;
      auto content = text(provider);
      REQUIRE(has(content, everything));
      tpm_.write(provider, as_bytes(content.replace(content.find(everything), everything.size(), "PATH=/needs")));
      std::filesystem::permissions(file(provider), std::filesystem::perms(0755));
    }
  }
  [[nodiscard]] std::string folder() const { return std::filesystem::path(tpm_.file("")).parent_path(); }
  void serve(std::vector<std::string> argv) {
    builder::Command command;
    command.argv = std::move(argv);
    server_.emplace(builder::Background::start(command, file("server.log")).value());
    for (int i = 0; i < 200; ++i) {
      if (run_tool({"ip", "netns", "exec", lab_.name("node"), "curl", "--silent", "--output", "/dev/null",
                    "http://" + address + "/"})
              .exit_code == 0)
        return;
      ::usleep(50'000);
    }
    FAIL("the server does not come up: " << text("server.log"));
  }

  Tpm tpm_;
  SealingSite site_;
  NetworkLab lab_;
  std::optional<builder::Background> server_;
};

}  // namespace ingot::test
