#include <fmt/format.h>

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

const std::string top =
    "name = \"training\"\nversion = 1\nrole = \"training\"\n"
    "[base]\npackages = [\"systemd\", \"systemd-cryptsetup\", \"systemd-repart\", \"e2fsprogs\", \"openssl\", "
    "\"cryptsetup-bin\"]\n";
const std::string models = "[[volume]]\nname = \"models\"\nmount = \"/srv/models\"\nsize = \"1GiB\"\n";
const std::string state = "[[volume]]\nname = \"state\"\nmount = \"/var/lib/ingot\"\nsize = \"2GiB\"\n";

/// Whom recovery keys are encrypted to, as `ingot keys init` makes it.
const std::string& certificate() {
  static const std::string pem = [] {
    const auto folder = TemporaryFolder::create(std::filesystem::temp_directory_path().string(), "ingot-test-").value();
    const auto keys = signer::init_keys(folder.path() + "/keys").value();
    return std::string(as_text(read_file(keys.certificate("recovery"), 1u << 16).value()));
  }();
  return pem;
}

class Folder {
 public:
  Profile complete(const std::string& text) {
    auto profile = load(text).value();
    REQUIRE(complete_recovery(profile, "recovery.crt", certificate()));
    return profile;
  }
  Result<Profile> load(const std::string& text, const std::string& base = {}) {
    REQUIRE(write_file(folder_.path() + "/base.toml", as_bytes(base)));
    REQUIRE(write_file(folder_.path() + "/profile.toml", as_bytes(text)));
    return load_profile(folder_.path() + "/profile.toml");
  }

  Result<void> write(const std::string& name, const std::string& text) {
    return write_file(folder_.path() + "/" + name, as_bytes(text));
  }

 private:
  TemporaryFolder folder_ =
      TemporaryFolder::create(std::filesystem::temp_directory_path().string(), "ingot-test-").value();
};

std::string file_of(const ConfigPart& part, const std::string& path) {
  for (const auto& file : part.files)
    if (file.path == path) return std::string(as_text(file.content));
  FAIL("no " << path);
  return {};
}
bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("volumes: in the order of the file, and what extends a profile changes them by name") {
  Folder folder;
  const auto profile =
      folder.load("extends = \"base.toml\"\nname = \"a\"\nversion = 1\n[[volume]]\nname = \"models\"\ngrow = true\n",
                  top + state + models);
  if (!profile) FAIL(describe(profile.error()));
  REQUIRE(profile->volumes.size() == 2);
  CHECK(profile->volumes[0].name == "state");
  CHECK(profile->volumes[1].mount == "/srv/models");
  CHECK(profile->volumes[1].size_bytes == 1u << 30);
  CHECK(profile->volumes[1].grow);
  CHECK(profile->state_bytes() == std::uint64_t{2} << 30);
}

TEST_CASE("volumes: what extends a profile takes one away by name, and may bring its own of that name") {
  Folder folder;
  const std::string head = "extends = \"base.toml\"\nname = \"a\"\nversion = 1\n";
  const std::string dropped = "[[volume]]\nname = \"state\"\nenabled = false\n";
  const auto without =
      folder.load(head + "[disk]\ndata_size = \"1GiB\"\n" + dropped, top + state + models + "recovery = false\n");
  if (!without) FAIL(describe(without.error()));
  REQUIRE(without->volumes.size() == 1);
  CHECK(without->volumes.front().name == "models");
  CHECK(without->state_volume() == nullptr);
  CHECK(without->state_bytes() == 1u << 30);
  const auto none = folder.load(head + dropped, top + state);
  CHECK(none.value().volumes.empty());
  CHECK(folder.load(head + "[[volume]]\nname = \"state\"\nenabled = true\n", top + state).value().volumes.size() == 1);

  const auto beside = folder.load(head + dropped + "size = \"1GiB\"\n", top + state);
  REQUIRE_FALSE(beside);
  CHECK(beside.error().message.find("the volume \"state\" is taken away, and has a size") != std::string::npos);
  CHECK(beside.error().at.value().line == 7);

  // Nothing of the base's is left in one that a third profile brings.
  REQUIRE(folder.write("middle.toml", "extends = \"base.toml\"\nname = \"m\"\nversion = 1\n" + dropped));
  const auto anew = folder.load("extends = \"middle.toml\"\nname = \"a\"\nversion = 1\n[[volume]]\nname = \"state\"\n",
                                top + state + "grow = true\n");
  REQUIRE_FALSE(anew);
  CHECK(anew.error().message.find("no mount") != std::string::npos);
}

TEST_CASE("volumes: every mistake is refused with its place and the way out") {
  Folder folder;
  struct Row {
    const char* name;
    std::string text;
    std::uint32_t line;
    const char* message;
  };
  const auto volume = [](const std::string& keys) { return top + "[[volume]]\n" + keys; };
  const std::vector<Row> rows = {
      {"no name", volume("mount = \"/srv/x\"\n"), 6, "without name"},
      {"a path as name", volume("name = \"../x\"\n"), 7, "small letters"},
      {"the root's name", volume("name = \"root\"\n"), 7, "name of the system"},
      {"the swap's name", volume("name = \"swap\"\n"), 7, "name of the system"},
      {"the addresses' name", volume("name = \"addresses\"\n"), 7, "name of the system"},
      {"no mount", volume("name = \"x\"\nsize = \"1GiB\"\n"), 6, "no mount"},
      {"a mount over the image", volume("name = \"x\"\nmount = \"/etc\"\n"), 8, "expected a folder below /srv"},
      {"a mount that climbs", volume("name = \"x\"\nmount = \"/srv/../etc\"\n"), 8, "expected a folder"},
      {"no size", volume("name = \"x\"\nmount = \"/srv/x\"\n"), 6, "no size"},
      {"too small", volume("name = \"x\"\nmount = \"/srv/x\"\nsize = \"32MiB\"\n"), 9, "at least 64 MiB"},
      {"twice", top + models + models, 10, "there twice"},
      {"one place for two", top + models + "[[volume]]\nname = \"x\"\nmount = \"/srv/models\"\nsize = \"1GiB\"\n", 10,
       "both mounted"},
      {"one that grows in the middle", top + models + "grow = true\n" + state, 6, "comes after it"},
      {"state twice", top + "[disk]\ndata_size = \"1GiB\"\n" + state, 8, "data_size"},
      {"no Secure Boot", top + "[boot]\nsecure_boot = false\n" + models, 8, "Secure Boot"},
      {"no openssl",
       "name = \"a\"\nversion = 1\nrole = \"a\"\n[base]\npackages = [\"systemd-cryptsetup\", \"systemd-repart\", "
       "\"e2fsprogs\", \"cryptsetup-bin\"]\n" +
           models,
       6, "recovery of a [[volume]] needs the package openssl"},
      {"no systemd-repart",
       "name = \"a\"\nversion = 1\nrole = \"a\"\n[base]\npackages = [\"systemd-cryptsetup\"]\n" + models, 6,
       "needs the package systemd-repart"},
      {"one that nobody brings taken away", volume("name = \"x\"\nenabled = false\n"), 8, "not inherited"},
      {"one taken away twice", top + models + "[[volume]]\nname = \"models\"\nenabled = false\n", 10, "there twice"},
      {"swap without systemd-cryptsetup",
       "name = \"a\"\nversion = 1\nrole = \"a\"\n[base]\npackages = [\"systemd\"]\n[disk]\nswap_size = \"1GiB\"\n", 7,
       "swap_size of [disk] needs the package systemd-cryptsetup"},
      {"another file system", top + models + "filesystem = \"btrfs\"\n", 10, "expected one of \"ext4\", \"xfs\""},
      {"xfs without its programs", top + models + "filesystem = \"xfs\"\n", 6, "needs the package xfsprogs"},
      {"xfs that is too small", volume("name = \"x\"\nmount = \"/srv/x\"\nsize = \"256MiB\"\nfilesystem = \"xfs\"\n"),
       6, "nothing below 300 MiB"},
      {"integrity without cryptsetup",
       "name = \"a\"\nversion = 1\nrole = \"a\"\n[base]\npackages = [\"systemd-cryptsetup\", \"systemd-repart\", "
       "\"e2fsprogs\"]\n" +
           models + "recovery = false\nintegrity = true\n",
       6, "integrity or erase_on_redeploy of a [[volume]] needs the package cryptsetup-bin"},
      {"an unknown key", volume("name = \"x\"\nkey_file = \"/x\"\n"), 8, "key_file"}};
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

TEST_CASE("volumes: the initrd makes all of them, opens all of them, and only the last one closes PCR 15") {
  Folder folder;
  const auto part = render_initrd_volumes(folder.complete(top + state + models + "grow = true\n")).value();
  const auto crypttab = file_of(part, "/etc/crypttab");
  CHECK(has_line(crypttab, "state /dev/disk/by-partlabel/state none noauto,headless=yes,tpm2-device=auto"));
  CHECK(has_line(
      crypttab, "models /dev/disk/by-partlabel/models none noauto,headless=yes,tpm2-device=auto,tpm2-measure-pcr=yes"));
  const auto fixed = file_of(part, "/usr/lib/ingot/repart.d/01-state.conf");
  CHECK(has_line(fixed, "SizeMinBytes=2147483648"));
  CHECK(has_line(fixed, "SizeMaxBytes=2147483648"));
  CHECK(has_line(fixed, "Encrypt=tpm2"));
  CHECK(file_of(part, "/usr/lib/ingot/repart.d/02-models.conf").find("SizeMax") == std::string::npos);
  const auto last = file_of(part, "/usr/lib/systemd/system/systemd-cryptsetup@models.service.d/ingot.conf");
  CHECK(
      has_line(last,
               "After=ingot-volumes.service ingot-binding-seal-state.service ingot-binding-seal-models.service "
               "ingot-recovery-key-state.service ingot-recovery-key-models.service systemd-cryptsetup@state.service"));
  CHECK(has_line(last, "ExecStartPost=/usr/lib/systemd/systemd-makefs ext4 /dev/mapper/models"));
  CHECK(part.links.size() == 10);
  CHECK(render_initrd_volumes(folder.load(top).value()).value().files.empty());
}

TEST_CASE("volumes: a recovery key is made before anything is open, and nothing of it stays in memory") {
  Folder folder;
  const auto profile = folder.complete(top + state + models + "recovery = false\n");
  const auto part = render_initrd_volumes(profile).value();
  CHECK(file_of(part, "/usr/lib/ingot/recovery.crt") == certificate());
  const auto unit = file_of(part, "/usr/lib/systemd/system/ingot-recovery-key-state.service");
  CHECK(has_line(unit, "UMask=0077"));
  CHECK(has_line(unit, "StandardOutput=file:/run/ingot-recovery-state.key"));
  CHECK(unit.find("ExecStopPost=/usr/bin/rm -f /run/ingot-recovery-state.key ") != std::string::npos);
  for (const auto& file : part.files) CHECK(file.path.find("ingot-recovery-key-models") == std::string::npos);
  // Opening either volume waits: the last one closes PCR 15, and a running unit may have the first one's TPM slot.
  for (const std::string name : {"state", "models"})
    CHECK(file_of(part, "/usr/lib/systemd/system/systemd-cryptsetup@" + name + ".service.d/ingot.conf")
              .find(" ingot-recovery-key-state.service") != std::string::npos);
  CHECK(initrd_volume_needs(profile).files == std::vector<std::string>{"/usr/bin/openssl", "/usr/bin/rm",
                                                                       "/usr/bin/systemd-cryptenroll",
                                                                       "/usr/sbin/cryptsetup"});
  CHECK(node_volumes(profile).back() == NodeVolume{"models", VolumeMaker::any});
  const auto without = folder.load(top + models + "recovery = false\n").value();
  CHECK(initrd_volume_needs(without).files == std::vector<std::string>{"/usr/bin/rm", "/usr/bin/systemd-cryptenroll"});
  const auto part_without = render_initrd_volumes(without).value();
  for (const auto& file : part_without.files) CHECK(file.path.find("recovery") == std::string::npos);
}

TEST_CASE(
    "volumes: a release is admitted before anything is made, and what `ingot seal` made is bound before a recovery key "
    "is") {
  Folder folder;
  const auto part = render_initrd_volumes(folder.complete(top + state + models)).value();
  const std::string units = "/usr/lib/systemd/system/";
  const auto admit = file_of(part, units + "ingot-release.service");
  CHECK(has_line(admit, "After=systemd-tpm2-setup-early.service systemd-pcrphase-initrd.service"));
  CHECK(admit.find(" admit-release --signature /.extra/tpm2-pcr-signature.json --key /.extra/tpm2-pcr-public-key.pem "
                   "--policy /run/systemd/pcrlock.json --device \"/dev/disk/by-partlabel/state "
                   "/dev/disk/by-partlabel/models\"\n") != std::string::npos);
  const auto make = file_of(part, units + "ingot-volumes.service");
  CHECK(has_line(make, "Requires=ingot-release.service"));
  CHECK(has_line(make, "After=ingot-release.service"));
  const std::string policy =
      " --tpm2-device=auto --tpm2-pcrs=7:sha256+15:sha256 --tpm2-public-key=/.extra/tpm2-pcr-public-key.pem "
      "--tpm2-public-key-pcrs=11 --tpm2-pcrlock=/run/systemd/pcrlock.json";
  CHECK(make.find(policy + "\n") != std::string::npos);
  const auto bind = file_of(part, units + "ingot-binding-seal-models.service");
  CHECK(bind.find("systemd-cryptenroll --unlock-tpm2-device=auto" + policy +
                  " --wipe-slot=tpm2 /dev/disk/by-partlabel/models\n") != std::string::npos);
  CHECK(has_line(bind, "ConditionPathExists=/run/ingot-binding-models.needed"));
  CHECK(bind.find(" ingot-recovery-check-models.service\n") != std::string::npos);
  CHECK(file_of(part, units + "ingot-binding-check-models.service")
            .find(" binding-needed --device /dev/disk/by-partlabel/models --key /.extra/tpm2-pcr-public-key.pem --flag "
                  "/run/ingot-binding-models.needed\n") != std::string::npos);
}

TEST_CASE("volumes: while keys are replaced they are sealed to what PCR 7 will be, too, after what it is") {
  Folder folder;
  const std::string first(64, 'a'), second(64, 'b');
  const auto profile =
      folder.complete(top + state + models + "[boot]\nnext_pcr7 = [\"" + first + "\", \"" + second + "\"]\n");
  const auto part = render_initrd_volumes(profile).value();
  const std::string units = "/usr/lib/systemd/system/";
  CHECK(file_of(part, units + "ingot-binding-check-state.service").find(" --next " + first + "," + second + " ") !=
        std::string::npos);
  const auto seal = file_of(part, units + "ingot-binding-seal-state.service");
  const auto now = seal.find(" --tpm2-pcrs=7:sha256+15:sha256 "), wiped = seal.find(" --wipe-slot=tpm2 "),
             then = seal.find(" --tpm2-pcrs=7:sha256=" + first + "+15:sha256 "),
             last = seal.find(" --tpm2-pcrs=7:sha256=" + second + "+15:sha256 ");
  REQUIRE(last != std::string::npos);
  CHECK((now < wiped && wiped < then && then < last));
  CHECK(seal.find("--wipe-slot", wiped + 2) == std::string::npos);
  const auto storage = render_storage(profile).value();
  for (const auto& row : storage.settings)
    if (row.area == SettingArea::volume) CHECK(row.value.find("systemd-tpm2*") != std::string::npos);
}

TEST_CASE("volumes: with integrity, or made anew with each image, they are made in a partition that is reserved") {
  Folder folder;
  const auto profile = folder.complete(top + state + "erase_on_redeploy = true\nrecovery = false\n" + models +
                                       "integrity = true\nerase_on_redeploy = true\n");
  const auto part = render_initrd_volumes(profile).value();
  const std::string units = "/usr/lib/systemd/system/";
  for (const std::string definition : {"01-state", "02-models"}) {
    const auto text = file_of(part, "/usr/lib/ingot/repart.d/" + definition + ".conf");
    CHECK(has_line(text, "CopyBlocks=/usr/lib/ingot/volume-reserved"));
    CHECK(text.find("Encrypt") == std::string::npos);
  }
  const auto unit = file_of(part, units + "ingot-make-models.service");
  CHECK(unit.find("ExecStart=/usr/lib/ingot/volume-make models \"integrity erase\" --tpm2-device=auto --tpm2-pcrs=7") !=
        std::string::npos);
  CHECK(has_line(unit, "Requires=dev-disk-by\\x2dpartlabel-models.device ingot-release.service"));
  CHECK(unit.find(" ingot-binding-check-models.service ingot-recovery-check-models.service\n") != std::string::npos);
  CHECK(file_of(part, units + "ingot-make-state.service").find(" state \"erase\" --tpm2") != std::string::npos);
  // Neither is opened before both are made: the last one closes PCR 15, which they are sealed to.
  for (const std::string name : {"state", "models"})
    CHECK(has_line(file_of(part, units + "systemd-cryptsetup@" + name + ".service.d/ingot.conf").substr(0, 200),
                   "Wants=ingot-volumes.service"));
  CHECK(file_of(part, units + "systemd-cryptsetup@state.service.d/ingot.conf")
            .find("After=ingot-volumes.service ingot-make-state.service ingot-make-models.service ") !=
        std::string::npos);
  for (const auto& volume : node_volumes(profile)) CHECK(volume.maker == VolumeMaker::in_place);
  const auto needs = initrd_volume_needs(profile);
  for (const std::string module : {"dm_integrity", "authenc"})
    CHECK(std::find(needs.modules.begin(), needs.modules.end(), module) != needs.modules.end());
  CHECK(std::find(needs.files.begin(), needs.files.end(), "/usr/bin/bash") != needs.files.end());
  const auto without = initrd_volume_needs(folder.complete(top + models));
  CHECK(std::find(without.files.begin(), without.files.end(), "/usr/bin/dd") == without.files.end());
  CHECK(without.modules.empty());
  // systemd-repart takes the mark from the system's image.
  const auto mark = file_of(render_storage(profile).value(), "/usr/lib/ingot/volume-reserved");
  CHECK(mark.size() == 4096);
  CHECK(mark == file_of(part, "/usr/lib/ingot/volume-reserved"));
}

TEST_CASE("volumes: on xfs, which mkfs.xfs of the image makes") {
  Folder folder;
  auto text = top + models + "filesystem = \"xfs\"\n";
  text.replace(text.find("\"openssl\""), 9, "\"openssl\", \"xfsprogs\"");
  const auto profile = folder.complete(text);
  const auto part = render_initrd_volumes(profile).value();
  CHECK(has_line(file_of(part, "/usr/lib/ingot/repart.d/01-models.conf"), "Format=xfs"));
  CHECK(has_line(file_of(part, "/usr/lib/systemd/system/systemd-cryptsetup@models.service.d/ingot.conf"),
                 "ExecStartPost=/usr/lib/systemd/systemd-makefs xfs /dev/mapper/models"));
  const auto tools = initrd_volume_needs(profile).files;
  CHECK(std::find(tools.begin(), tools.end(), "/usr/sbin/mkfs.xfs") != tools.end());
  const auto mount = render_storage(profile).value().fstab.at(0);
  CHECK(mount.starts_with("/dev/mapper/models /srv/models xfs nosuid,nodev,noexec,"));
  CHECK(mount.ends_with(" 0 0"));
}

TEST_CASE("volumes: whom a recovery key is for") {
  Folder folder;
  auto profile = folder.load(top + models).value();
  const auto refused = [&](const std::string& pem) {
    const auto done = complete_recovery(profile, "keys/recovery.crt", pem);
    return done ? std::string() : describe(done.error());
  };
  CHECK(refused("").find("no keys/recovery.crt") != std::string::npos);
  CHECK(refused("-----BEGIN NOTHING-----").find("keys/recovery.crt") != std::string::npos);
  CHECK(refused("").find("profile.toml:6") != std::string::npos);
  const auto keys_folder =
      TemporaryFolder::create(std::filesystem::temp_directory_path().string(), "ingot-test-").value();
  const auto keys = signer::init_keys(keys_folder.path() + "/keys").value();
  for (const auto* name : {"db", "tls-ca"}) {
    const auto pem = read_file(keys.certificate(name), 1u << 16).value();
    CHECK(refused(std::string(as_text(pem))).find("nothing can be encrypted") != std::string::npos);
  }
  CHECK(refused(certificate()).empty());
  CHECK_FALSE(render_initrd_volumes(folder.load(top + models).value()));
}

TEST_CASE("volumes: what the verifier must find in the header is in the baseline") {
  Folder folder;
  const auto part = render_storage(folder.complete(top + models)).value();
  const auto row = std::find_if(part.settings.begin(), part.settings.end(),
                                [](const Setting& one) { return one.area == SettingArea::volume; });
  REQUIRE(row != part.settings.end());
  CHECK(row->name == "models");
  CHECK(
      row->value.starts_with("crypt aes-xts-plain64, key 512 bits, mapped models, pcrs sha256 7+15, signed pcrs 11, "
                             "release index, slots systemd-recovery+ingot-recovery systemd-tpm2, recovery "));
  const auto without = render_storage(folder.load(top + models + "recovery = false\n").value()).value();
  CHECK(without.settings.front().value.ends_with(", slots systemd-tpm2"));
  const auto other =
      render_storage(folder.complete(top + models + "integrity = true\nerase_on_redeploy = true\n")).value();
  CHECK(other.settings.front().value.starts_with(
      "crypt aes-xts-plain64+hmac(sha256), key 768 bits, mapped models, erased on redeploy, pcrs "));
}

TEST_CASE("volumes: the node's state is on its volume, and the log with it") {
  Folder folder;
  const auto with = render_storage(folder.complete(top + state + models)).value();
  REQUIRE(with.fstab.size() == 3);
  CHECK(with.fstab[0].starts_with("/dev/mapper/state /var/lib/ingot ext4 nosuid,nodev,noexec,"));
  CHECK(with.fstab[1].starts_with("/dev/mapper/models /srv/models ext4 "));
  CHECK(with.fstab[2].starts_with("/var/lib/ingot/log /var/log none bind,"));
  CHECK(with.settings.size() == 5);
  const auto without_state = render_storage(folder.complete(top + models)).value();
  CHECK(without_state.fstab.size() == 1);
  CHECK(without_state.folders == std::vector<std::string>{"/srv/models"});
}

TEST_CASE("swap: a key that nobody keeps, no header, and no other swap for the verifier") {
  Folder folder;
  const auto with = render_swap(folder.load(top + "[disk]\nswap_size = \"4GiB\"\n").value());
  CHECK(file_of(with, "/etc/crypttab") ==
        "swap /dev/disk/by-partlabel/swap /dev/urandom "
        "plain,swap,cipher=aes-xts-plain64,size=512,sector-size=4096,x-systemd.device-timeout=300s\n");
  CHECK(with.fstab == std::vector<std::string>{"/dev/mapper/swap none swap sw 0 0"});
  REQUIRE(with.settings.size() == 1);
  CHECK(with.settings.front().area == SettingArea::mount);
  CHECK(with.settings.front().name == "swap");
  CHECK(with.settings.front().value == "partition, label swap, mapped swap, uuid CRYPT-PLAIN-swap");
  for (const std::string disk : {"", "[disk]\nswap_size = 0\n"}) {
    const auto without = render_swap(folder.load(top + disk).value());
    CHECK(without.files.empty());
    CHECK(without.fstab.empty());
    REQUIRE(without.settings.size() == 1);
    CHECK(without.settings.front().value == "none");
  }
}
