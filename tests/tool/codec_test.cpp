// Independent tools as judges of the codecs: sbsign, sbverify, osslsigncode and Debian's own signature for the
// Authenticode hash; sfdisk and sgdisk for GPT; veritysetup for the superblock; virt-fw-vars for the variable store;
// the openssl command for keys and signatures.
#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/gpt.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/codec/verity.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/uki.hpp"
#include "signer.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::builder;
using namespace ingot::codec;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string oracles = std::string(INGOT_SOURCE) + "/build/oracles";
const std::string stub = oracles + "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
constexpr std::uint64_t cap = 64u << 20;

bool succeeds(std::vector<std::string> argv) { return run_tool(std::move(argv)).exit_code == 0; }

/// Missing oracles are told, never passed over.
bool skipped(bool missing, const std::string& why) {
  if (missing) std::cerr << "SKIPPED: " << why << "\n";
  return missing;
}
bool is_installed(const std::string& tool) {
  const auto done = run({.argv = {"sh", "-c", "command -v " + tool}});
  return done && done->exit_code == 0;
}

Buffer authenticode(const std::string& path) {
  const auto file = file_source(path).value();
  constexpr HashAlg algs[] = {HashAlg::sha256};
  return measure::authenticode_digests(*file, decode_pe(*file).value(), algs).value().at(HashAlg::sha256);
}

/// True when the file's n-th signature is over this digest: SpcIndirectDataContent holds it as it is.
bool signs(const std::string& path, const Buffer& digest, std::size_t n = 0) {
  const auto file = file_source(path).value();
  const auto signature = pe_signatures(*file, decode_pe(*file).value()).value().at(n);
  return std::search(signature.begin(), signature.end(), digest.begin(), digest.end()) != signature.end();
}

}  // namespace

TEST_CASE("authenticode: Debian's signed kernels are signed over the digest that we calculate") {
  std::size_t kernels = 0;
  for (const auto& entry : fs::directory_iterator("/boot")) {
    if (!entry.path().filename().string().starts_with("vmlinuz-")) continue;
    const auto file = file_source(entry.path()).value();
    const auto pe = decode_pe(*file);
    if (!pe || !pe->is_signed()) continue;
    INFO(entry.path());
    CHECK(signs(entry.path(), authenticode(entry.path())));
    ++kernels;
  }
  (void)skipped(kernels == 0, "no signed kernel in /boot (linux-image-cloud-amd64)");
}

TEST_CASE("authenticode: sbsign and osslsigncode sign what we calculate, for files of every length") {
  if (skipped(!fs::exists(stub), "no systemd stub: " + stub + " is not there")) return;
  const auto folder = scratch();
  const Signer signer(folder.path(), "test");
  const bool second_opinion = !skipped(!is_installed("osslsigncode"), "osslsigncode is not installed");
  const auto content = read_file(stub, cap).value();
  for (const std::size_t behind : {0u, 1u, 4u, 7u, 8u, 513u}) {
    INFO(behind << " bytes behind the sections");
    auto longer = content;
    longer.insert(longer.end(), behind, 0xEE);
    const std::string plain = folder.path() + "/plain.efi", by_sbsign = folder.path() + "/sbsign.efi";
    REQUIRE(write_file(plain, longer));
    const auto digest = authenticode(plain);
    output_of({"sbsign", "--key", signer.key, "--cert", signer.certificate, "--output", by_sbsign, plain});
    CHECK(signs(by_sbsign, digest));
    CHECK(authenticode(by_sbsign) == digest);
    CHECK(succeeds({"sbverify", "--cert", signer.certificate, by_sbsign}));
    if (!second_opinion) continue;
    const std::string by_osslsigncode = folder.path() + "/osslsigncode.efi";
    fs::remove(by_osslsigncode);
    output_of({"osslsigncode", "sign", "-certs", signer.certificate, "-key", signer.key, "-h", "sha256", "-in", plain,
               "-out", by_osslsigncode});
    CHECK(signs(by_osslsigncode, digest));
    CHECK(authenticode(by_osslsigncode) == digest);
  }
}

TEST_CASE("authenticode: what sbverify refuses has another digest, what it takes has the same") {
  if (skipped(!fs::exists(stub), "no systemd stub: " + stub + " is not there")) return;
  const auto folder = scratch();
  const Signer signer(folder.path(), "test");
  const std::string path = folder.path() + "/signed.efi";
  output_of({"sbsign", "--key", signer.key, "--cert", signer.certificate, "--output", path, stub});
  const auto content = read_file(path, cap).value();
  const auto pe = decode_pe(*memory_source(content)).value();
  const auto digest = authenticode(path);
  struct Row {
    const char* name;
    std::size_t at;
    bool same;
  };
  const auto& text = pe.sections.front();
  const auto& last = pe.sections.back();
  const Row rows[] = {{"CheckSum", pe.checksum_offset, true},
                      {"the DOS header", 4, false},
                      {"TimeDateStamp", pe.pe_header_offset + 8, false},
                      {"padding behind the section table", pe.size_of_headers - 1, false},
                      {"first byte of the first section", text.raw_offset, false},
                      {"last byte of the last section", last.raw_offset + last.raw_size - 1, false}};
  for (const auto& row : rows) {
    INFO(row.name);
    auto changed = content;
    changed[row.at] ^= 0x40;
    REQUIRE(write_file(path, changed));
    CHECK((authenticode(path) == digest) == row.same);
    CHECK(succeeds({"sbverify", "--cert", signer.certificate, path}) == row.same);
  }
}

TEST_CASE("pe: two signatures by sbsign are two signatures") {
  if (skipped(!fs::exists(stub), "no systemd stub: " + stub + " is not there")) return;
  const auto folder = scratch();
  const Signer signer(folder.path(), "test");
  const std::string once = folder.path() + "/1.efi", twice = folder.path() + "/2.efi";
  output_of({"sbsign", "--key", signer.key, "--cert", signer.certificate, "--output", once, stub});
  output_of({"sbsign", "--key", signer.key, "--cert", signer.certificate, "--output", twice, once});
  const auto file = file_source(twice).value();
  CHECK(pe_signatures(*file, decode_pe(*file).value())->size() == 2);
  CHECK(authenticode(twice) == authenticode(stub));
  CHECK(signs(twice, authenticode(stub), 1));
}

namespace {

Gpt example_gpt() {
  const auto guid = [](const char* text) { return parse_guid(text).value(); };
  return {
      guid("11111111-2222-4333-8444-555555555555"),
      131072,
      {{esp_type, guid("aaaaaaaa-2222-4333-8444-555555555555"), 40, 2039, 0, "esp"},
       {root_x86_64_type, guid("bbbbbbbb-2222-4333-8444-555555555555"), 2048, 7047, std::uint64_t{1} << 60, "root é"},
       {root_verity_x86_64_type, guid("cccccccc-2222-4333-8444-555555555555"), 7048, 131038, 0, std::string(36, 'v')}}};
}

std::string write_disk(const TemporaryFolder& folder, const Gpt& gpt) {
  const std::string path = folder.path() + "/disk.raw";
  auto file = OutputFile::create(path).value();
  const auto encoded = encode_gpt(gpt).value();
  REQUIRE(file.truncate(gpt.disk_size_lba * lba_size_bytes));
  REQUIRE(file.write_at(0, encoded.primary));
  REQUIRE(file.write_at((gpt.disk_size_lba - 33) * lba_size_bytes, encoded.backup));
  REQUIRE(file.commit());
  return path;
}

}  // namespace

TEST_CASE("gpt: sfdisk and sgdisk find no fault, and read the same values") {
  const auto folder = scratch();
  const auto gpt = example_gpt();
  const auto disk = write_disk(folder, gpt);
  CHECK_THAT(output_of({"sfdisk", "--verify", disk}), Catch::Contains("No errors detected"));
  if (!skipped(!is_installed("sgdisk"), "sgdisk is not installed (gdisk)"))
    CHECK_THAT(output_of({"sgdisk", "--verify", disk}), Catch::Contains("No problems found"));
  const auto theirs = nlohmann::json::parse(output_of({"sfdisk", "--json", disk})).at("partitiontable");
  CHECK(parse_guid(theirs.at("id").get<std::string>()) == gpt.disk);
  CHECK(theirs.at("firstlba") == 34);
  CHECK(theirs.at("lastlba") == gpt.disk_size_lba - 34);
  REQUIRE(theirs.at("partitions").size() == gpt.partitions.size());
  for (std::size_t i = 0; i < gpt.partitions.size(); ++i) {
    const auto& ours = gpt.partitions[i];
    const auto& their = theirs.at("partitions").at(i);
    INFO(ours.name);
    CHECK(their.at("start") == ours.first_lba);
    CHECK(their.at("size") == ours.last_lba - ours.first_lba + 1);
    CHECK(parse_guid(their.at("type").get<std::string>()) == ours.type);
    CHECK(parse_guid(their.at("uuid").get<std::string>()) == ours.unique);
    CHECK(their.at("name") == ours.name);
  }
}

TEST_CASE("gpt: sfdisk, told the same layout, writes the same bytes") {
  const auto folder = scratch();
  const auto gpt = example_gpt();
  const auto ours = read_file(write_disk(folder, gpt), 128u << 20).value();
  std::string script = "label: gpt\nfirst-lba: 34\nlabel-id: " + to_text(gpt.disk) + "\n";
  for (const auto& partition : gpt.partitions)
    script += "start=" + std::to_string(partition.first_lba) +
              ", size=" + std::to_string(partition.last_lba - partition.first_lba + 1) +
              ", type=" + to_text(partition.type) + ", uuid=" + to_text(partition.unique) + ", name=\"" +
              partition.name + "\"" + (partition.attributes != 0 ? ", attrs=\"GUID:60\"" : "") + "\n";
  const std::string path = folder.path() + "/theirs.raw";
  {
    auto file = OutputFile::create(path).value();
    REQUIRE(file.truncate(gpt.disk_size_lba * lba_size_bytes));
    REQUIRE(file.commit());
  }
  Command command{.argv = {"sfdisk", "--quiet", path}};
  command.standard_input = [&](const auto& write) { return write(as_bytes(script)); };
  REQUIRE(run_checked(command));
  const auto theirs = read_file(path, 128u << 20).value();
  CHECK(decode_gpt(*memory_source(theirs)) == gpt);
  REQUIRE(theirs.size() == ours.size());
  // The protective MBR is left out: sfdisk gives its partition the cylinders of a disk that is not there.
  CHECK(std::equal(ours.begin() + 512, ours.begin() + 34 * 512, theirs.begin() + 512));
  CHECK(std::equal(ours.end() - 33 * 512, ours.end(), theirs.end() - 33 * 512));
}

TEST_CASE("verity: veritysetup's superblock is read, and written the same") {
  const auto folder = scratch();
  const std::string data = folder.path() + "/data", hashes = folder.path() + "/hashes";
  REQUIRE(write_file(data, Buffer(300 * 4096, 0x5A)));
  struct Row {
    const char* hash;
    std::string salt;  ///< hexadecimal, "-" is none
    std::uint32_t data_block, hash_block;
  };
  const Row rows[] = {{"sha256", std::string(64, 'a'), 4096, 4096},
                      {"sha512", "-", 1024, 4096},
                      {"sha1", std::string(512, '7'), 4096, 512}};
  for (const auto& row : rows) {
    INFO(row.hash);
    output_of({"veritysetup", "format", data, hashes, "--hash", row.hash, "--salt", row.salt, "--uuid",
               "11223344-5566-4788-99aa-bbccddeeff00", "--data-block-size", std::to_string(row.data_block),
               "--hash-block-size", std::to_string(row.hash_block)});
    const auto block = read_part(*file_source(hashes).value(), 0, 512, 512).value();
    const auto superblock = decode_verity_superblock(block);
    REQUIRE(superblock);
    CHECK(to_text(superblock->uuid) == "11223344-5566-4788-99aa-bbccddeeff00");
    CHECK(superblock->algorithm == row.hash);
    CHECK(superblock->data_block_size == row.data_block);
    CHECK(superblock->hash_block_size == row.hash_block);
    CHECK(superblock->data_blocks == 300 * 4096 / row.data_block);
    CHECK(to_hex(superblock->salt) == (row.salt == "-" ? "" : row.salt));
    CHECK(encode_verity_superblock(*superblock) == block);
  }
}

namespace {

constexpr const char* owner_text = "77fa9abd-0359-4d32-bd60-28f4e78f784b";

std::string in_chroot(const TemporaryFolder& folder, const std::string& name) {
  return folder.path().substr(oracles.size()) + "/" + name;
}
bool no_virt_fw_vars() {
  return skipped(!fs::exists(oracles + "/usr/bin/virt-fw-vars"),
                 "virt-fw-vars did not judge the variable store: no " + oracles);
}

}  // namespace

TEST_CASE("variable store: virt-fw-vars reads every variable that we write, as we mean it") {
  if (no_virt_fw_vars()) return;
  const auto folder = TemporaryFolder::create(oracles + "/tmp", "ingot-test-").value();
  const Signer signer(folder.path(), "test");
  const auto der = crypto::Certificate::from_pem(as_text(read_file(signer.certificate, cap).value()))->der();
  const auto list = encode_signature_lists({x509_list(parse_guid(owner_text).value(), der)});
  const auto none =
      encode_signature_lists({{efi_cert_sha256_guid, {}, {{parse_guid(owner_text).value(), Buffer(32)}}}});
  const auto variables = secure_boot_variables({list, list, list, none, {2024, 2, 29, 23, 59, 58}});
  for (const char* empty : {"/usr/share/OVMF/OVMF_VARS.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"}) {
    INFO(empty);
    REQUIRE(write_file(folder.path() + "/VARS.fd", write_variables(read_file(empty, cap).value(), variables).value()));
    output_of({"chroot", oracles, "virt-fw-vars", "--input", in_chroot(folder, "VARS.fd"), "--output-json",
               in_chroot(folder, "vars.json")});
    const auto theirs =
        nlohmann::json::parse(as_text(read_file(folder.path() + "/vars.json", cap).value())).at("variables");
    REQUIRE(theirs.size() == variables.size());
    for (const auto& variable : variables) {
      INFO(variable.name);
      const auto found =
          std::find_if(theirs.begin(), theirs.end(), [&](const auto& one) { return one.at("name") == variable.name; });
      REQUIRE(found != theirs.end());
      CHECK(parse_guid(found->at("guid").template get<std::string>()) == variable.guid);
      CHECK(found->at("attr") == variable.attributes);
      CHECK(parse_hex(found->at("data").template get<std::string>()) == variable.data);
      if (variable.attributes == 0x27) CHECK(found->at("time") == "e807021d173b3a000000000000000000");
    }
  }
}

TEST_CASE("variable store: what virt-fw-vars enrols is what we enrol") {
  if (no_virt_fw_vars()) return;
  const auto folder = TemporaryFolder::create(oracles + "/tmp", "ingot-test-").value();
  const Signer signer(folder.path(), "test");
  const auto certificate = in_chroot(folder, "test.crt");
  fs::copy_file("/usr/share/OVMF/OVMF_VARS_4M.fd", folder.path() + "/empty.fd");
  output_of({"chroot", oracles, "virt-fw-vars", "--input", in_chroot(folder, "empty.fd"), "--set-pk", owner_text,
             certificate, "--add-kek", owner_text, certificate, "--add-db", owner_text, certificate, "--secure-boot",
             "--output", in_chroot(folder, "theirs.fd")});
  const auto theirs = decode_variable_store(read_file(folder.path() + "/theirs.fd", cap).value());
  REQUIRE(theirs);
  const auto der = crypto::Certificate::from_pem(as_text(read_file(signer.certificate, cap).value()))->der();
  const auto list = encode_signature_lists({x509_list(parse_guid(owner_text).value(), der)});
  std::size_t compared = 0;
  for (const auto& ours : secure_boot_variables({list, list, list, {}, {}}))
    for (const auto& their : *theirs) {
      if (their.name != ours.name) continue;
      INFO(ours.name);
      CHECK(their.guid == ours.guid);
      CHECK(their.attributes == ours.attributes);
      CHECK(their.data == ours.data);
      ++compared;
    }
  CHECK(compared == 5);  // all but VendorKeysNv, which it leaves to the firmware
}

TEST_CASE("keys: signatures by the openssl command are valid, of every kind and hash") {
  const auto folder = scratch();
  const std::string key = folder.path() + "/key", message = folder.path() + "/message",
                    signature = folder.path() + "/signature";
  REQUIRE(write_file(message, as_bytes("a message")));
  const std::vector<std::vector<std::string>> kinds = {{"RSA", "-pkeyopt", "rsa_keygen_bits:3072"},
                                                       {"EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
                                                       {"EC", "-pkeyopt", "ec_paramgen_curve:P-256"}};
  for (const auto& kind : kinds) {
    INFO(kind.back());
    std::vector<std::string> argv = {"openssl", "genpkey", "-out", key, "-algorithm"};
    argv.insert(argv.end(), kind.begin(), kind.end());
    output_of(argv);
    const auto pem = output_of({"openssl", "pkey", "-in", key, "-pubout"});
    const auto public_key = crypto::PublicKey::from_pem(pem);
    REQUIRE(public_key);
    CHECK(public_key->pem() == pem);
    for (const auto alg : {HashAlg::sha1, HashAlg::sha256, HashAlg::sha384, HashAlg::sha512}) {
      INFO(to_text(alg));
      output_of({"openssl", "dgst", "-" + to_text(alg), "-sign", key, "-out", signature, message});
      const auto bytes = read_file(signature, cap).value();
      CHECK(public_key->verify(alg, as_bytes("a message"), bytes));
      CHECK_FALSE(public_key->verify(alg, as_bytes("another message"), bytes));
    }
  }
}

TEST_CASE("dsse: an envelope signed by the openssl command opens") {
  const auto folder = scratch();
  const Signer signer(folder.path(), "test");
  const auto key = crypto::Certificate::from_pem(as_text(read_file(signer.certificate, cap).value()))->public_key();
  DsseEnvelope envelope{in_toto_payload_type, to_buffer(as_bytes("{\"_type\":\"x\"}")), {}};
  const std::string message = folder.path() + "/pae", signature = folder.path() + "/signature";
  REQUIRE(write_file(message, pre_authentication_encoding(envelope.payload_type, envelope.payload)));
  output_of({"openssl", "dgst", "-sha256", "-sign", signer.key, "-out", signature, message});
  envelope.signatures.push_back({"", read_file(signature, cap).value()});
  const auto decoded = decode_dsse(as_bytes(encode_dsse(envelope)));
  REQUIRE(decoded);
  CHECK(open_dsse(*decoded, in_toto_payload_type, key) == envelope.payload);
}
