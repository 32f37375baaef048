// Kernel modules against the kernel's own sign-file, kmod, openssl and the compressors that others unpack with.
#include "ingot/signer/module.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_signature.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;
using codec::ModuleCompression;
namespace fs = std::filesystem;

namespace {

const std::string sign_file = "/usr/lib/linux-kbuild-6.1/scripts/sign-file";

Buffer read(const std::string& path) { return read_file(path, codec::module_cap_bytes).value(); }

/// Some of Debian's own modules for this machine's kernel package, without Debian's signatures: small ones, large ones.
std::vector<std::string> sample_modules() {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator("/usr/lib/modules"))
    if (entry.path().extension() == ".ko") found.push_back(entry.path().string());
  std::sort(found.begin(), found.end());
  std::vector<std::string> sample;
  for (std::size_t at = 0; at < found.size(); at += found.size() / 8) sample.push_back(found[at]);
  return sample;
}

/// A key and its certificate as somebody makes them with openssl.
struct ModuleKey {
  std::string key, certificate;
  [[nodiscard]] signer::SigningKey load() const { return signer::SigningKey::load(key, certificate).value(); }
};
ModuleKey make_key(const std::string& folder, const std::string& name, std::vector<std::string> options) {
  const ModuleKey made{folder + "/" + name + ".key", folder + "/" + name + ".crt"};
  std::vector<std::string> argv = {"openssl", "req",     "-x509",  "-nodes", "-days",
                                   "3650",    "-keyout", made.key, "-out",   made.certificate};
  argv.insert(argv.end(), options.begin(), options.end());
  output_of(std::move(argv));
  return made;
}

std::string field(const std::string& path, const std::string& name) {
  auto text = output_of({"modinfo", "-F", name, path});
  return text.substr(0, text.find('\n'));
}

}  // namespace

TEST_CASE("modules: sign-file's bytes are ours, for keys of three sizes and certificates of all shapes") {
  const auto work = scratch();
  const std::string odd_name = "/C=DE/O=Some, \"quoted\" + Vendor/OU=" + std::string(60, 'x') + "/CN=GPU drivers é";
  const ModuleKey keys[] = {
      make_key(work.path(), "plain", {"-newkey", "rsa:2048", "-subj", "/CN=db", "-set_serial", "1"}),
      make_key(work.path(), "odd",
               {"-newkey", "rsa:3072", "-utf8", "-subj", odd_name, "-set_serial", "0xFF00000000000001"}),
      make_key(work.path(), "large", {"-newkey", "rsa:4096", "-subj", "/CN=db"}),
  };
  const auto modules = sample_modules();
  REQUIRE(modules.size() >= 8);
  const auto bare = work.path() + "/bare.ko", theirs = work.path() + "/theirs.ko";
  for (const auto& key : keys)
    for (const auto& path : modules) {
      INFO(key.certificate << " " << path);
      const auto content = to_buffer(codec::without_module_signatures(read(path)).value());
      CHECK(content.size() < read(path).size());  // Debian signs its own
      REQUIRE(write_file(bare, content));
      output_of({sign_file, "sha256", key.key, key.certificate, bare, theirs});
      const auto ours = signer::sign_module(read(path), key.load(), signer::OldSignature::replaced).value();
      CHECK(ours.bytes == read(theirs));
      CHECK(ours.info.name == field(theirs, "name"));
      CHECK(ours.info.vermagic == field(theirs, "vermagic"));
    }
}

TEST_CASE("modules: openssl takes the signature for what it is over, and kmod names its signer") {
  const auto work = scratch();
  const auto key = make_key(work.path(), "db", {"-newkey", "rsa:2048", "-subj", "/CN=Vendor drivers"});
  const auto module = signer::sign_module(read(sample_modules().front()), key.load(), signer::OldSignature::replaced);
  REQUIRE(module);
  const auto parts = codec::decode_module_signature(module->bytes).value().value();
  REQUIRE(write_file(work.path() + "/content", parts.content));
  REQUIRE(write_file(work.path() + "/signature", parts.pkcs7));
  REQUIRE(write_file(work.path() + "/signed.ko", module->bytes));
  const std::vector<std::string> verify = {"openssl",   "cms",
                                           "-verify",   "-binary",
                                           "-inform",   "DER",
                                           "-in",       work.path() + "/signature",
                                           "-content",  work.path() + "/content",
                                           "-certfile", key.certificate,
                                           "-CAfile",   key.certificate,
                                           "-purpose",  "any",
                                           "-out",      "/dev/null"};
  CHECK(run_tool(verify).exit_code == 0);
  auto changed = to_buffer(parts.content);
  changed.back() ^= 1;
  REQUIRE(write_file(work.path() + "/content", changed));
  CHECK(run_tool(verify).exit_code != 0);
  CHECK(field(work.path() + "/signed.ko", "signer") == "Vendor drivers");
  CHECK(field(work.path() + "/signed.ko", "sig_hashalgo") == "sha256");
}

TEST_CASE("modules: xz is what the kernel's build makes; xz, zstd, gzip and kmod unpack what was signed") {
  const auto work = scratch();
  const auto key = make_key(work.path(), "db", {"-newkey", "rsa:2048", "-subj", "/CN=db"});
  struct Row {
    std::vector<std::string> compress;
    std::vector<std::string> unpack;
    std::string ending;
    bool kmod_reads;  ///< Debian's kmod is built without zlib
  };
  const Row rows[] = {
      {{"xz", "--check=crc32", "--lzma2=dict=1MiB"}, {"xz", "-dc"}, ".xz", true},
      {{"zstd", "-q", "--rm"}, {"zstd", "-dcq"}, ".zst", true},
      {{"gzip", "-n"}, {"gzip", "-dc"}, ".gz", false},
  };
  for (const auto& path : sample_modules())
    for (const auto& row : rows) {
      INFO(path << " " << row.ending);
      const auto plain = signer::sign_module(read(path), key.load(), signer::OldSignature::replaced).value().bytes;
      const auto file = work.path() + "/module.ko";
      REQUIRE(write_file(file, read(path)));
      auto argv = row.compress;
      argv.push_back(file);
      output_of(argv);
      const auto done =
          signer::sign_module(read(file + row.ending), key.load(), signer::OldSignature::replaced).value();
      REQUIRE(write_file(file + row.ending, done.bytes));
      argv = row.unpack;
      argv.push_back(file + row.ending);
      CHECK(output_of(argv) == as_text(plain));
      if (row.kmod_reads) CHECK(field(file + row.ending, "signer") == "db");
      fs::remove(file + row.ending);
      if (row.ending != ".xz") continue;
      // Byte for byte, so that the kernel's decoder, which knows no other check, has nothing new to take.
      REQUIRE(write_file(file, plain));
      argv = row.compress;
      argv.push_back(file);
      output_of(argv);
      CHECK(read(file + ".xz") == done.bytes);
      fs::remove(file + ".xz");
    }
}

TEST_CASE("modules: the command signs a list into a folder, refuses to touch it again, and checks what it made") {
  const auto work = scratch();
  const std::string ingot = std::string(INGOT_BUILD) + "/ingot";
  const auto key = make_key(work.path(), "db", {"-newkey", "rsa:2048", "-subj", "/CN=db"});
  const auto other = make_key(work.path(), "other", {"-newkey", "rsa:2048", "-subj", "/CN=other"});
  std::string list;
  const auto modules = sample_modules();
  for (const auto& path : modules) list += path + "\n";
  REQUIRE(write_file(work.path() + "/list", as_bytes(list)));
  const auto out = work.path() + "/out";
  const std::vector<std::string> sign = {ingot,   "sign",  "module",        "--list",        work.path() + "/list",
                                         "--key", key.key, "--certificate", key.certificate, "--out",
                                         out};
  const auto with = [](std::vector<std::string> argv, std::initializer_list<std::string> more) {
    argv.insert(argv.end(), more);
    return argv;
  };
  CHECK(run_tool(sign).exit_code == 3);  // Debian's signature is on them
  CHECK((!fs::exists(out) || fs::is_empty(out)));
  CHECK(run_tool(with(sign, {"--replace"})).exit_code == 0);
  CHECK(static_cast<std::size_t>(std::distance(fs::directory_iterator(out), {})) == modules.size());
  CHECK(run_tool(with(sign, {"--replace"})).exit_code == 3);  // they are there
  std::vector<std::string> check = {ingot, "sign", "module", "--check", "--certificate"};
  const auto one = out + "/" + fs::path(modules.front()).filename().string();
  CHECK(run_tool(with(check, {key.certificate, one})).exit_code == 0);
  CHECK(run_tool(with(check, {other.certificate, one})).exit_code == 1);
  CHECK(run_tool(with(check, {key.certificate, modules.front()})).exit_code == 1);
  CHECK(run_tool(with(check, {key.certificate, key.certificate})).exit_code == 2);
  CHECK(run_tool({ingot, "sign", "module", one, "--key", key.key, "--certificate", other.certificate, "--out",
                  work.path() + "/none", "--replace"})
            .exit_code == 2);
  CHECK_FALSE(fs::exists(work.path() + "/none"));
  CHECK(run_tool({ingot, "sign", "module", one, "--key", key.key, "--certificate", key.certificate}).exit_code == 3);
}
