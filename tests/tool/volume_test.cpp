// Volumes made before their node exists: opened by the systemd of Debian 13 over swtpm, read by cryptsetup, ordered by
// the real `ingot seal`.
#include "ingot/signer/volume.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "ingot/fleet/storage_key.hpp"
#include "volume_site.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

/// A header in a new file; its UUID.
std::string make_header(const codec::TpmPublic& srk, const measure::VolumePolicy& policy, const std::string& path) {
  const auto header = signer::VolumeSealer::under(policy).value().header_for(srk).value();
  REQUIRE(signer::header_file(header, path).value().commit_new());
  return header.uuid;
}

struct Refusal {
  int exit_code;
  std::string message;
};
/// What `ingot seal` says, once it is sure that nothing was written.
Refusal refusal(const std::vector<std::string>& command) {
  const auto folder = fs::path(command.back()).parent_path();
  const auto content = [&] {
    std::set<std::string> names;
    if (!fs::is_directory(folder) || folder.string().starts_with("/proc")) return names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().string());
    return names;
  };
  const auto before = content();
  const auto done = run_tool(command);
  CHECK(content() == before);
  return {done.exit_code, done.error_tail};
}

}  // namespace

TEST_CASE("volume: what is sealed by predicted values is opened by systemd on that boot of that machine alone") {
  if (no_systemd()) return;
  for (const std::string algorithm : {"ecc256:aes128cfb", "rsa2048:aes128cfb"}) {
    INFO(algorithm);
    const Tpm tpm;
    const SealingSite site(tpm);
    site.boot(tpm);
    tpm.make_srk(algorithm);
    const auto srk = fleet::decode_public_file(tpm.read("srk.pub")).value();
    const auto uuid = make_header(srk, site.policy(), tpm.file("volume"));
    struct stat info {};
    REQUIRE(::stat(tpm.file("volume").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    CHECK(info.st_size == signer::volume_header_bytes);
    fs::resize_file(tpm.file("volume"), 24u << 20);
    CHECK(opens(tpm));
    const auto dump =
        nlohmann::json::parse(output_of({"cryptsetup", "luksDump", "--dump-json-metadata", tpm.file("volume")}));
    CHECK(dump.at("segments").at("0").at("encryption") == "aes-xts-plain64");
    CHECK(dump.at("segments").at("0").at("offset") == std::to_string(signer::volume_header_bytes));
    CHECK(dump.at("keyslots").at("0").at("key_size") == 64);
    CHECK(dump.at("tokens").at("0").at("tpm2-policy-hash") == to_hex(site.policy().digest));
    CHECK(output_of({"cryptsetup", "luksUUID", tpm.file("volume")}) == uuid + "\n");
    // From here on the node has gone further: its volume key is measured, its initrd is left.
    const auto before = digest_of(tpm.file("volume"));
    tpm.extend(15);
    CHECK_FALSE(opens(tpm));
    CHECK(digest_of(tpm.file("volume")) == before);
  }
}

TEST_CASE("volume: another machine's TPM, another command line, and other Secure Boot keys open nothing") {
  if (no_systemd()) return;
  const Tpm other;
  other.make_srk("ecc256:aes128cfb");
  const auto others_srk = fleet::decode_public_file(other.read("srk.pub")).value();
  struct Row {
    PcrIndex changed;  ///< 0: not a PCR, the TPM
    const char* refusal;
  };
  for (const auto& [changed, refusal] : {Row{0, "State not recoverable"},     // the TPM did not make this blob's parent
                                         Row{15, "Operation not permitted"},  // a volume is open already
                                         Row{7, "Operation not permitted"},   // PolicyPCR leads elsewhere
                                         Row{11, "No such device or address"}}) {  // no signature for this value
    INFO("changed: " << changed);
    const Tpm tpm;
    const SealingSite site(tpm);
    site.boot(tpm);
    tpm.make_srk("ecc256:aes128cfb");
    const auto srk = changed == 0 ? others_srk : fleet::decode_public_file(tpm.read("srk.pub")).value();
    make_header(srk, site.policy(), tpm.file("volume"));
    fs::resize_file(tpm.file("volume"), 24u << 20);
    if (changed != 0) tpm.extend(changed);
    const auto done = unlock(tpm);
    INFO(done.error_tail);
    CHECK(done.exit_code != 0);
    CHECK(done.error_tail.find(std::string("Failed to unseal secret using TPM2: ") + refusal) != std::string::npos);
  }
}

TEST_CASE("seal: a folder of storage keys makes a header for each node, and nothing secret is left beside them") {
  const Tpm tpm;
  const SealingSite site(tpm);
  tpm.make_srk("ecc256:aes128cfb");
  fs::create_directory(tpm.file("nodes"));
  for (const auto* node : {"gpu-1", "gpu-2", "gpu-3"})
    tpm.write(fmt::format("nodes/{}.srk.pub", node), tpm.read("srk.pub"));
  const auto answer = nlohmann::json::parse(output_of(seal_command(tpm, tpm.file("nodes"), tpm.file("headers"))));
  CHECK(answer.at("policy") == to_hex(site.policy().digest));
  REQUIRE(answer.at("headers").size() == 3);
  std::set<std::string> uuids;
  for (const auto& header : answer.at("headers")) {
    const auto path = header.at("header").get<std::string>();
    CHECK(output_of({"cryptsetup", "luksUUID", path}) == header.at("uuid").get<std::string>() + "\n");
    uuids.insert(header.at("uuid"));
  }
  CHECK(uuids.size() == 3);
  CHECK(std::distance(fs::directory_iterator(tpm.file("headers")), fs::directory_iterator()) == 3);
}

TEST_CASE("seal: what cannot be opened later is refused before anything is written") {
  const Tpm tpm;
  const SealingSite site(tpm);
  tpm.make_srk("ecc256:aes128cfb");
  const auto out = tpm.file("new.header.img");
  const auto good = seal_command(tpm, tpm.file("srk.pub"), out);
  const auto refused = [&](std::size_t argument, const std::string& path, int exit_code, const std::string& message) {
    auto command = good;
    command.at(argument) = path;
    INFO(path);
    const auto [status, text] = refusal(command);
    CHECK(status == exit_code);
    INFO(text);
    CHECK(text.find(message) != std::string::npos);
  };
  constexpr std::size_t storage_key = 4, baseline = 6, platform = 8, policy_key = 12, result = 14;

  tpm.tool({"tpm2_createek", "-G", "ecc", "-c", tpm.file("ek"), "-u", tpm.file("ek.pub")});
  tpm.forget_objects();
  refused(storage_key, tpm.file("ek.pub"), 2, "not a storage root key");
  tpm.tool({"tpm2_createprimary", "-C", "o", "-G", "ecc384:aes128cfb", "-c", tpm.file("p384")});
  tpm.tool({"tpm2_readpublic", "-c", tpm.file("p384"), "-o", tpm.file("p384.pub")});
  refused(storage_key, tpm.file("p384.pub"), 2, "expected NIST P-256");
  refused(storage_key, tpm.file("platform.json"), 2, "not the public area of a TPM's key");
  refused(policy_key, tpm.file("keys/baseline.pub"), 2, "is not the one of training version 1");
  refused(platform, tpm.file("baseline.json"), 2, "baseline");
  refused(result, tpm.file("srk.pub"), 3, "exists");
  auto without = site.image;
  std::erase_if(without.events, [](const ExpectedEvent& one) { return one.cause == ".pcrpkey"; });
  site.write(tpm, "without.json", codec::encode_baseline_statement(without));
  refused(baseline, tpm.file("without.json"), 3, "has no .pcrpkey section");
  refused(storage_key, tpm.file("none.srk.pub"), 3, "No such file");
  refused(storage_key, "/proc/self/mem/x", 3, "Not a directory");
  refused(result, tpm.file("nowhere/new.header.img"), 3, "No such file");
  refused(result, "/proc/new.header.img", 3, "creating /proc/new.header.img");
  fs::create_symlink("nowhere", tpm.file("dangling"));
  refused(result, tpm.file("dangling"), 3, "exists");
  fs::create_symlink("loop", tpm.file("loop"));
  refused(storage_key, tpm.file("loop"), 3, "symbolic links");
  // Signed, but by somebody else.
  const Tpm other;
  const SealingSite others(other);
  refused(baseline, other.file("baseline.json"), 2, "baseline.json");
  refused(platform, other.file("platform.json"), 2, "platform.json");
  refused(policy_key, other.file("keys/pcr.pub"), 2, "is not the one of training version 1");
  // Folders.
  fs::create_directory(tpm.file("empty"));
  refused(storage_key, tpm.file("empty"), 3, "holds no NODE.srk.pub");
  fs::create_directory(tpm.file("nameless"));
  tpm.write("nameless/.srk.pub", tpm.read("srk.pub"));
  refused(storage_key, tpm.file("nameless"), 3, "has the name of no node");
  fs::create_directories(tpm.file("folder/gpu-1.srk.pub"));
  refused(storage_key, tpm.file("folder"), 3, "gpu-1.srk.pub");
  fs::create_directory(tpm.file("good"));
  tpm.write("good/gpu-1.srk.pub", tpm.read("srk.pub"));
  auto many = good;
  many.at(storage_key) = tpm.file("good");
  for (const auto* into : {"srk.pub", "srk.pub/headers"}) {
    many.at(result) = tpm.file(into);
    const auto told = refusal(many);
    INFO(into << ": " << told.message);
    CHECK(told.exit_code == 3);
  }
  fs::create_directory(tpm.file("headers"));
  tpm.write("headers/gpu-1.header.img", {});
  many.at(result) = tpm.file("headers");
  const auto told = refusal(many);
  CHECK(told.exit_code == 3);
  CHECK(told.message.find("gpu-1.header.img exists") != std::string::npos);
  // One bad key of many.
  fs::create_directory(tpm.file("nodes"));
  tpm.write("nodes/gpu-1.srk.pub", tpm.read("srk.pub"));
  tpm.write("nodes/gpu-2.srk.pub", tpm.read("ek.pub"));
  refused(storage_key, tpm.file("nodes"), 2, "gpu-2.srk.pub");
}
