// Volumes that a node makes in a partition that is reserved for them, and makes anew with another image: by the
// programs of Debian 13 as our initrd starts them. With dm-integrity, tests/rig/volumes/kinds does: it takes a device
// mapper.
#include <catch2/catch.hpp>
#include <chrono>

#include "volume_disk.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string one(64, '1'), two(64, '2');

/// A node whose disk has the partition, and which starts with images that are known by their root hash.
class Node {
 public:
  Node() : site_(tpm) {
    site_.boot(tpm);
    tpm.make_srk("ecc256:aes128cfb");
    Profile profile;
    profile.volumes = {test_volume("scratch", "/srv/scratch")};
    profile.volumes.front().erase_on_redeploy = true;
    cast(tpm, profile);
    fs::create_directories(tpm.file("volumes"));
    output_of(in_initrd({"first-boot"}));
    take_out(tpm, volumes_on(tpm.file("disk")).back());
    fs::create_symlink("../volume", tpm.file("volumes/scratch"));
    reserved_ = content();
  }
  [[nodiscard]] Buffer content() const { return read_file(tpm.file("volume"), 1u << 30).value(); }
  /// As after the first boot of systemd-repart.
  void reserve() const { tpm.write("volume", reserved_); }
  [[nodiscard]] std::vector<std::string> in_initrd(std::vector<std::string> argv) const {
    argv.insert(argv.begin(), {std::string(INGOT_SOURCE) + "/tests/tool/stock-initrd", oracles,
                               fs::path(tpm.file("")).parent_path()});
    return argv;
  }
  [[nodiscard]] std::vector<std::string> make_command(const std::string& root_hash) const {
    tpm.write("cmdline", as_bytes("quiet roothash=" + root_hash + " console=ttyS0\n"));
    tpm.forget_objects();
    return in_initrd({"make", "scratch"});
  }
  [[nodiscard]] builder::Completed make(const std::string& root_hash) const {
    auto done = run_tool(make_command(root_hash));
    UNSCOPED_INFO(done.error_tail);
    return done;
  }
  /// A boot whose power is gone after a while.
  void cut(const std::string& root_hash, double after) const {
    auto command = make_command(root_hash);
    command.insert(command.begin(), {"timeout", "--signal=KILL", fmt::format("{:.3f}", after)});
    (void)run_tool(command);
    tpm.tool({"tpm2_flushcontext", "-l"});
  }
  [[nodiscard]] bool is_reserved() const {
    const auto now = content();
    return std::equal(now.begin(), now.begin() + 4096, reserved_.begin());
  }
  [[nodiscard]] nlohmann::json header() const {
    return nlohmann::json::parse(output_of({"cryptsetup", "luksDump", "--dump-json-metadata", tpm.file("volume")}));
  }
  [[nodiscard]] std::string release() const {
    const auto tokens = header().at("tokens");
    for (const auto& token : tokens)
      if (token.at("type") == "ingot-release") return token.at("release");
    return {};
  }
  /// Nobody but the TPM opens it, and stock systemd does so.
  [[nodiscard]] bool is_whole() const {
    const auto tokens = header().at("tokens");
    const bool is_sealed = std::any_of(tokens.begin(), tokens.end(), [&](const auto& token) {
      return token.at("type") == "systemd-tpm2" && token.at("tpm2-policy-hash").at(0) == to_hex(site_.policy().digest);
    });
    if (header().at("keyslots").size() != 1 || !is_sealed) return false;
    const auto before = content();  // to unlock it adds a key slot
    const bool is_open = opens(tpm);
    tpm.write("volume", before);
    return is_open;
  }

  const Tpm tpm;

 private:
  const SealingSite site_;
  Buffer reserved_;
};

}  // namespace

TEST_CASE("volume in place: made once where its partition is reserved for it, under the policy that was predicted") {
  if (no_systemd()) return;
  const Node node;
  CHECK(node.is_reserved());
  REQUIRE(node.make(one).exit_code == 0);
  CHECK(node.is_whole());
  CHECK(node.release() == one);
  CHECK(node.header().at("segments").at("0").at("offset") == std::to_string(16 * mebibyte));
  const auto before = digest_of(node.tpm.file("volume"));
  CHECK(node.make(one).exit_code == 0);  // each further boot
  CHECK(digest_of(node.tpm.file("volume")) == before);
}

TEST_CASE("volume in place: another image destroys its key and makes it anew, with the token or without") {
  if (no_systemd()) return;
  const Node node;
  REQUIRE(node.make(one).exit_code == 0);
  const auto digests = node.header().at("digests");
  const auto slots = [&] {
    const auto volume = node.content();
    return to_buffer(Bytes(volume).subspan(32768, 256 * 1024));
  };
  const auto key_slot = slots();
  const auto done = node.make(two);
  CHECK(done.exit_code == 0);
  CHECK(done.error_tail.find("ingot: volume scratch: it was made by another image") != std::string::npos);
  CHECK(node.release() == two);
  CHECK(node.header().at("digests") != digests);
  CHECK(slots() != key_slot);
  CHECK(node.is_whole());
  // Of a profile that did not ask for it before.
  output_of({"cryptsetup", "token", "remove", "--token-id", "17", node.tpm.file("volume")});
  CHECK(node.make(two).exit_code == 0);
  CHECK(node.release() == two);
  CHECK(node.is_whole());
}

TEST_CASE("volume in place: what is neither reserved nor a volume is not touched") {
  if (no_systemd()) return;
  const Node node;
  auto volume = node.content();
  std::fill_n(volume.begin(), 32768, std::uint8_t{0x5a});
  node.tpm.write("volume", volume);
  const auto done = node.make(one);
  CHECK(done.exit_code != 0);
  CHECK(done.error_tail.find("has neither a LUKS2 header nor the mark of one that is yet to be made") !=
        std::string::npos);
  CHECK(node.content() == volume);
}

TEST_CASE("volume in place: a power cut leaves the mark, the old volume, or a whole one, and the next boot finishes") {
  if (no_systemd()) return;
  const Node node;
  const auto timed = [&](const std::string& root_hash) {
    const auto begun = std::chrono::steady_clock::now();
    REQUIRE(node.make(root_hash).exit_code == 0);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  const auto first = timed(one), anew = timed(two);
  constexpr int cuts = 6;
  int unfinished = 0;
  for (int cut = 1; cut <= cuts; ++cut) {
    INFO("cut " << cut << " of " << cuts);
    node.reserve();
    node.cut(one, first * cut / (cuts + 1));
    unfinished += node.is_reserved() ? 1 : 0;
    if (!node.is_reserved()) CHECK(node.is_whole());
    REQUIRE(node.make(one).exit_code == 0);
    CHECK(node.is_whole());

    const auto digests = node.header().at("digests");
    node.cut(two, anew * cut / (cuts + 1));
    if (!node.is_reserved()) {
      const bool is_old = node.header().at("digests") == digests;
      CHECK((is_old ? node.header().at("keyslots").size() <= 1 : node.is_whole()));
    }
    REQUIRE(node.make(two).exit_code == 0);
    CHECK(node.release() == two);
    CHECK(node.header().at("digests") != digests);
    CHECK(node.is_whole());
  }
  CHECK(unfinished > 0);  // else the cuts came too late to mean anything
}
