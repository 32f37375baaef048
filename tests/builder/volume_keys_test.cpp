#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/config.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"
#include "ingot/signer/key.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

/// The key server is on the management VLAN, behind the gateway of "office", or out of reach.
const std::string site = R"(collector = "storage"
[planes.management]
kind = "vlan"
vlan = 10
link = "mgmt"
addressing = "dhcp"
subnets = ["10.10.0.0/24", "fd00:10::/64"]
[planes.office]
kind = "vlan"
vlan = 30
link = "mgmt"
addressing = "dhcp"
subnets = ["10.30.0.0/24"]
gateways = ["10.30.0.254"]
[planes.fabric]
kind = "plain"
link = "fabric"
subnets = ["10.20.0.0/24"]
[planes.other]
kind = "plain"
link = "other"
subnets = ["10.40.0.0/24"]
[roles.training.planes]
management = ["10.10.0.128/25", "fd00:10::8000/113"]
office = ["10.30.0.0/25"]
fabric = ["10.20.0.0/24"]
[roles.training]
ssh = false
[roles.storage.planes]
management = ["10.10.0.2"]
other = ["10.40.0.0/24"]
[roles.storage]
ssh = false
[zones.house]
plane = "office"
addresses = ["192.0.2.0/24"]
[zones.machines]
plane = "management"
addresses = ["10.10.0.3/32", "10.10.0.5/32", "fd00:10::3/128"]
[zones.routers]
plane = "office"
addresses = ["10.30.0.250/32"]
[[flows]]
name = "addresses"
from = ["training", "storage"]
to = ["machines"]
plane = "management"
ports = ["udp/67", "udp/547"]
why = "DHCP"
[[flows]]
name = "office-addresses"
from = ["training"]
to = ["routers"]
plane = "office"
ports = ["udp/67"]
why = "DHCP"
[[flows]]
name = "logs"
from = ["training"]
to = ["storage"]
plane = "management"
ports = ["tcp/19532"]
why = "records"
)";
const std::string packages =
    "\"systemd\", \"systemd-cryptsetup\", \"systemd-repart\", \"e2fsprogs\", \"openssl\", \"clevis\", "
    "\"cryptsetup-bin\", \"jose\", \"tpm2-tools\"";
const std::string without_tpm2_tools = packages.substr(0, packages.rfind(','));
const std::string thumbprint = "fgOgG3vJSrNZtFvc2nWZsQYKGIR28smGTWJmIrDLSM4";

std::string head(const std::string& with = packages) {
  return "name = \"training\"\nversion = 1\nrole = \"training\"\nsite = \"site.toml\"\n[base]\npackages = [" + with +
         "]\n[network.links.mgmt]\ndriver = \"virtio_net\"\n[network.links.fabric]\ndriver = \"mlx5_core\"\n";
}
std::string volume(const std::string& name, const std::string& key) {
  return fmt::format("[[volume]]\nname = \"{0}\"\nmount = \"/srv/{0}\"\nsize = \"1GiB\"\nkey = \"{1}\"\n", name, key);
}
std::string server(const std::string& url, const std::string& print = thumbprint) {
  return fmt::format("[keyserver]\nurl = \"{}\"\nthumbprint = \"{}\"\n", url, print);
}

class Folder {
 public:
  Folder() { REQUIRE(write_file(folder_.path() + "/site.toml", as_bytes(site))); }
  Result<Profile> load(const std::string& text, const std::string& base = {}) {
    REQUIRE(write_file(folder_.path() + "/base.toml", as_bytes(base)));
    REQUIRE(write_file(folder_.path() + "/profile.toml", as_bytes(text)));
    return load_profile(folder_.path() + "/profile.toml");
  }
  Profile must(const std::string& text, const std::string& base = {}) {
    auto profile = load(text, base);
    if (!profile) FAIL(describe(profile.error()));
    for (auto& one : profile->volumes) one.recovery = false;  // has its own tests
    return *std::move(profile);
  }

 private:
  TemporaryFolder folder_ =
      TemporaryFolder::create(std::filesystem::temp_directory_path().string(), "ingot-test-").value();
};

}  // namespace

TEST_CASE("volume keys: each volume has its own providers, and the TPM where nothing is said") {
  Folder folder;
  using Key = std::vector<KeyProvider>;
  const auto profile =
      folder.must(head() + volume("a", "tpm") + volume("b", "tang") + volume("c", "tpm+tang") +
                  "[[volume]]\nname = \"d\"\nmount = \"/srv/d\"\nsize = \"1GiB\"\n" + server("http://10.10.0.5:7500"));
  REQUIRE(profile.volumes.size() == 4);
  CHECK(profile.volumes[0].key == Key{KeyProvider::tpm});
  CHECK(profile.volumes[1].key == Key{KeyProvider::tang});
  CHECK(profile.volumes[2].key == Key{KeyProvider::tpm, KeyProvider::tang});
  CHECK(profile.volumes[3].key == Key{KeyProvider::tpm});
  REQUIRE(profile.key_server);
  CHECK(profile.key_server->url == "http://10.10.0.5:7500");
  CHECK(profile.key_server->thumbprint == thumbprint);
  CHECK(profile.key_server->plane == "management");
}

TEST_CASE("volume keys: the key server is looked for on the role's planes, then behind their gateways") {
  Folder folder;
  const auto plane = [&](const std::string& url) {
    return folder.must(head() + volume("a", "tang") + server(url)).key_server->plane;
  };
  CHECK(plane("http://10.10.0.5") == "management");
  CHECK(plane("http://[fd00:10::5]") == "management");
  CHECK(plane("http://[fd00:10::5]:80") == "management");
  CHECK(plane("http://192.0.2.9:65535") == "office");
}

TEST_CASE("volume keys: a base names the server, and who extends it changes a part or asks nobody") {
  Folder folder;
  const auto base = head() + server("http://10.10.0.5");
  const std::string top = "extends = \"base.toml\"\nname = \"a\"\nversion = 1\n";
  const auto moved = folder.must(top + volume("a", "tang") + "[keyserver]\nurl = \"http://10.10.0.6\"\n", base);
  CHECK(moved.key_server->url == "http://10.10.0.6");
  CHECK(moved.key_server->thumbprint == thumbprint);
  CHECK_FALSE(folder.must(top + volume("a", "tpm"), base).key_server);
}

TEST_CASE("volume keys: every mistake is refused with its place and the way out") {
  Folder folder;
  struct Row {
    const char* name;
    std::string text;
    std::uint32_t line;
    const char* message;
  };
  // The head has 10 lines, and a volume 5: its key is in line 15, [keyserver] in line 16.
  const auto with = [](const std::string& more) { return head() + volume("a", "tang") + more; };
  const auto url = [&](const std::string& text) { return with(server(text)); };
  const auto print = [&](const std::string& text) { return with(server("http://10.10.0.5", text)); };
  const std::vector<Row> rows = {
      {"a key that nobody holds", head() + volume("a", "stick"), 15,
       "expected one of \"tpm\", \"tang\", \"file\", \"tpm+tang\", \"tpm+file\""},
      {"the providers in another order", head() + volume("a", "tang+tpm"), 15, "expected one of"},
      {"no key server", with(""), 11, "there is none"},
      {"no url", with("[keyserver]\nthumbprint = \"" + thumbprint + "\"\n"), 16, "[keyserver] has no url"},
      {"no thumbprint: trust on first use", with("[keyserver]\nurl = \"http://10.10.0.5\"\n"), 16,
       "[keyserver] has no thumbprint"},
      {"an unknown key", with("[keyserver]\nadv = \"x\"\n"), 17, "adv"},
      {"a url that is a number", with("[keyserver]\nurl = 1\n"), 17, "url"},
      {"a name, which the initrd cannot look up", url("http://tang.example"), 17, "url is"},
      {"no scheme", url("10.10.0.5"), 17, "url is"},
      {"TLS, which tang does not speak", url("https://10.10.0.5"), 17, "url is"},
      {"a path", url("http://10.10.0.5/tang"), 17, "url is"},
      {"a slash at the end", url("http://10.10.0.5/"), 17, "url is"},
      {"a user", url("http://me@10.10.0.5"), 17, "url is"},
      {"a query", url("http://10.10.0.5?x"), 17, "url is"},
      {"a quote, which would end the JSON that clevis gets", url("http://10.10.0.5\\\",\\\"adv\\\":\\\"x"), 17,
       "url is"},
      {"port 0", url("http://10.10.0.5:0"), 17, "url is"},
      {"port 65536", url("http://10.10.0.5:65536"), 17, "url is"},
      {"no port behind the colon", url("http://10.10.0.5:"), 17, "url is"},
      {"IPv6 without brackets", url("http://fd00:10::5"), 17, "url is"},
      {"IPv4 in brackets", url("http://[10.10.0.5]"), 17, "url is"},
      {"a bracket that stays open", url("http://[fd00:10::5"), 17, "url is"},
      {"text behind the bracket", url("http://[fd00:10::5]7500"), 17, "url is"},
      {"nothing behind the scheme", url("http://"), 17, "url is"},
      {"a thumbprint by SHA-1", print("_OsIk0T-E2l6qjfdDiwVmidoZjA"), 18, "thumbprint is"},
      {"a thumbprint with padding", print(thumbprint + "="), 18, "thumbprint is"},
      {"a thumbprint in plain base64", print("+" + thumbprint.substr(1)), 18, "thumbprint is"},
      {"an address on no plane of the role", url("http://10.40.0.5"), 16, "no plane of the role training leads to"},
      {"the node itself", url("http://127.0.0.1"), 16, "no plane of the role training leads to"},
      {"a plane on which each node has its own address", url("http://10.20.0.5"), 16, "that the initrd does not know"},
      {"no clevis",
       head("\"systemd\", \"systemd-cryptsetup\", \"systemd-repart\", \"e2fsprogs\", \"openssl\", \"cryptsetup-bin\"") +
           volume("a", "tpm+tang") + server("http://10.10.0.5"),
       11, "needs the package clevis"},
      {"no cryptsetup",
       head("\"systemd\", \"systemd-cryptsetup\", \"systemd-repart\", \"e2fsprogs\", \"openssl\", \"clevis\"") +
           volume("a", "tang") + server("http://10.10.0.5"),
       11, "needs the package cryptsetup-bin"},
      {"no tpm2-tools",
       head(without_tpm2_tools) + volume("a", "tang") + volume("b", "tpm+tang") + server("http://10.10.0.5"), 16,
       "key = \"tpm+tang\" of volume \"b\" needs the package tpm2-tools"},
      {"a key file without jose, though clevis brings it",
       head("\"systemd\", \"systemd-cryptsetup\", \"systemd-repart\", \"e2fsprogs\", \"openssl\", \"clevis\", "
            "\"cryptsetup-bin\"") +
           volume("a", "tang") + volume("b", "file") + server("http://10.10.0.5"),
       16, "key = \"file\" of volume \"b\" needs the package jose"},
      {"a key file and the TPM without tpm2-tools", head(without_tpm2_tools) + volume("a", "tpm+file"), 11,
       "key = \"tpm+file\" of volume \"a\" needs the package tpm2-tools"},
      {"no site",
       "name = \"a\"\nversion = 1\nrole = \"a\"\n[base]\npackages = [" + packages + "]\n" + volume("a", "tang") +
           server("http://10.10.0.5"),
       11, "a node without a site has no network"}};
  for (const auto& row : rows) {
    INFO(row.name);
    const auto profile = folder.load(row.text);
    REQUIRE_FALSE(profile);
    INFO(describe(profile.error()));
    CHECK(profile.error().code == ErrorCode::malformed);
    REQUIRE(profile.error().at);
    CHECK(profile.error().at->line == row.line);
    CHECK(profile.error().message.find(row.message) != std::string::npos);
  }
}

namespace {

std::string file_of(const ConfigPart& part, const std::string& path) {
  for (const auto& file : part.files)
    if (file.path == path) return std::string(as_text(file.content));
  FAIL("no " << path);
  return {};
}
bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}
std::vector<std::string> network_files(const ConfigPart& part) {
  std::vector<std::string> names;
  for (const auto& file : part.files)
    if (file.path.starts_with("/etc/systemd/network/")) names.push_back(file.path.substr(21));
  return names;
}
const std::string units = "/usr/lib/systemd/system/";

}  // namespace

TEST_CASE("volume keys: the initrd binds before it makes, and asks each volume's providers before it opens") {
  Folder folder;
  const auto part = render_initrd_volumes(folder.must(head() + volume("a", "tpm") + volume("b", "tang") +
                                                      volume("c", "tpm+tang") + server("http://10.10.0.5")))
                        .value();
  const auto crypttab = file_of(part, "/etc/crypttab");
  CHECK(has_line(crypttab, "a /dev/disk/by-partlabel/a none noauto,headless=yes,tpm2-device=auto"));
  CHECK(has_line(crypttab, "b /dev/disk/by-partlabel/b /run/ingot/keys/b noauto,headless=yes"));
  CHECK(has_line(crypttab, "c /dev/disk/by-partlabel/c /run/ingot/keys/c noauto,headless=yes,tpm2-measure-pcr=yes"));
  CHECK(has_line(file_of(part, "/usr/lib/ingot/repart.d/01-a.conf"), "Encrypt=tpm2"));
  const auto served = file_of(part, "/usr/lib/ingot/repart.d/03-c.conf");
  CHECK(has_line(served, "CopyBlocks=/run/ingot/volumes/c"));
  CHECK(served.find("Encrypt=") == std::string::npos);  // systemd-repart would make a key of its own
  const auto make = file_of(part, units + "ingot-volumes.service.d/keys.conf");
  CHECK(has_line(make, "ExecStartPre=/usr/lib/ingot/volume-key make b"));
  CHECK(has_line(make, "ExecStartPre=/usr/lib/ingot/volume-key make c"));
  CHECK(make.find("make a") == std::string::npos);
  CHECK(make.find("make c") < make.find("ExecStartPre=/usr/bin/mount --bind /run /sysroot/run\n"));
  CHECK(has_line(make, "ExecStartPost=/usr/bin/umount /sysroot/run"));
  CHECK(has_line(make, "After=systemd-networkd-wait-online.service"));
  CHECK(has_line(file_of(part, units + "ingot-key-c.socket"), "ListenStream=/run/ingot/keys/c"));
  CHECK(has_line(file_of(part, units + "ingot-key-c@.service"), "ExecStart=/usr/lib/ingot/volume-key give c"));
  CHECK(has_line(file_of(part, units + "systemd-cryptsetup@c.service.d/key.conf"), "Wants=ingot-key-c.socket"));
  CHECK(has_line(file_of(part, units + "dev-disk-by\\x2dpartlabel-c.device.d/key.conf"), "JobRunningTimeoutSec=15min"));
  CHECK(file_of(part, "/usr/lib/ingot/volume-keys/b") == "tang\n");
  CHECK(file_of(part, "/usr/lib/ingot/volume-keys/c") == "tpm tang\n");
  CHECK(file_of(part, "/usr/lib/ingot/key-providers/tang.conf") == "http://10.10.0.5 " + thumbprint + "\n");
  // One policy, whoever seals: the PCRs that systemd-repart is told, and the index that its pcrlock.json names.
  CHECK(file_of(part, "/usr/lib/ingot/key-providers/tpm.conf") ==
        "device:/dev/tpmrm0\n0x0181474f sha256:11 sha256:7,15\n");
  CHECK(file_of(part, units + "ingot-volumes.service").find("--tpm2-pcrs=7:sha256+15:sha256 ") != std::string::npos);
  // The index is this release's before anybody asks by it.
  CHECK(has_line(file_of(part, units + "ingot-volumes.service"), "Requires=ingot-release.service"));
  CHECK(has_line(file_of(part, units + "ingot-volumes.service"), "After=ingot-release.service"));
  CHECK(has_line(file_of(part, units + "ingot-key-c@.service"), "After=ingot-release.service"));
  CHECK_FALSE(has_line(file_of(part, units + "ingot-key-b@.service"), "After=ingot-release.service"));
  for (const auto& file : part.files)
    if (file.path == "/usr/lib/ingot/volume-key" || file.path.ends_with("key-providers/tang")) CHECK(file.mode == 0755);
}

TEST_CASE("volume keys: the initrd has the network of the key server's plane alone, and takes it down") {
  Folder folder;
  const auto part =
      render_initrd_volumes(folder.must(head() + volume("a", "tang") + server("http://[fd00:10::5]:80"))).value();
  CHECK(network_files(part) ==
        std::vector<std::string>{"10-mgmt.link", "20-mgmt.network", "30-management.netdev", "30-management.network"});
  const auto link = file_of(part, "/etc/systemd/network/20-mgmt.network");
  CHECK(has_line(link, "VLAN=management"));
  CHECK_FALSE(has_line(link, "VLAN=office"));
  CHECK(has_line(link, "DHCP=no"));
  CHECK(has_line(file_of(part, "/etc/systemd/network/30-management.network"), "DHCP=yes"));
  const auto networkd = file_of(part, units + "systemd-networkd.service.d/ingot.conf");
  CHECK(
      networkd ==
      "[Service]\nExecStopPost=+/usr/bin/networkctl delete management\nExecStopPost=+/usr/bin/networkctl down mgmt\n");
  CHECK(has_line(file_of(part, units + "systemd-networkd-wait-online.service.d/ingot.conf"),
                 "ExecStart=/usr/lib/systemd/systemd-networkd-wait-online --interface=management --ipv6 --timeout=60"));
  // Over a bond its members, too; behind a gateway the way there.
  auto bonded = head() + volume("a", "tang") + server("http://192.0.2.9");
  const std::string card = "[network.links.mgmt]\ndriver = \"virtio_net\"\n";
  bonded.replace(bonded.find(card), card.size(),
                 "[network.links.mgmt]\nbond = [\"left\", \"right\"]\n[network.links.left]\npath = \"pci-1\"\n"
                 "[network.links.right]\npath = \"pci-2\"\n");
  const auto other = render_initrd_volumes(folder.must(bonded)).value();
  CHECK(network_files(other) == std::vector<std::string>{"15-mgmt.netdev", "10-left.link", "18-left.network",
                                                         "10-right.link", "18-right.network", "20-mgmt.network",
                                                         "30-office.netdev", "30-office.network"});
  CHECK(has_line(file_of(other, "/etc/systemd/network/30-office.network"), "Destination=192.0.2.0/24"));
  CHECK(file_of(other, units + "systemd-networkd.service.d/ingot.conf") ==
        "[Service]\nExecStopPost=+/usr/bin/networkctl delete office\nExecStopPost=+/usr/bin/networkctl delete mgmt\n"
        "ExecStopPost=+/usr/bin/networkctl down left\nExecStopPost=+/usr/bin/networkctl down right\n");
}

TEST_CASE("volume keys: an image without a key server has no shell, no network and no curl in its initrd") {
  Folder folder;
  const auto alone = folder.must(head() + volume("a", "tpm") + server("http://10.10.0.5"));
  const auto needs = initrd_volume_needs(alone);
  for (const auto& path : needs.files) {
    INFO(path);
    CHECK((path == "/usr/bin/rm" || path == "/usr/bin/systemd-cryptenroll" || path == "/usr/bin/openssl" ||
           path == "/usr/sbin/cryptsetup"));
  }
  CHECK(node_volumes(alone) == std::vector<NodeVolume>{{"a", VolumeMaker::any}});
  CHECK(needs.units.empty());
  CHECK(needs.modules.empty());
  const auto sealed = render_initrd_volumes(alone).value();
  for (const auto& file : sealed.files) {
    INFO(file.path);
    CHECK(file.path.find("key") == std::string::npos);
    CHECK(file.path.find("network") == std::string::npos);
  }
  const auto asking = initrd_volume_needs(folder.must(head() + volume("a", "tang") + server("http://10.10.0.5")));
  const auto has = [](const InitrdNeeds& one, const std::string& path) {
    return std::find(one.files.begin(), one.files.end(), path) != one.files.end();
  };
  CHECK(has(asking, "/usr/bin/bash"));
  CHECK_FALSE(has(asking, "/usr/bin/tpm2"));
  const auto sharing = initrd_volume_needs(
      folder.must(head() + volume("a", "tpm") + volume("b", "tpm+tang") + server("http://10.10.0.5")));
  CHECK(has(sharing, "/usr/bin/tpm2"));
  CHECK_FALSE(has(sharing, "/usr/sbin/blkid"));  // of key files
  const auto apart =
      folder.must(head(without_tpm2_tools) + volume("a", "tpm") + volume("b", "tang") + server("http://10.10.0.5"));
  CHECK_FALSE(has(initrd_volume_needs(apart), "/usr/bin/tpm2"));
  CHECK(node_volumes(apart) == std::vector<NodeVolume>{{"a", VolumeMaker::any}, {"b", VolumeMaker::shares}});
}

TEST_CASE("volume keys: key files need no site, no key server and no network") {
  Folder folder;
  const auto profile =
      folder.must("name = \"a\"\nversion = 1\nrole = \"a\"\n[base]\npackages = [" + packages + "]\n" +
                  volume("a", "tpm") + volume("b", "file") + volume("c", "tpm+file") + server("http://10.10.0.5"));
  using Key = std::vector<KeyProvider>;
  CHECK(profile.volumes[1].key == Key{KeyProvider::file});
  CHECK(profile.volumes[2].key == Key{KeyProvider::tpm, KeyProvider::file});
  CHECK_FALSE(profile.key_server);
  const auto part = render_initrd_volumes(profile).value();
  CHECK(file_of(part, "/usr/lib/ingot/volume-keys/b") == "file\n");
  CHECK(file_of(part, "/usr/lib/ingot/volume-keys/c") == "tpm file\n");
  const auto crypttab = file_of(part, "/etc/crypttab");
  CHECK(has_line(crypttab, "b /dev/disk/by-partlabel/b /run/ingot/keys/b noauto,headless=yes"));
  CHECK(has_line(file_of(part, "/usr/lib/ingot/repart.d/02-b.conf"), "CopyBlocks=/run/ingot/volumes/b"));
  const auto make = file_of(part, units + "ingot-volumes.service.d/keys.conf");
  CHECK(has_line(make, "ExecStartPre=/usr/lib/ingot/volume-key make b"));
  CHECK(has_line(make, "ExecStartPre=/usr/lib/ingot/volume-key make c"));
  CHECK(has_line(make, "ExecStartPre=/usr/bin/mount --bind /run /sysroot/run"));
  CHECK(has_line(file_of(part, units + "dev-disk-by\\x2dpartlabel-b.device.d/key.conf"), "JobRunningTimeoutSec=15min"));
  CHECK(has_line(file_of(part, units + "ingot-key-c@.service"), "After=ingot-release.service"));
  CHECK_FALSE(has_line(file_of(part, units + "ingot-key-b@.service"), "After=ingot-release.service"));
  for (const auto& file : part.files) {
    INFO(file.path);
    CHECK(file.path.find("tang") == std::string::npos);
    CHECK(file.path.find("network") == std::string::npos);
    CHECK(as_text(file.content).find("network") == std::string::npos);
    if (file.path.ends_with("key-providers/file") || file.path.ends_with("key-providers/tpm")) CHECK(file.mode == 0755);
  }
  // USB disks stay with the initrd: udev is gone before the modules are.
  const auto media = file_of(part, units + "ingot-key-media.service");
  CHECK(has_line(media, "Before=systemd-udevd.service shutdown.target initrd-switch-root.target"));
  CHECK(has_line(media, "ExecStop=-/usr/sbin/modprobe --remove --quiet uas usb_storage"));
  CHECK(std::any_of(part.links.begin(), part.links.end(), [](const auto& link) {
    return link.path == units + "initrd.target.wants/ingot-key-media.service";
  }));
  const auto needs = initrd_volume_needs(profile);
  const auto has = [](const std::vector<std::string>& list, const std::string& one) {
    return std::find(list.begin(), list.end(), one) != list.end();
  };
  for (const auto* path : {"/usr/bin/bash", "/usr/bin/jose", "/usr/bin/umount", "/usr/sbin/blkid", "/usr/bin/tpm2",
                           "/usr/lib/udev/rules.d/60-cdrom_id.rules"})
    CHECK(has(needs.files, path));
  for (const auto* path : {"/usr/bin/curl", "/usr/bin/networkctl"}) CHECK_FALSE(has(needs.files, path));
  CHECK(needs.units.empty());
  for (const auto* module : {"isofs", "usb_storage", "sr_mod"}) CHECK(has(needs.modules, module));
  CHECK_FALSE(has(needs.modules, "virtio_net"));
}

TEST_CASE("volume keys: what the verifier must find in a header says who opens it") {
  Folder folder;
  const auto value = [&](const std::string& key) {
    const auto part = render_storage(folder.must(head() + volume("a", key) + server("http://10.10.0.5"))).value();
    const auto row = std::find_if(part.settings.begin(), part.settings.end(),
                                  [](const Setting& one) { return one.area == SettingArea::volume; });
    REQUIRE(row != part.settings.end());
    return row->value;
  };
  CHECK(value("tang") == "crypt aes-xts-plain64, key 512 bits, mapped a, slots clevis");
  CHECK(value("tpm+tang") == "crypt aes-xts-plain64, key 512 bits, mapped a, shares tang+tpm, slots ingot-key");
  CHECK(value("file") == "crypt aes-xts-plain64, key 512 bits, mapped a, shares file, slots ingot-key");
  CHECK(value("tpm+file") == "crypt aes-xts-plain64, key 512 bits, mapped a, shares file+tpm, slots ingot-key");
  CHECK(value("tpm") ==
        "crypt aes-xts-plain64, key 512 bits, mapped a, pcrs sha256 7+15, signed pcrs 11, release index, "
        "slots systemd-tpm2");
}

TEST_CASE("volume keys: a recovery key is made with the key that the providers give, not with the TPM's") {
  Folder folder;
  auto profile = folder.load(head() + volume("a", "tang") + server("http://10.10.0.5")).value();
  const auto keys_folder =
      TemporaryFolder::create(std::filesystem::temp_directory_path().string(), "ingot-test-").value();
  const auto keys = signer::init_keys(keys_folder.path() + "/keys").value();
  const auto pem = read_file(keys.certificate("recovery"), 1u << 16).value();
  REQUIRE(complete_recovery(profile, "recovery.crt", as_text(pem)));
  const auto part = render_initrd_volumes(profile).value();
  const auto unit = file_of(part, units + "ingot-recovery-key-a.service");
  CHECK(unit.find("systemd-cryptenroll --unlock-key-file=/run/ingot/keys/a --recovery-key") != std::string::npos);
  CHECK(unit.find("tpm2-device") == std::string::npos);
  CHECK(unit.find("ingot-key-a.socket") != std::string::npos);
}

TEST_CASE("volume keys: the TPM's share is sealed once, so no PCR 7 that is to come opens it") {
  Folder folder;
  const auto next = "[boot]\nnext_pcr7 = [\"" + std::string(64, 'a') + "\"]\n";
  CHECK(folder.must(head() + volume("a", "tpm") + volume("b", "tang") + server("http://10.10.0.5") + next)
            .boot.next_pcr_7.size() == 1);
  const auto refused = folder.load(head() + volume("a", "tpm+tang") + server("http://10.10.0.5") + next);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::malformed);
  CHECK(refused.error().message.find("\"a\"") != std::string::npos);
}
