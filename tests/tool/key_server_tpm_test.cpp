// The TPM's share of a key that a key server holds, too: for which releases and boots it is given, and who sees it.
#include <catch2/catch.hpp>
#include <cctype>
#include <functional>

#include "key_lab.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string refused =
    "ingot: volume shared: the TPM says no: this release, or this boot, is not the one that may open it";

}  // namespace

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
