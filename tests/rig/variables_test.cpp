// Firmware itself takes our updates of PK, KEK, db and dbx: handed to it by the agent in a guest, and by systemd-boot.
#include "ingot/signer/variables.hpp"

#include "guest.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/measure/variable_update.hpp"
#include "ingot/signer/sign.hpp"

using namespace ingot;
using namespace ingot::test;
using rig::BootEnd;
namespace fs = std::filesystem;

namespace {

constexpr codec::EfiTime later{2026, 5, 1, 12, 0, 0};

std::string console_of(const rig::BootRequest& request) {
  return std::string(as_text(must(read_file(request.serial_log, 64u << 20))));
}

/// The .auth files of a key folder, as files of a guest below /keys.
std::map<std::string, Buffer> updates_of(const std::string& keys) {
  std::map<std::string, Buffer> files;
  for (const auto& [update, auth] : must(signer::enrolment_updates(signer::KeyFolder{keys}, later)))
    files["/keys/" + std::string(update.variable->name) + ".auth"] = auth;
  return files;
}

std::vector<std::string> with_efivars(std::vector<std::string> steps) {
  steps.insert(steps.begin(), efivars_steps.begin(), efivars_steps.end());
  return steps;
}

Buffer authenticode(const std::string& path) {
  const auto file = must(file_source(path));
  constexpr HashAlg algs[] = {HashAlg::sha256};
  return must(measure::authenticode_digests(*file, must(codec::decode_pe(*file)), algs)).at(HashAlg::sha256);
}

/// An update of a variable that KEK signs, as a file and as what firmware should make of it.
Buffer kek_update(const std::string& keys, const char* variable, Buffer content) {
  const signer::KeyFolder folder{keys};
  const auto key = must(signer::SigningKey::load(folder.key("KEK"), folder.certificate("KEK")));
  return must(signer::sign_update(
      {codec::find_key_variable(variable), codec::UpdateKind::append, later, std::move(content)}, key));
}

Buffer digest_list(const Buffer& digest) {
  return codec::encode_signature_lists({{codec::efi_cert_sha256_guid, {}, {{Guid{}, digest}}}});
}

const char* const empty_store = "/usr/share/OVMF/OVMF_VARS_4M.fd";

struct Node {
  explicit Node(const SmallFixture& fixture, const std::string& name) : path(fixture.folder.path() + "/" + name) {}
  [[nodiscard]] rig::BootRequest request(const std::string& image) const {
    auto boot = SmallFixture::request(image);
    boot.vars = empty_store;
    boot.node_state = path;
    boot.serial_log = path + ".serial";
    return boot;
  }
  [[nodiscard]] Buffer variable(std::string_view name) const { return variable_of(path + "/VARS.fd", name); }
  std::string path;
};

Buffer pcr_7(const rig::BootOutcome& outcome) { return outcome.evidence.pcrs.at(HashAlg::sha256).at(7); }

void check_enrolled(const Node& node, const std::string& keys) {
  const auto built = must(signer::secure_boot_keys(signer::KeyFolder{keys}));
  CHECK(node.variable("PK") == built.pk);
  CHECK(node.variable("KEK") == built.kek);
  CHECK(node.variable("db") == built.db);
  CHECK(node.variable("dbx") == built.dbx);
}

}  // namespace

TEST_CASE("firmware takes the agent's enrolment, then starts our UKI alone, and no longer one that dbx names") {
  const SmallFixture fixture;
  const std::string ours = fixture.image.keys, strangers = fixture.folder.path() + "/strangers";
  must(signer::init_keys(strangers));
  Guest enrols{with_efivars({"/ingot-agent secureboot status", "/ingot-agent secureboot enroll /keys",
                             "/ingot-agent secureboot enroll /strangers", "/usr/bin/efi-readvar"}),
               updates_of(ours)};
  for (const auto& [path, content] : updates_of(strangers)) enrols.files["/strangers" + path.substr(5)] = content;
  // efi-readvar asks mount(8), through a shell, where efivarfs is.
  for (const char* program : {"/usr/bin/efi-readvar", "/usr/bin/mount", "/usr/bin/dash"})
    add_program(enrols.files, program);
  enrols.files["/bin/sh"] = enrols.files["/usr/bin/dash"];
  const auto first = cast_guest(fixture, "first", ours, enrols);
  const Node node(fixture, "node");

  // 1. Setup mode: the agent enrols, and the firmware leaves setup mode at once.
  const auto enrolment = boot(node.request(first));
  REQUIRE(enrolment.end == BootEnd::evidence);
  auto console = console_of(node.request(first));
  CHECK_THAT(said_by(console, "/ingot-agent secureboot status"), Catch::Contains("setup mode   yes"));
  CHECK_THAT(said_by(console, "/ingot-agent secureboot enroll /keys"), Catch::Contains("setup mode has ended"));
  CHECK_THAT(said_by(console, "/ingot-agent secureboot enroll /strangers", 2), Catch::Contains("not in setup mode"));
  const auto theirs = said_by(console, "/usr/bin/efi-readvar");
  for (const char* name : {"Ingot Platform Key", "Ingot Key Exchange Key", "Ingot Secure Boot Signing"})
    CHECK_THAT(theirs, Catch::Contains(name));
  check_enrolled(node, ours);

  // 2. Secure Boot is on, and PCR 7 is that of a machine whose variable store a build has made.
  const auto secured = boot(node.request(first));
  REQUIRE(secured.end == BootEnd::evidence);
  CHECK_THAT(said_by(console_of(node.request(first)), "/ingot-agent secureboot status"),
             Catch::Contains("Secure Boot  on") && Catch::Contains("setup mode   no") &&
                 Catch::Contains("certificate CN=Ingot Secure Boot Signing"));
  const auto built = boot(SmallFixture::request(fixture.cast("built")));
  REQUIRE(built.end == BootEnd::evidence);
  CHECK(pcr_7(secured) == pcr_7(built));
  CHECK(pcr_7(secured) != pcr_7(enrolment));

  // 3. A stranger's UKI is refused.
  const auto foreign = cast_guest(fixture, "foreign", strangers, {});
  CHECK(boot(node.request(foreign)).end == BootEnd::refused);

  // 4. Another image of ours revokes the first by its hash; a stranger's revocation is refused by the firmware.
  const auto revocation = digest_list(authenticode(first + "/" + builder::output::uki));
  const auto update = kek_update(ours, "dbx", revocation);
  auto forged = update;
  forged.back() ^= 1;
  const auto second = cast_guest(
      fixture, "second", ours,
      {with_efivars({"/ingot-agent secureboot enroll /forged --append", "/ingot-agent secureboot enroll /dbx",
                     "/ingot-agent secureboot enroll /dbx --append", "/ingot-agent secureboot enroll /dbx --append"}),
       {{"/dbx/dbx.auth", update}, {"/forged/dbx.auth", forged}}});
  REQUIRE(boot(node.request(second)).end == BootEnd::evidence);
  console = console_of(node.request(second));
  CHECK_THAT(said_by(console, "/ingot-agent secureboot enroll /forged --append", 2),
             Catch::Contains("nothing was changed") && Catch::Contains("firmware refused it"));
  CHECK_THAT(said_by(console, "/ingot-agent secureboot enroll /dbx", 2), Catch::Contains("firmware refused it"));
  CHECK_THAT(said_by(console, "/ingot-agent secureboot enroll /dbx --append"), Catch::Contains("appended to dbx"));
  // What firmware makes of an update is what we say it makes, also when it comes twice.
  const auto keys = must(signer::secure_boot_keys(signer::KeyFolder{ours}));
  measure::EnrolledVariables variables = {
      {"PK", {keys.pk, later}}, {"KEK", {keys.kek, later}}, {"dbx", {keys.dbx, later}}};
  for (int i = 0; i < 2; ++i)
    must(measure::apply_update(variables, *codec::find_key_variable("dbx"), codec::UpdateKind::append,
                               must(codec::decode_authenticated_update(update))));
  CHECK(node.variable("dbx") == variables.at("dbx").content);

  // 5. The first image is refused now, the second starts.
  CHECK(boot(node.request(first)).end == BootEnd::refused);
  CHECK(boot(node.request(second)).end == BootEnd::evidence);
}

TEST_CASE("systemd-boot enrols from the folder that `sign variables` makes, and firmware starts our UKI alone") {
  const SmallFixture fixture;
  const std::string ours = fixture.image.keys, folder = fixture.folder.path();
  const auto made = folder + "/enrol";
  must(builder::run_checked({.argv = {std::string(INGOT_BUILD) + "/ingot", "sign", "variables", "--keys", ours, "--out",
                                      made, "--time", "2026-05-01 12:00:00"}}));
  must(write_file(folder + "/sd-boot.efi",
                  must(builder::read_tree_file(fixture.base, "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"))));
  must(write_file(folder + "/loader.conf", as_bytes("timeout 0\nsecure-boot-enroll force\n")));
  std::vector<builder::EspFile> files = {{"EFI/BOOT/BOOTX64.EFI", folder + "/sd-boot.efi"},
                                         {"loader/loader.conf", folder + "/loader.conf"}};
  for (const std::string name : {"PK", "KEK", "db", "dbx"})
    files.push_back({"loader/keys/auto/" + name + ".auth", made + "/loader/keys/auto/" + name + ".auth"});
  constexpr std::uint64_t esp_size = 260u << 20;
  must(builder::make_esp(files, esp_size, 0x49504F52, folder + "/esp"));
  must(builder::make_disk(derive_guid(Buffer(16, 1)),
                          {{codec::esp_type, derive_guid(Buffer(16, 2)), "esp", folder + "/esp", esp_size}}, 0,
                          folder + "/sd-boot.raw", builder::silent_progress()));

  const Node node(fixture, "node");
  const auto image = fixture.cast("image");
  auto request = node.request(image);
  request.disk = folder + "/sd-boot.raw";
  // It restarts the machine when it is done, which ends the run.
  CHECK(boot(request).end == BootEnd::panicked);
  check_enrolled(node, ours);

  const auto secured = boot(node.request(image));
  REQUIRE(secured.end == BootEnd::evidence);
  const auto built = boot(SmallFixture::request(image));
  REQUIRE(built.end == BootEnd::evidence);
  CHECK(pcr_7(secured) == pcr_7(built));
  // systemd-boot itself is signed by nobody.
  CHECK(boot(request).end == BootEnd::refused);
}
