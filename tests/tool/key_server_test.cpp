// Volumes whose key is on a key server: a real tang, the clevis, cryptsetup and systemd of Debian 13, and what we put
// into the initrd. Node and server are two network namespaces; the TPM is swtpm.
#include <catch2/catch.hpp>
#include <cctype>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

#include "ingot/builder/config.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/measure/revocation.hpp"
#include "network_lab.hpp"
#include "volume_site.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mebibyte = 1u << 20;
constexpr std::uint64_t volume_bytes = 64 * mebibyte;
const std::string address = "10.10.0.5";
using Key = std::vector<KeyProvider>;
using Volumes = std::vector<std::pair<std::string, Key>>;
const Key tpm_alone = {KeyProvider::tpm}, tang_alone = {KeyProvider::tang},
          both = {KeyProvider::tpm, KeyProvider::tang};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const auto release_index = fmt::format("{:#010x}", measure::release_index({}).index);

struct Release {
  std::string kernel;  ///< that makes it another one for PCR 11
  std::uint32_t generation;
};
const Release first{"5", 1};  // as SealingSite has it

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
    fs::create_directories(file("volumes"));
    fs::create_directories(file("initrd"));
    thumbprint = new_server("keys");
    start_server("keys");
  }

  std::string thumbprint;  ///< of the server that is there at first, with the database "keys"

  [[nodiscard]] const Tpm& tpm() const { return tpm_; }
  [[nodiscard]] std::string file(const std::string& name) const { return tpm_.file(name); }
  [[nodiscard]] std::string text(const std::string& name) const {
    return fs::exists(file(name)) ? std::string(as_text(tpm_.read(name))) : std::string();
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
    fs::remove(file("slept"));
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
    fs::create_directories(file(database));
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
    for (const auto& [name, key] : volumes)
      profile.volumes.push_back({name, "/srv/" + name, volume_bytes, false, false, {}, key});
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
    profile.key_server = {url, print, "management", {}};
    fs::remove_all(file("initrd"));
    const auto part = builder::render_initrd_volumes(profile).value();
    for (const auto& one : part.files) {
      const auto path = file("initrd" + one.path);
      fs::create_directories(fs::path(path).parent_path());
      REQUIRE(write_file(path, one.content));
      fs::permissions(path, static_cast<fs::perms>(one.mode));
    }
    keep_to_needs(builder::volume_key_needs(profile));
  }
  /// That, and a disk with room for the volumes.
  void cast(const Volumes& volumes, const std::string& print) {
    render(volumes, print, "http://" + address);
    fs::remove_all(file("volumes"));
    fs::create_directories(file("volumes"));
    const auto guid = parse_guid("11111111-2222-4333-8444-555555555555").value();
    REQUIRE(builder::make_disk(guid, {{codec::linux_generic_type, guid, "data", {}, 4 * mebibyte}},
                               volumes.size() * volume_bytes, file("disk"), builder::silent_progress()));
  }
  /// How many volumes are on the disk; each is taken out of it for later boots.
  std::size_t take_out() {
    fs::remove_all(file("volumes"));
    fs::create_directories(file("volumes"));
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
    return measure::index_policy(site_.policy(), index).value();
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
  /// The TPM's provider finds what the image's initrd has for it, and no other program.
  void keep_to_needs(const builder::VolumeKeyNeeds& needs) const {
    const std::string provider = "initrd/usr/lib/ingot/key-providers/tpm", everything = "PATH=/usr/sbin:/usr/bin";
    fs::create_directories(file("initrd/needs"));
    for (const auto& path : needs.files)
      fs::create_symlink(path, file("initrd/needs/" + fs::path(path).filename().string()));
    auto content = text(provider);
    REQUIRE(has(content, everything));
    tpm_.write(provider, as_bytes(content.replace(content.find(everything), everything.size(), "PATH=/needs")));
    fs::permissions(file(provider), fs::perms(0755));
  }
  [[nodiscard]] std::string folder() const { return fs::path(tpm_.file("")).parent_path(); }
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

const std::string refused =
    "ingot: volume shared: the TPM says no: this release, or this boot, is not the one that may open it";
const std::string backed_off = "1\n2\n4\n8\n16\n32\n60\n60\n60\n";

}  // namespace

TEST_CASE("key server: one first boot makes volumes of all three kinds, and each opens by its own providers") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.make({{"sealed", tpm_alone}, {"served", tang_alone}, {"shared", both}});
  CHECK(lab.opens("served"));
  CHECK(lab.opens("shared"));
  CHECK(lab.text("slept").empty());
  for (const auto& [name, type] :
       {std::pair{"sealed", "systemd-tpm2"}, {"served", "clevis"}, {"shared", "ingot-key"}}) {
    INFO(name);
    const auto dump = lab.header(name);
    CHECK(dump.at("keyslots").size() == 1);
    CHECK(dump.at("keyslots").at("0").at("kdf").at("type") == "pbkdf2");
    REQUIRE(dump.at("tokens").size() == 1);
    CHECK(dump.at("tokens").at("0").at("type") == type);
    CHECK(dump.at("segments").at("0").at("encryption") == "aes-xts-plain64");
  }
  // What clevis takes for its own is clevis's own.
  CHECK(lab.opens_with("clevis luks pass -d /mnt/volumes/served -s 0", "served"));
  // systemd gets the key where crypttab says that it is; a recovery key beside it changes nothing.
  CHECK(lab.runs({"seen-by-cryptenroll", "shared"}));
  CHECK(lab.header("shared").at("keyslots").size() == 2);
  CHECK(lab.opens("shared"));
  // Each further boot finds them, and asks nobody.
  lab.stop_server();
  const auto before = digest_of(lab.file("disk"));
  lab.run({"first-boot"});
  CHECK(lab.text("slept").empty());
  CHECK(digest_of(lab.file("disk")) == before);
}

TEST_CASE("key server: with the TPM, neither share opens anything alone") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.make({{"served", tang_alone}, {"shared", both}});
  const std::string part = "cryptsetup token export --token-id 0 /mnt/volumes/shared | jose fmt -j- -Og ";
  const std::string open = " -Oo- | /usr/lib/ingot/key-providers/";
  const auto tpm = part + "tpm" + open + "tpm open shared", tang = part + "tang" + open + "tang open shared";
  CHECK(lab.shell(tpm).size() == 43);
  CHECK(lab.shell(tang).size() == 43);
  CHECK_FALSE(lab.opens_with(tpm, "shared"));
  CHECK_FALSE(lab.opens_with(tang, "shared"));
  CHECK_FALSE(lab.opens_with("{ " + tang + "; " + tpm + "; }", "shared"));
  CHECK(lab.opens_with("{ " + tpm + "; " + tang + "; }", "shared"));
  // The TPM's share is under the policy that is predicted without the node.
  const auto object = lab.shell(part + "tpm -Og public -u- | jose b64 dec -i-");
  CHECK(has(object, as_text(lab.policy())));
  // Of one volume it is none for another.
  CHECK_FALSE(lab.opens_with(part + "tpm" + open + "tpm open other", "shared"));
  // The running system's TPM gives nothing out; the key server alone does not know what was booted.
  lab.tpm().extend(15);
  const auto said = lab.refusal("shared");
  CHECK(has(said, refused));
  CHECK(has(said, "ingot: volume shared: no key from tpm"));
  CHECK(lab.opens("served"));
}

TEST_CASE("key server: no share is ever an argument of a program, in a file, or on the bus to the TPM") {
  if (no_systemd()) return;
  KeyLab lab(Tpm::Bus::recorded);
  lab.tpm().write("arguments", {});
  fs::create_directories(lab.file("seen"));
  lab.make({{"shared", both}});
  const auto done = lab.run({"/usr/lib/ingot/volume-key", "give", "shared"});
  REQUIRE(done.exit_code == 0);
  const auto passphrase = std::string(as_text(done.output));
  REQUIRE(passphrase.size() == 86);
  const auto of_tpm = passphrase.substr(0, 43), of_tang = passphrase.substr(43);
  const auto called = lab.text("arguments");
  for (const auto* call : {"jose jwk gen ", "clevis-encrypt-tang {", "clevis-decrypt-tang", "tpm2 create ",
                           "tpm2 unseal ", "cryptsetup luksFormat ", "cryptsetup open --test-passphrase "})
    CHECK(has(called, call));
  CHECK_FALSE(has(called, of_tpm));
  CHECK_FALSE(has(called, of_tang));

  std::size_t sealed = 0;
  for (const auto& found : fs::recursive_directory_iterator(lab.file("seen"))) {
    INFO(found.path());
    if (found.is_directory()) CHECK((found.status().permissions() & fs::perms(0077)) == fs::perms::none);
    if (!found.is_regular_file()) continue;
    if (found.path().filename() == "private") ++sealed;
    CHECK_FALSE(has(std::string(as_text(read_file(found.path(), 1u << 20).value())), of_tpm));
  }
  CHECK(sealed > 0);
  CHECK(lab.shell("/usr/lib/ingot/volume-key give shared >/dev/null; ls /run | grep ingot-tpm || true").empty());

  auto bus = lab.text("bus");
  std::erase_if(bus, [](char c) { return c == ' ' || c == '\n'; });
  std::transform(bus.begin(), bus.end(), bus.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
  CHECK(has(bus, to_hex(lab.policy())));  // of the object that is made: in the clear
  CHECK_FALSE(has(bus, to_hex(as_bytes(of_tpm))));
}

TEST_CASE("key server: the TPM gives its share to later releases, and to none that was revoked") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.make({{"served", tang_alone}, {"shared", both}});
  for (const auto& release : {Release{"of the same generation", 1}, first, Release{"of the next", 2},
                              Release{"of that one, too", 2}, Release{"of a later one", 4}}) {
    INFO(release.kernel);
    CHECK(lab.start(release));
    CHECK(lab.opens("shared"));
  }
  for (const auto& release : {first, Release{"of the next", 2}}) {
    INFO(release.kernel);
    CHECK_FALSE(lab.start(release));
    CHECK(has(lab.refusal("shared"), refused));
    CHECK(lab.opens("served"));  // it reaches the server, and that is all that this one asks
  }
  lab.cast({{"shared", both}}, lab.thumbprint);
  CHECK(has(lab.no_creation(), refused));
  CHECK(lab.sessions().empty());
}

TEST_CASE("key server: the TPM keeps its share from other boots and other nodes") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.make({{"shared", both}});
  const auto& tpm = lab.tpm();
  const auto forget_index = [&] { tpm.tool({"tpm2_nvundefine", "-C", "o", release_index}); };
  const auto forget_all = [&] {
    forget_index();
    tpm.tool({"tpm2_nvundefine", "-C", "o", fmt::format("{:#010x}", measure::generation_counter().index)});
    REQUIRE(lab.start(first));  // makes others
  };
  struct Row {
    const char* name;
    std::function<void()> change;
    std::string message;
  };
  const std::vector<Row> rows = {
      {"the initrd has been left", [&] { tpm.extend(11); }, refused},
      {"a volume has been opened", [&] { tpm.extend(15); }, refused},
      {"other keys of Secure Boot", [&] { tpm.extend(7); }, refused},
      {"no release index", forget_index, refused},
      {"no storage root key", [&] { tpm.forget_srk(); }, "no TPM answers that has a storage root key (0x81000001)"},
      {"another storage root key", [&] { tpm.make_srk("rsa2048:aes128cfb"); },
       "it was made with the TPM of another node, or this one was cleared since"},
      {"the old one again",
       [&] {
         tpm.forget_srk();
         tpm.make_srk("ecc256:aes128cfb");
       },
       ""},
      {"the TPM's memory of generations begins again", forget_all, refused}};
  for (const auto& row : rows) {
    INFO(row.name);
    REQUIRE(lab.start(first));
    row.change();
    if (row.message.empty())
      CHECK(lab.opens("shared"));
    else
      CHECK(has(lab.refusal("shared"), row.message));
    CHECK(lab.sessions().empty());
  }
  // A node whose storage root key is RSA.
  tpm.forget_srk();
  tpm.make_srk("rsa2048:aes128cfb");
  lab.make({{"shared", both}});
  CHECK(lab.opens("shared"));
}

TEST_CASE("key server: away, it is waited for, then the boot stops, and nothing is written") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.make({{"served", tang_alone}, {"shared", both}});
  lab.stop_server();
  for (const std::string volume : {"served", "shared"}) {
    const auto said = lab.refusal(volume);
    CHECK(has(said,
              "ingot: volume " + volume + ": the key server at http://10.10.0.5 does not answer; next try in 1 s\n"));
    CHECK(has(said, "next try in 60 s\n"));
    CHECK(has(said, "did not answer; start the node again when it does, or use the volume's recovery key offline"));
    CHECK(lab.text("slept") == backed_off);
  }
  lab.cast({{"shared", both}}, lab.thumbprint);
  CHECK(
      has(lab.no_creation(), "ingot: volume shared: tang does not take a key, so it is not made; nothing was written"));
  CHECK(lab.text("slept") == backed_off);
}

TEST_CASE("key server: a network that comes up late is enough") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.make({{"shared", both}});
  lab.link("down");
  lab.tpm().write("on-sleep", as_bytes("if [ \"$1\" = 4 ]; then ip link set mgmt up; fi\n"));
  CHECK(lab.opens("shared"));
  CHECK(lab.text("slept") == "1\n2\n4\n");
  lab.link("down");
  lab.cast({{"shared", both}}, lab.thumbprint);
  CHECK(lab.runs({"first-boot"}));
  CHECK(lab.take_out() == 1);
  CHECK(lab.opens("shared"));
}

TEST_CASE("key server: a server with other keys opens nothing, and is told from one that is away") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.make({{"served", tang_alone}, {"shared", both}});
  // Keys are rotated: the old ones still open what was bound to them. What is new is bound to the new ones alone.
  lab.shell("/usr/libexec/tangd-rotate-keys -d /mnt/keys");
  lab.start_server("keys");
  CHECK(lab.opens("served"));
  CHECK(lab.opens("shared"));
  const auto kept = read_file(lab.file("volumes/shared"), 1u << 30).value();
  lab.cast({{"later", both}}, lab.thumbprint);
  CHECK(has(lab.no_creation(), "does not prove that it is " + lab.thumbprint));
  lab.cast({{"later", both}}, lab.shown_by("keys"));
  REQUIRE(lab.runs({"first-boot"}));
  REQUIRE(lab.take_out() == 1);
  CHECK(lab.opens("later"));
  // The old ones are deleted.
  lab.shell("rm /mnt/keys/.*.jwk");
  lab.start_server("keys");
  CHECK(lab.opens("later"));
  lab.render({{"shared", both}}, lab.thumbprint, "http://10.10.0.5");
  lab.tpm().write("volumes/shared", kept);
  CHECK(has(lab.refusal("shared"), "no longer has the key of this volume"));
  CHECK(lab.text("slept").empty());
  lab.cast({{"shared", both}}, lab.thumbprint);
  CHECK(has(lab.no_creation(), "answers 404: it does not have the key " + lab.thumbprint));
  CHECK(lab.text("slept").empty());
}

TEST_CASE("key server: nobody else is bound to, whatever he says of himself") {
  if (no_systemd()) return;
  KeyLab lab;
  // The profile's thumbprint is wrong by a letter.
  auto wrong = lab.thumbprint;
  wrong.front() = wrong.front() == 'A' ? 'B' : 'A';
  lab.cast({{"served", tang_alone}}, wrong);
  CHECK(has(lab.no_creation(), "does not have the key " + wrong));
  // A stranger answers with a good advertisement of his own to whatever is asked.
  const auto his = lab.new_server("stranger");
  lab.start_server("stranger");
  fs::create_directories(lab.file("content/adv"));
  lab.shell("curl --silent --fail http://10.10.0.5/adv >/mnt/content/adv/" + lab.thumbprint);
  lab.start_impostor("content");
  lab.cast({{"served", tang_alone}, {"shared", both}}, lab.thumbprint);
  CHECK(has(lab.no_creation(), "does not prove that it is " + lab.thumbprint));
  // The same answer is good enough for who trusts him.
  fs::rename(lab.file("content/adv/" + lab.thumbprint), lab.file("content/adv/" + his));
  lab.cast({{"served", tang_alone}}, his);
  CHECK_FALSE(has(lab.no_creation(), "does not prove"));  // it is not made, since he opens nothing
}

TEST_CASE("key server: a header that another image made, or that was changed, is refused") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.make({{"served", tang_alone}, {"shared", both}});
  const auto as = [&](const std::string& name, const Key& key, const std::string& url) {
    lab.render({{name, key}}, lab.thumbprint, url);
    return lab.refusal(name);
  };
  const std::string url = "http://10.10.0.5";
  CHECK(has(as("served", both, url), "its key is not held by tpm tang, as the profile says"));
  CHECK(has(as("shared", tang_alone, url), "its key is not held by tang, as the profile says"));
  CHECK(has(as("shared", both, "http://10.10.0.6"),
            "its key is held by the key server at http://10.10.0.5, and the profile names http://10.10.0.6"));
  CHECK(lab.text("slept").empty());
  lab.render({{"shared", both}}, lab.thumbprint, url);
  const auto whole = read_file(lab.file("volumes/shared"), 1u << 30).value();
  struct Row {
    const char* name;
    std::string change;
    const char* message;
  };
  const std::string get = "token=$(cryptsetup token export --token-id 0 $v); cryptsetup token remove --token-id 0 $v; ";
  const std::string put = " | cryptsetup token import --token-id 0 $v";
  const std::vector<Row> rows = {
      {"no token", get, "has no token"},
      {"the TPM's part is taken out", get + "jose fmt -j- -Od tpm -o- <<<\"$token\"" + put, "has no part of tpm"},
      {"tang's part is taken out", get + "jose fmt -j- -Od tang -o- <<<\"$token\"" + put, "has no part of tang"},
      {"the TPM's part without what it sealed",
       get +
           "part=$(jose fmt -j- -Og tpm -Od private -o- <<<\"$token\"); jose fmt -j- -Oj \"$part\" -s tpm -Uo- "
           "<<<\"$token\"" +
           put,
       "its header is not this provider's"},
      {"the TPM's part with another object in it",
       get +
           "part=$(jose fmt -j- -Og tpm -j '\"AAAA\"' -s private -Uo- <<<\"$token\"); jose fmt -j- -Oj \"$part\" -s "
           "tpm -Uo- <<<\"$token\"" +
           put,
       "its header was changed: the TPM does not know what it sealed"},
      {"a part that is a text", get + "jose fmt -j- -Oq '\"x\"' -s tang -Uo- <<<\"$token\"" + put,
       "has no part of tang"},
      {"a JWE of another pin",
       get +
           "jwe=$(clevis encrypt null '{}' <<<x | jose jwe fmt -i-); jose fmt -j- -Oj \"$jwe\" -s tang -Uo- "
           "<<<\"$token\"" +
           put,
       "its header is not clevis's"}};
  for (const auto& row : rows) {
    INFO(row.name);
    lab.tpm().write("volumes/shared", whole);
    lab.shell("v=/mnt/volumes/shared; " + row.change);
    CHECK(has(lab.refusal("shared"), row.message));
  }
  lab.tpm().write("volumes/shared", whole);
  CHECK(lab.opens("shared"));
}

TEST_CASE("key server: a power cut leaves no volume or one that opens, and the next boot finishes") {
  if (no_systemd()) return;
  KeyLab lab;
  constexpr int cuts = 10;
  double usual = 0;
  for (int warm = 0; warm < 2; ++warm) {
    lab.cast({{"shared", both}}, lab.thumbprint);
    const auto begun = std::chrono::steady_clock::now();
    REQUIRE(lab.runs({"first-boot"}));
    usual = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  }
  int unfinished = 0;
  for (int cut = 1; cut <= cuts; ++cut) {
    const auto after = fmt::format("{:.3f}", usual * cut / (cuts + 1));
    INFO("cut after " << after << " s of " << usual);
    lab.cast({{"shared", both}}, lab.thumbprint);
    auto command = lab.initrd_command({"first-boot"});
    command.insert(command.begin(), {"timeout", "--signal=KILL", after});
    (void)run_tool(command);
    lab.tpm().tool({"tpm2_flushcontext", "-t"});
    lab.tpm().tool({"tpm2_flushcontext", "-l"});
    if (lab.take_out() == 0) {
      ++unfinished;
      CHECK(lab.runs({"first-boot"}));
      REQUIRE(lab.take_out() == 1);
    }
    CHECK(lab.opens("shared"));
  }
  CHECK(unfinished > 0);  // else the cuts came too late to mean anything
}
