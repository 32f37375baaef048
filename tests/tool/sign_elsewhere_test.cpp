// Signatures that another machine makes: a build finished with its answer is what the keys themselves would have made.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/builder/execution_policy.hpp"
#include "ingot/builder/signing.hpp"
#include "ingot/codec/gpt.hpp"
#include "oracle_tree.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::builder;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mebibyte = 1u << 20;
constexpr std::uint64_t cap = 1u << 28;

/// An image of stock parts whose root file system is nowhere: its root hash is all that is signed.
ToSign small_wish() {
  ToSign wish;
  const std::string root_hash(64, 'a');
  wish.uki.stub =
      file_source(std::string(INGOT_SOURCE) + "/build/oracles/usr/lib/systemd/boot/efi/linuxx64.efi.stub").value();
  wish.uki.kernel = file_source(host_kernel()).value();
  wish.uki.initrd = memory_source(Buffer(1000, 7));
  wish.uki.os_release = "ID=debian\nIMAGE_ID=training\nIMAGE_VERSION=7\n";
  wish.uki.uname = "6.1.0-test";
  wish.uki.command_line = "console=ttyS0 roothash=" + root_hash;
  wish.uki.generation = 2;
  wish.execution_policy = execution_policy(root_hash, 7);
  wish.probe_initrd = memory_source(Buffer(500, 9));
  wish.probe_command_line = probe_command_line;
  wish.draft.profile = "training";
  wish.draft.role = "training";
  wish.draft.version = 7;
  wish.draft.generation = 2;
  wish.draft.root_hash = root_hash;
  wish.draft.manifest_sha256 = std::string(64, 'b');
  wish.draft.provenance_key = std::string(64, 'c');
  wish.draft.settings = {{SettingArea::sysctl, "kernel.kptr_restrict", "2", "", "KSPP", ""}};
  wish.draft.volumes = {{"models", VolumeMaker::any}};
  const auto guid = [](const char* text) { return parse_guid(text).value(); };
  const auto gpt =
      plan_disk(guid("11111111-2222-3333-4444-555555555555"),
                {{codec::esp_type, guid("11111111-2222-3333-4444-555555555556"), "esp", {}, 300 * mebibyte},
                 {codec::root_x86_64_type, guid_from_big_endian(Buffer(16, 0xAA)), "root", {}, 2 * mebibyte}},
                0)
          .value();
  wish.partition_table = codec::encode_gpt(gpt).value().primary;
  wish.disk_size_bytes = gpt.disk_size_lba * codec::lba_size_bytes;
  wish.allowed_partitions = {codec::ingot_volume_type};
  wish.phases = {"enter-initrd", "leave-initrd", "sysinit", "ready"};
  return wish;
}

/// A key folder, and what of it the machine that builds has.
struct KeySite {
  TemporaryFolder folder = scratch();
  signer::KeyFolder keys = signer::init_keys(folder.path() + "/keys").value();
  signer::KeyFolder open;

  KeySite() {
    const auto path = folder.path() + "/public";
    fs::copy(keys.path, path, fs::copy_options::recursive);
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.path().extension() == ".key" && entry.path().stem() != "provenance") fs::remove(entry.path());
    open = signer::open_public_keys(path).value();
  }
  [[nodiscard]] std::string at(const std::string& name) const { return folder.path() + "/" + name; }
  std::string made(const std::string& name) const {
    fs::create_directories(at(name));
    return at(name);
  }
};

Buffer content(const std::string& path) { return read_file(path, cap).value(); }

const auto files = {output::uki, output::probe, output::baseline, output::baseline_key, output::execution_policy};

}  // namespace

TEST_CASE("sign: what another machine signed is the same to the byte as what the keys sign in place") {
  const KeySite site;
  const auto wish = small_wish();
  const auto in_place = sign_image(wish, site.keys, site.made("here"), silent_progress());
  REQUIRE(in_place);

  const auto id = write_request(wish, site.open, site.at("request")).value();
  CHECK(output_of({"sha256sum", site.at("request")}).starts_with(id));
  const auto request = read_request(site.at("request")).value();
  CHECK(request.id == id);
  const auto words = explain(request).value();
  CHECK(words.size() == 6);
  CHECK(std::any_of(words.begin(), words.end(), [](const std::string& line) {
    return line.find("command line \"console=ttyS0 roothash=aaaa") != std::string::npos;
  }));
  const auto answer = answer_request(request, site.keys, silent_progress()).value();
  CHECK(answer.request == id);

  auto finishing = site.open;
  finishing.answer = std::make_shared<codec::SigningAnswer>(
      codec::decode_signing_answer(as_bytes(codec::encode_signing_answer(answer))).value());
  const auto finished = sign_image(wish, finishing, site.made("there"), silent_progress());
  REQUIRE(finished);
  CHECK(*finished == *in_place);
  for (const auto* name : files) {
    INFO(name);
    CHECK(content(site.at(std::string("here/") + name)) == content(site.at(std::string("there/") + name)));
  }
  output_of({"sbverify", "--cert", site.keys.certificate("db"), site.at("there/uki.efi")});
  output_of({"sbverify", "--cert", site.keys.certificate("db"), site.at("there/probe.efi")});
  // The same wish is the same request.
  CHECK(write_request(wish, site.keys, site.at("again")).value() == id);
}

TEST_CASE("sign: systemd-boot is signed where the keys are, and only when it is systemd-boot") {
  const KeySite site;
  const std::string efi = std::string(INGOT_SOURCE) + "/build/oracles/usr/lib/systemd/boot/efi/";
  auto wish = small_wish();
  wish.chain = BootChain::systemd_boot;
  wish.first_stage = file_source(efi + "systemd-bootx64.efi").value();
  const auto in_place = sign_image(wish, site.keys, site.made("here"), silent_progress());
  REQUIRE(in_place);
  REQUIRE(write_request(wish, site.open, site.at("request")));
  const auto request = read_request(site.at("request")).value();
  const auto words = explain(request).value();
  CHECK(words.size() == 7);
  CHECK(words[5].starts_with("db: Authenticode of systemd-boot 257 (SHA-256 "));
  auto finishing = site.open;
  finishing.answer =
      std::make_shared<codec::SigningAnswer>(answer_request(request, site.keys, silent_progress()).value());
  CHECK(sign_image(wish, finishing, site.made("there"), silent_progress()).value() == *in_place);
  for (const auto* name : {output::first_stage, output::loader_conf, output::baseline}) {
    INFO(name);
    CHECK(content(site.at(std::string("here/") + name)) == content(site.at(std::string("there/") + name)));
  }
  output_of({"sbverify", "--cert", site.keys.certificate("db"), site.at("there/first-stage.efi")});

  wish.first_stage = file_source(efi + "addonx64.efi.stub").value();
  REQUIRE(write_request(wish, site.open, site.at("request")));
  const auto refused = explain(read_request(site.at("request")).value());
  REQUIRE_FALSE(refused);
  CHECK(exit_status(refused.error().code) == 2);
}

TEST_CASE("sign: an answer finishes nothing but what it answers") {
  const KeySite site;
  const auto wish = small_wish();
  REQUIRE(write_request(wish, site.open, site.at("request")));
  auto answer = answer_request(read_request(site.at("request")).value(), site.keys, silent_progress()).value();
  const auto refused = [&](const ToSign& what, const codec::SigningAnswer& with) {
    auto finishing = site.open;
    finishing.answer = std::make_shared<codec::SigningAnswer>(with);
    fs::remove_all(site.at("out"));
    const auto done = sign_image(what, finishing, site.made("out"), silent_progress());
    REQUIRE_FALSE(done);
    CHECK(done.error().code == ErrorCode::crypto);
    CHECK_FALSE(fs::exists(site.at("out/baseline.json")));
    return describe(done.error());
  };
  auto other = wish;
  other.uki.command_line = "quiet " + wish.uki.command_line;
  CHECK(refused(other, answer).find("the answer has no signature for: ") != std::string::npos);
  // Each signature is needed, and is checked.
  for (std::size_t i = 0; i < answer.signatures.size(); ++i) {
    INFO(answer.signatures[i].what);
    auto less = answer;
    less.signatures.erase(less.signatures.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(refused(wish, less).find("no signature for") != std::string::npos);
    auto wrong = answer;
    wrong.signatures[i].signature.back() ^= 1;
    CHECK(refused(wish, wrong).find("the answer's signature for") != std::string::npos);
  }
}

TEST_CASE("sign: a request that was changed on the way is refused, and nothing is signed") {
  const KeySite site;
  const auto wish = small_wish();
  REQUIRE(write_request(wish, site.open, site.at("request")));
  const auto good = content(site.at("request"));
  const auto line_end = static_cast<std::size_t>(std::find(good.begin(), good.end(), '\n') - good.begin());
  const auto answered = [&](const Buffer& bytes) {
    REQUIRE(write_file(site.at("edited"), bytes));
    return run_tool({std::string(INGOT_BUILD) + "/ingot", "sign", "answer", site.at("edited"), "--keys", site.keys.path,
                     "--out", site.at("answer")});
  };
  const auto edited = [&](std::string_view from, std::string_view to) {
    auto text = std::string(as_text(Bytes(good).first(line_end)));
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
    auto bytes = to_buffer(as_bytes(text));
    bytes.insert(bytes.end(), good.begin() + static_cast<std::ptrdiff_t>(line_end), good.end());
    return bytes;
  };
  struct Row {
    const char* what;
    Buffer bytes;
    const char* says;
  };
  auto flipped = good, longer = good, shorter = good;
  flipped[line_end + 100] ^= 1;
  longer.push_back(0);
  shorter.pop_back();
  const std::vector<Row> rows = {
      {"a bit of the stub", flipped, "the request's stub is not what its first line says"},
      {"a byte more", longer, "bytes that its first line does not name"},
      {"a byte less", shorter, "the request ends within its partition-table"},
      {"empty", {}, "has no first line"},
      {"not a request", to_buffer(as_bytes("{}\n")), "format"},
      {"a member that nobody knows", edited("\"uname\"", "\"and\":1,\"uname\""), "and"},
      {"another root file system in the command line", edited("roothash=aa", "roothash=ab"), "does not start the root"},
      {"two of them", edited("console=ttyS0 ", "roothash=1 "), "does not start the root"},
      {"a policy that lets everything execute", edited("DEFAULT action=DENY", "DEFAULT action=ALLOW"),
       "the execution policy is not that"},
      {"another probe", edited("panic=-1", "panic=-1 init=/bin/sh"), "the probe's command line"},
      {"another image's os-release", edited("IMAGE_VERSION=7", "IMAGE_VERSION=8"), "os-release names another image"},
      {"a prediction", edited("\"uki_sha256\":\"\"", "\"uki_sha256\":\"00\""), "brings predictions of its own"},
      {"another key", edited(site.open.public_half("pcr").value().key_id(), std::string(64, '0')),
       "the request is for another pcr key"}};
  for (const auto& row : rows) {
    INFO(row.what);
    const auto done = answered(row.bytes);
    INFO(done.error_tail);
    CHECK(done.exit_code == 2);
    CHECK(done.error_tail.find(row.says) != std::string::npos);
    CHECK_FALSE(fs::exists(site.at("answer")));
  }
  // The id that the other machine printed.
  const auto by_id = [&](const std::string& id) {
    return run_tool({std::string(INGOT_BUILD) + "/ingot", "sign", "answer", site.at("request"), "--id", id, "--keys",
                     site.keys.path, "--out", site.at("answer")});
  };
  CHECK(by_id(std::string(64, '0')).exit_code == 2);
  CHECK_FALSE(fs::exists(site.at("answer")));
  CHECK(by_id(read_request(site.at("request")).value().id).exit_code == 0);
  CHECK(fs::exists(site.at("answer")));
}

TEST_CASE("sign: the machine that builds needs public halves and its own key, and says which is missing") {
  const KeySite site;
  for (const auto* name : {"PK.crt", "KEK.crt", "db.crt", "pcr.pub", "baseline.pub", "owner.guid", "provenance.key"}) {
    INFO(name);
    const auto path = site.open.path + "/" + name;
    fs::rename(path, site.at("away"));
    const auto opened = signer::open_public_keys(site.open.path);
    REQUIRE_FALSE(opened);
    CHECK(describe(opened.error()).find(name) != std::string::npos);
    fs::rename(site.at("away"), path);
  }
  REQUIRE(signer::open_public_keys(site.open.path));
}
