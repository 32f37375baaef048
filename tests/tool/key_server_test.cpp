// Volumes whose key is on a key server: how they are made and opened, and what becomes of both without the server.
#include <catch2/catch.hpp>
#include <chrono>

#include "key_lab.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

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

TEST_CASE("key server: a volume that each image makes anew gets shares of its own each time") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.more_of_volume = [](Volume& volume) { volume.erase_on_redeploy = true; };
  lab.make({{"served", tang_alone}, {"shared", both}});  // reserved by then
  const auto make = [&](const std::string& volume, char image) {
    lab.tpm().write("cmdline", as_bytes("roothash=" + std::string(64, image) + "\n"));
    return lab.runs({"make", volume});
  };
  for (const std::string volume : {"served", "shared"}) {
    INFO(volume);
    CHECK_FALSE(lab.opens(volume));
    REQUIRE(make(volume, '1'));
    CHECK(lab.opens(volume));
    const auto first = lab.header(volume);
    CHECK(first.at("keyslots").size() == 1);
    const auto before = digest_of(lab.file("volumes/" + volume));
    CHECK(make(volume, '1'));  // each further boot
    CHECK(digest_of(lab.file("volumes/" + volume)) == before);
    REQUIRE(make(volume, '2'));
    CHECK(lab.opens(volume));
    CHECK(lab.header(volume).at("keyslots").size() == 1);
    CHECK(lab.header(volume).at("digests") != first.at("digests"));
    CHECK(lab.header(volume).at("tokens").at("0") != first.at("tokens").at("0"));
  }
  // Without the server it is not made, and the mark stays.
  REQUIRE(make("served", '2'));
  lab.stop_server();
  CHECK_FALSE(make("served", '3'));
  CHECK_FALSE(lab.opens("served"));
  lab.start_server("keys");
  REQUIRE(make("served", '3'));
  CHECK(lab.opens("served"));
}
