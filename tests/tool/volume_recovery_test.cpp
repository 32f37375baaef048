// Recovery keys: made by the programs of Debian 13 as our initrd starts them, opened by the real `ingot recover`, and
// what it decrypts judged by e2fsck and cryptsetup.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "ingot/builder/config.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/builder/profile.hpp"
#include "volume_disk.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string program = std::string(INGOT_BUILD) + "/ingot";

/// A node on its first boot: its disk with the volume that systemd-repart made, and what its initrd has.
class Node {
 public:
  Node() : site(tpm) {
    site.boot(tpm);
    tpm.make_srk("ecc256:aes128cfb");
    profile_.volumes = {test_volume("models", "/srv/models")};
    profile_.volumes.front().grow = true;
    profile_.volumes.front().recovery = true;
    take_certificate(site.keys);
    cast(tpm, profile_);
    output_of(first_boot(tpm));
    take_out(tpm, volumes_on(tpm.file("disk")).back());
    fs::copy_file(std::string(INGOT_BUILD) + "/ingot-agent", tpm.file("agent"));
  }
  /// A release that was built with these keys.
  void take_certificate(const signer::KeyFolder& keys) {
    const auto path = keys.certificate("recovery");
    REQUIRE(builder::complete_recovery(profile_, path, as_text(read_file(path, 1u << 16).value())));
    put_initrd(tpm, profile_);
  }
  [[nodiscard]] std::string folder() const { return fs::path(tpm.file("")).parent_path(); }
  /// Of a boot, or of one that ends after some lines of the key's unit.
  [[nodiscard]] builder::Completed make_key(int lines = 99) const {
    tpm.forget_objects();
    return run_tool(stock_units(tpm, "recovery-check", "recovery-key", lines));
  }
  [[nodiscard]] nlohmann::json header() const {
    return nlohmann::json::parse(output_of({"cryptsetup", "luksDump", "--dump-json-metadata", tpm.file("volume")}));
  }
  [[nodiscard]] std::vector<std::string> token_types() const {
    std::vector<std::string> types;
    const auto tokens = header().at("tokens");
    for (const auto& token : tokens) types.push_back(token.at("type"));
    std::sort(types.begin(), types.end());
    return types;
  }
  [[nodiscard]] builder::Completed recover(std::vector<std::string> options) const {
    options.insert(options.begin(), {program, "recover"});
    return run_tool(std::move(options));
  }

  Tpm tpm;
  SealingSite site;

 private:
  Profile profile_;
};

const std::vector<std::string> complete = {"ingot-recovery", "systemd-recovery", "systemd-tpm2"};

}  // namespace

TEST_CASE("recovery: a node makes the key once, and the operator alone opens the volume with it") {
  if (no_systemd()) return;
  const Node node;
  const auto& tpm = node.tpm;
  const auto made = node.make_key();
  INFO(made.error_tail);
  REQUIRE(made.exit_code == 0);
  CHECK(as_text(made.output) == "made\n");  // and nothing is left in /run
  CHECK(node.token_types() == complete);
  CHECK(node.header().at("keyslots").size() == 2);
  // Each further boot finds it.
  const auto before = digest_of(tpm.file("volume"));
  CHECK(node.make_key().output.empty());
  CHECK(digest_of(tpm.file("volume")) == before);

  const auto key = node.site.keys.key("recovery");
  const auto from_partition = node.recover(
      {"--disk", tpm.file("volume"), "--key", key, "--out", tpm.file("fs"), "--key-out", tpm.file("models.key")});
  INFO(from_partition.error_tail);
  REQUIRE(from_partition.exit_code == 0);
  CHECK(run_tool({"e2fsck", "-fn", tpm.file("fs")}).exit_code == 0);
  CHECK(run_tool({"cryptsetup", "open", "--test-passphrase", "--key-file", tpm.file("models.key"), tpm.file("volume")})
            .exit_code == 0);
  for (const auto* name : {"fs", "models.key"}) {
    struct stat info {};
    REQUIRE(::stat(tpm.file(name).c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
  }
  CHECK(digest_of(tpm.file("volume")) == before);  // it was only read

  struct Refusal {
    const char* what;
    std::vector<std::string> options;
    int status;
    const char* message;
  };
  const auto none = tpm.file("none");
  tpm.write("junk", Buffer(mebibyte, 7));
  for (const auto& row : std::vector<Refusal>{
           {"another key",
            {"--disk", tpm.file("volume"), "--key", node.site.keys.key("db"), "--out", none},
            2,
            "encrypted to another key"},
           {"no such volume",
            {"--disk", tpm.file("volume"), "--volume", "x", "--key", key, "--out", none},
            3,
            "no encrypted volume \"x\""},
           {"a disk with no volume's key",
            {"--disk", tpm.file("disk"), "--key", key, "--out", none},
            3,
            "no recovery key"},
           {"no disk", {"--disk", tpm.file("junk"), "--key", key, "--out", none}, 2, "junk"},
           {"a file that is there", {"--disk", tpm.file("volume"), "--key", key, "--out", tpm.file("fs")}, 3, "exists"},
           {"nothing to make", {"--disk", tpm.file("volume"), "--key", key}, 3, "nothing to make"},
           {"no source", {"--key", key, "--out", none}, 3, "one of --disk and --evidence"}}) {
    INFO(row.what);
    const auto done = node.recover(row.options);
    INFO(done.error_tail);
    CHECK(done.exit_code == row.status);
    CHECK(done.error_tail.find(row.message) != std::string::npos);
    CHECK_FALSE(fs::exists(none));
  }
  // Changed by one bit: AES-GCM tells.
  auto token = node.header().at("tokens").at("16");
  auto message = parse_base64(token.at("message").get<std::string>()).value();
  message[message.size() - 20] ^= 1;
  token["message"] = to_base64(message);
  tpm.write("token.json", as_bytes(token.dump()));
  output_of({"cryptsetup", "token", "import", "--disable-external-tokens", "--token-id", "16", "--token-replace",
             "--json-file", tpm.file("token.json"), tpm.file("volume")});
  CHECK(node.recover({"--disk", tpm.file("volume"), "--key", key, "--key-out", none}).exit_code == 2);
  CHECK_FALSE(fs::exists(none));
}

TEST_CASE("recovery: where the power goes out between its steps, the next boot finishes, and no slot is left over") {
  if (no_systemd()) return;
  for (const int lines : {0, 1, 2, 3, 4}) {
    INFO("after " << lines << " lines");
    const Node node;
    CHECK(node.make_key(lines).exit_code == (lines < 4 ? 9 : 0));
    const auto done = node.make_key();
    INFO(done.error_tail);
    CHECK(done.exit_code == 0);
    CHECK(as_text(done.output) == (lines < 4 ? "made\n" : ""));
    CHECK(node.token_types() == complete);
    CHECK(node.header().at("keyslots").size() == 2);
    CHECK(node.recover({"--disk", node.tpm.file("volume"), "--key", node.site.keys.key("recovery"), "--key-out",
                        node.tpm.file("k")})
              .exit_code == 0);
  }
}

TEST_CASE("recovery: a release for another operator's certificate makes a new key, and the old one opens nothing") {
  if (no_systemd()) return;
  Node node;
  const auto& tpm = node.tpm;
  REQUIRE(node.make_key().exit_code == 0);
  REQUIRE(node.recover(
                  {"--disk", tpm.file("volume"), "--key", node.site.keys.key("recovery"), "--key-out", tpm.file("old")})
              .exit_code == 0);
  const auto other = signer::init_keys(tpm.file("other")).value();
  node.take_certificate(other);
  CHECK(as_text(node.make_key().output) == "made\n");
  CHECK(node.token_types() == complete);
  CHECK(node.header().at("keyslots").size() == 2);
  CHECK(run_tool({"cryptsetup", "open", "--test-passphrase", "--key-file", tpm.file("old"), tpm.file("volume")})
            .exit_code != 0);
  CHECK(
      node.recover({"--disk", tpm.file("volume"), "--key", node.site.keys.key("recovery"), "--key-out", tpm.file("x")})
          .exit_code == 2);
  CHECK(node.recover({"--disk", tpm.file("volume"), "--key", other.key("recovery"), "--key-out", tpm.file("x")})
            .exit_code == 0);
}
