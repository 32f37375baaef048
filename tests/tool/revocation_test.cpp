// Which releases a node's TPM lets open its volumes: our agent with swtpm, judged by tpm2-tools and by the systemd of
// Debian 13.
#include "ingot/measure/revocation.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/measure/tpm_policy.hpp"
#include "volume_disk.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

std::string handle(const codec::TpmNvPublic& index) { return fmt::format("{:#x}", index.index); }
const auto counter = handle(measure::generation_counter()), release_index = handle(measure::release_index({}));

signer::SigningKey policy_key(const Tpm& tpm, const std::string& folder) {
  return signer::SigningKey::load(signer::init_keys(tpm.file(folder)).value().key("pcr")).value();
}

struct Release {
  std::string sections;  ///< that make it another one for PCR 11
  std::uint32_t generation = 1;
};
const Release first{"one", 1}, second{"two", 1}, third{"three", 2}, fourth{"four", 4};

/// A node whose TPM meets releases.
class Node {
 public:
  Node() : key_(policy_key(tpm, "keys")) { fs::create_directory(tpm.file("run")); }

  /// Started with a release, as far as its initrd.
  void start(const Release& release) const { start(release, key_); }
  void start(const Release& release, const signer::SigningKey& key) const {
    tpm.restart();
    tpm.tool({"tpm2_pcrextend", "11:sha256=" + to_hex(crypto::hash(HashAlg::sha256, as_bytes(release.sections)))});
    tpm.tool({"tpm2_pcrread", "sha256:11", "-o", tpm.file("pcr")});
    const Baseline::PhaseValue phase{"enter-initrd", {{HashAlg::sha256, tpm.read("pcr")}}};
    tpm.write("run/tpm2-pcr-signature.json",
              as_bytes(signer::release_signature_json(phase, release.generation, key).value()));
    tpm.write("pcr.pub", as_bytes(key.public_key().pem()));
  }
  [[nodiscard]] builder::Completed admit(const std::string& device = "/nowhere/a /nowhere/b") const {
    auto command = admit_command(tpm, tpm.file("pcr.pub"));
    command.insert(command.end(), {"--device", device});
    fs::remove(tpm.file("run/pcrlock.json"));
    return run_tool(command);
  }
  void admitted(const Release& release) const {
    start(release);
    const auto done = admit();
    INFO(release.sections << ": " << done.error_tail);
    REQUIRE(done.exit_code == 0);
    tpm.tool({"tpm2_nvread", "-C", "o", "-o", tpm.file("content"), release_index});
    CHECK(tpm.read("content") == Writer{}.u16be(0x000B).bytes(running_policy()).take());
  }
  /// The answer to a release that has been started; nothing has changed in the TPM.
  void refuses(const std::string& why, const std::string& device = "/nowhere") const {
    const auto before = memory();
    const auto done = admit(device);
    INFO(done.error_tail);
    CHECK(done.exit_code == 2);
    CHECK(done.error_tail.find(why) != std::string::npos);
    CHECK_FALSE(fs::exists(tpm.file("run/pcrlock.json")));
    CHECK(memory() == before);
  }
  [[nodiscard]] std::uint64_t count() const {
    tpm.tool({"tpm2_nvread", "-C", "o", "-o", tpm.file("count"), counter});
    std::uint64_t out = 0;
    for (const auto byte : tpm.read("count")) out = out << 8 | byte;
    return out;
  }
  /// PolicyPCR of PCR 11, as the TPM computes it.
  [[nodiscard]] Buffer running_policy() const {
    tpm.start_session(false);
    auto digest = tpm.policy("pcr", {"-l", "sha256:11"});
    tpm.end_session();
    return digest;
  }
  void forget_nv() const {
    for (const auto& index : {counter, release_index}) tpm.tool({"tpm2_nvundefine", "-C", "o", index});
  }

  Tpm tpm;

 private:
  [[nodiscard]] std::string memory() const {
    std::string out;
    for (const auto& index : {counter, release_index}) {
      out += tpm.tool({"tpm2_nvreadpublic", index});
      tpm.tool({"tpm2_nvread", "-C", "o", "-o", tpm.file("content"), index});
      out += to_hex(tpm.read("content"));
    }
    return out;
  }
  signer::SigningKey key_;
};

}  // namespace

TEST_CASE("revocation: the policies are those that a TPM computes") {
  const Node node;
  node.admitted(third);
  const auto told = node.tpm.tool({"tpm2_nvreadpublic", counter});
  const auto name = codec::nv_name(measure::generation_counter());
  CHECK(to_hex(name) == value_of(told, "name"));
  node.tpm.start_session(false);
  node.tpm.write("operand", Writer{}.u64be(7).view());
  const auto start = measure::policy_start(HashAlg::sha256);
  const auto at_most = node.tpm.policy("nv", {"-C", counter, "-i", node.tpm.file("operand"), counter, "ule"});
  CHECK(at_most == measure::policy_nv_at_most(HashAlg::sha256, start, name, 7));
  node.tpm.write("a", at_most);
  node.tpm.write("b", Buffer(32, 5));
  CHECK(node.tpm.policy("or", {"sha256:" + node.tpm.file("a") + "," + node.tpm.file("b")}) ==
        measure::policy_or(HashAlg::sha256, {at_most, Buffer(32, 5)}));
  node.tpm.end_session();
}

TEST_CASE("revocation: a newer generation that a node has booted revokes the older ones, whatever they say") {
  const Node node;
  node.admitted(first);
  const auto begin = node.count();
  node.admitted(second);
  node.admitted(first);  // of the same generation: the way back is open
  CHECK(node.count() == begin);
  node.admitted(third);
  CHECK(node.count() == begin + 1);
  node.admitted(third);
  for (const auto& old : {first, second}) {
    node.start(old);
    node.refuses("this release was revoked: its generation is 1, and this node has booted one of generation 2");
  }
  node.admitted(fourth);
  CHECK(node.count() == begin + 3);
  node.start(third);
  node.refuses("deploy a release of generation 4 or newer");
  node.admitted(fourth);
}

TEST_CASE("revocation: what is signed is the generation and PCR 11, in the initrd") {
  const Node node;
  node.admitted(third);
  const auto edit = [&](const std::string& what, const std::string& by) {
    std::string text(as_text(node.tpm.read("run/tpm2-pcr-signature.json")));
    const auto at = text.find(what);
    REQUIRE(at != std::string::npos);
    node.tpm.write("run/tpm2-pcr-signature.json", as_bytes(text.replace(at, what.size(), by)));
  };
  node.start(first);
  edit("\"generation\":1", "\"generation\":2");
  node.refuses("the release's signature does not hold");
  node.start({"five", 2});
  edit("\"ingot\"", "\"other\"");
  CHECK(node.admit().exit_code == 3);
  node.start({"five", 2});
  node.tpm.extend(11);  // the initrd is left
  node.refuses("PCR 11");
  const auto stranger = policy_key(node.tpm, "stranger");
  node.start({"five", 2}, stranger);
  node.refuses("belongs to another PCR policy key", "/nowhere " + node.tpm.file("run"));
  // A node without volumes has nothing to lose.
  CHECK(node.admit().exit_code == 0);
}

TEST_CASE("revocation: a first boot that was interrupted is finished by the next") {
  const Node node;
  const auto define = [&](const codec::TpmNvPublic& index) {
    node.tpm.write("policy", index.auth_policy);
    std::vector<std::string> argv = {"tpm2_nvdefine",
                                     "-C",
                                     "o",
                                     "-s",
                                     std::to_string(index.data_size_bytes),
                                     "-a",
                                     fmt::format("{:#x}", index.attributes & ~codec::nv_written),
                                     handle(index)};
    if (!index.auth_policy.empty()) argv.insert(argv.end(), {"-L", node.tpm.file("policy")});
    node.tpm.tool(std::move(argv));
  };
  define(measure::generation_counter());
  node.admitted(first);
  const auto base = static_cast<std::int64_t>(node.count()) - 1;
  node.tpm.tool({"tpm2_nvundefine", "-C", "o", release_index});
  node.admitted(first);
  node.tpm.tool({"tpm2_nvundefine", "-C", "o", release_index});
  const auto key = signer::SigningKey::load(node.tpm.file("keys/pcr.key")).value().public_key();
  const auto name = codec::object_name(codec::encode_tpm_public(measure::policy_key_public(key).value())).value();
  define(measure::release_index(measure::ReleasePolicy(name, base).digest()));
  node.admitted(first);
  // The counter was on its way to 4.
  node.tpm.tool({"tpm2_nvincrement", "-C", counter, counter});
  node.admitted(fourth);
  CHECK(static_cast<std::int64_t>(node.count()) == base + 4);
}

TEST_CASE("revocation: systemd opens a volume with each release that may, and with none that was revoked") {
  if (no_systemd()) return;
  const Node node;
  const auto& tpm = node.tpm;
  tpm.make_srk("ecc256:aes128cfb");
  node.admitted(first);
  fs::copy_file(tpm.file("run/pcrlock.json"), tpm.file("first.json"));
  cast(tpm, profile_with_volumes());
  output_of(first_boot(tpm));
  take_out(tpm, volumes_on(tpm.file("disk")).at(1));
  const auto opens_with = [&](const Release& release) {
    node.start(release);
    const bool taken = node.admit().exit_code == 0;
    const auto volume = digest_of(tpm.file("volume"));
    fs::copy_file(tpm.file("volume"), tpm.file("kept"), fs::copy_options::overwrite_existing);
    const bool opened = opens(tpm);
    CHECK((opened || digest_of(tpm.file("volume")) == volume));
    fs::rename(tpm.file("kept"), tpm.file("volume"));  // without the key slot that opening it gave it
    return taken && opened;
  };
  CHECK(opens_with(first));
  CHECK(opens_with(second));
  CHECK(opens_with(third));
  CHECK(opens_with({"three again", 2}));
  CHECK_FALSE(opens_with(first));
  // By systemd's own means: the policy that was once good, in the place of what the initrd would not give.
  node.start(first);
  tpm.write("run/pcrlock.json", tpm.read("first.json"));
  CHECK_FALSE(opens(tpm));

  SECTION("and who deletes the TPM's memory of it has no way back") {
    node.forget_nv();
    CHECK_FALSE(opens_with(first));
    CHECK_FALSE(opens_with(third));
  }
}
