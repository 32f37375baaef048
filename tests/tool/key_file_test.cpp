// Volumes whose key needs a file on a medium: how they are made and opened, and what becomes of both without the file.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cctype>

#include "key_lab.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string label = "INGOT-KEYS";
const std::string backed_off = "1\n2\n4\n8\n16\n32\n60\n";
const std::string put_in = "put the medium in that this volume was made with, or use the volume's recovery key offline";

/// Bytes that look random, others for each seed.
std::string key_bytes(std::size_t size, char seed) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<char>(seed + static_cast<char>(i * i % 251)));
  return out;
}

using Files = std::vector<std::pair<std::string, std::string>>;

/// A disk that is put into the node, as an operator makes it.
class Medium {
 public:
  Medium(const KeyLab& lab, const Files& files, const std::string& name = label, const std::string& type = "ext4")
      : path_(lab.file("media/" + name)) {
    const auto content = lab.file("content");
    fs::remove_all(content);
    fs::remove_all(lab.file("media"));
    fs::create_directories(content);
    fs::create_directories(lab.file("media"));
    for (const auto& [file, bytes] : files) REQUIRE(write_file(content + "/" + file, as_bytes(bytes)));
    output_of({"truncate", "--size=8M", path_});
    output_of({"mkfs." + type, "-q", "-L", label, "-d", content, path_});
  }
  [[nodiscard]] std::string digest() const { return digest_of(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// What is left of a medium in the initrd once a provider is done with it.
const std::string mounts_left = "{ grep ingot-file /proc/self/mountinfo || ls /run | grep ingot-file || true; }";

/// RFC 7516 by Python's cryptography: the share in a token's part, with the content of the key file.
const std::string oracle = R"(import base64, hashlib, json
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
raw = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
jwe = json.load(open("/mnt/part.json"))
assert json.loads(raw(jwe["protected"])) == {"alg": "dir", "enc": "A256GCM", "kid": "filed"}, raw(jwe["protected"])
assert jwe.pop("encrypted_key") == "" # there is none with "dir"
assert set(jwe) == {"protected", "iv", "ciphertext", "tag"}, jwe.keys()
key = hashlib.sha256(open("/mnt/content/filed.key", "rb").read()).digest()
print(AESGCM(key).decrypt(raw(jwe["iv"]), raw(jwe["ciphertext"]) + raw(jwe["tag"]), jwe["protected"].encode()).decode(), end="")
)";

}  // namespace

TEST_CASE("key file: a first boot makes volumes, each opens with its file, and nothing is written to the medium") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.stop_server();
  lab.link("down");
  const Medium medium(lab, {{"filed.key", key_bytes(32, 'a')}, {"shared.key", key_bytes(4096, 'b')}});
  const auto before = medium.digest();
  lab.make({{"sealed", tpm_alone}, {"filed", file_alone}, {"shared", tpm_and_file}});
  CHECK(lab.opens("filed"));
  CHECK(lab.opens("shared"));
  CHECK(lab.text("slept").empty());
  for (const std::string name : {"filed", "shared"}) {
    INFO(name);
    const auto dump = lab.header(name);
    CHECK(dump.at("keyslots").size() == 1);
    REQUIRE(dump.at("tokens").size() == 1);
    const auto& token = dump.at("tokens").at("0");
    CHECK(token.at("type") == "ingot-key");
    CHECK(token.contains("file"));
    CHECK(token.contains("tpm") == (name == "shared"));
  }
  // The key comes out of header and file without us.
  lab.tpm().write("part.json", as_bytes(lab.header("filed").at("tokens").at("0").at("file").dump()));
  lab.tpm().write("oracle.py", as_bytes(oracle));
  CHECK(lab.opens_with("python3 /mnt/oracle.py", "filed"));
  CHECK(lab.shell("python3 /mnt/oracle.py") == lab.shell("/usr/lib/ingot/volume-key give filed"));
  // systemd gets the key where crypttab says that it is; a recovery key beside it changes nothing.
  CHECK(lab.runs({"seen-by-cryptenroll", "shared"}));
  CHECK(lab.header("shared").at("keyslots").size() == 2);
  CHECK(lab.opens("shared"));
  CHECK(medium.digest() == before);
  // Each further boot finds them; for that no medium is needed.
  fs::remove(medium.path());
  const auto disk = digest_of(lab.file("disk"));
  lab.run({"first-boot"});
  CHECK(lab.text("slept").empty());
  CHECK(digest_of(lab.file("disk")) == disk);
}

TEST_CASE("key file: a medium that somebody pulled out while it was written to is not repaired") {
  if (no_systemd()) return;
  KeyLab lab;
  const Medium medium(lab, {{"filed.key", key_bytes(64, 'a')}});
  lab.tpm().write("journal", as_bytes("jo\njw -b 5 /dev/zero\njc\n"));
  output_of({"debugfs", "-w", "-f", lab.file("journal"), medium.path()});
  REQUIRE(has(output_of({"dumpe2fs", "-h", medium.path()}), "needs_recovery"));
  const auto before = medium.digest();
  lab.make({{"filed", file_alone}});
  CHECK(lab.opens("filed"));
  CHECK(medium.digest() == before);
}

TEST_CASE("key file: without its file a volume is neither made nor opened, and the console says what to do") {
  if (no_systemd()) return;
  KeyLab lab;
  const auto good = key_bytes(64, 'a');
  {
    const Medium medium(lab, {{"filed.key", good}});
    lab.make({{"filed", file_alone}});
  }
  const auto whole = read_file(lab.file("volumes/filed"), 1u << 30).value();
  struct Row {
    const char* name;
    Files files;
    std::string message;
  };
  const auto is = [](const std::string& what) { return "filed.key of the medium INGOT-KEYS is " + what; };
  const std::vector<Row> rows = {
      {"no file", {{"other.key", good}}, "the medium INGOT-KEYS has no file filed.key"},
      {"the file's name in capitals", {{"FILED.KEY", good}}, "the medium INGOT-KEYS has no file filed.key"},
      {"an empty file", {{"filed.key", ""}}, is("empty, expected 32 to 4096 bytes")},
      {"a byte too few", {{"filed.key", key_bytes(31, 'a')}}, is("too short: 31 bytes, expected 32 to 4096")},
      {"a byte too many", {{"filed.key", key_bytes(4097, 'a')}}, is("too long: 4097 bytes, expected 32 to 4096")}};
  for (const auto& row : rows) {
    INFO(row.name);
    const Medium medium(lab, row.files);
    const auto before = medium.digest();
    lab.render({{"filed", file_alone}}, {}, {});
    lab.tpm().write("volumes/filed", whole);
    const auto said = lab.refusal("filed");
    CHECK(has(said, "ingot: volume filed: " + row.message + "; " + put_in));
    CHECK(has(said, "ingot: volume filed: no key from file"));
    lab.cast({{"filed", file_alone}}, {});
    const auto making = lab.no_creation();
    CHECK(has(making, row.message + "; make it: head -c 64 /dev/urandom >filed.key"));
    CHECK(has(making, "file does not take a key, so it is not made; nothing was written"));
    CHECK(lab.text("slept").empty());
    CHECK(medium.digest() == before);
  }

  const auto refused = [&](const Medium& medium, const std::string& message) {
    const auto before = medium.digest();
    lab.render({{"filed", file_alone}}, {}, {});
    lab.tpm().write("volumes/filed", whole);
    CHECK(has(lab.refusal("filed"), message));
    CHECK(lab.text("slept").empty());
    CHECK(medium.digest() == before);
    CHECK(lab.shell("/usr/lib/ingot/volume-key give filed || true; " + mounts_left).empty());
  };
  refused(Medium(lab, {{"filed.key", key_bytes(64, 'b')}}), "its key is not in filed.key of this medium; " + put_in);
  refused(Medium(lab, {{"filed.key", good + "x"}}), "its key is not in filed.key of this medium; " + put_in);
  refused(Medium(lab, {{"filed.key", good}}, label, "ext2"),
          "the file system of the medium INGOT-KEYS is ext2, expected ext4, vfat or iso9660");
  const Medium folder(lab, {});
  output_of({"debugfs", "-w", "-R", "mkdir filed.key", folder.path()});
  refused(folder, "has no file filed.key");
  const Medium link(lab, {{"there", good}});
  output_of({"debugfs", "-w", "-R", "symlink filed.key there", link.path()});
  refused(link, "has no file filed.key");
  const Medium empty(lab, {});
  output_of({"dd", "if=/dev/zero", "of=" + empty.path(), "bs=1M", "count=8", "status=none"});
  refused(empty, "the file system of the medium INGOT-KEYS is none that is known");

  const Medium back(lab, {{"filed.key", good}});
  CHECK(lab.opens("filed"));
  CHECK(lab.shell("/usr/lib/ingot/volume-key give filed >/dev/null; " + mounts_left).empty());
}

TEST_CASE("key file: the medium is waited for, then the boot stops, and nothing is written") {
  if (no_systemd()) return;
  KeyLab lab;
  const Files files = {{"shared.key", key_bytes(64, 'a')}};
  {
    const Medium medium(lab, files);
    lab.make({{"shared", tpm_and_file}});
    fs::remove(medium.path());
  }
  const auto said = lab.refusal("shared");
  CHECK(has(said, "ingot: volume shared: there is no medium with the label INGOT-KEYS; next try in 1 s\n"));
  CHECK(has(said,
            "no medium with the label INGOT-KEYS came; put the medium in and start the node again, or use the "
            "volume's recovery key offline"));
  CHECK(lab.text("slept") == backed_off);
  // It is put in late.
  const Medium medium(lab, files, "late");
  lab.tpm().write("on-sleep", as_bytes("if [ $1 = 4 ]; then cd /dev/disk/by-label; /usr/bin/mv late INGOT-KEYS; fi\n"));
  CHECK(lab.opens("shared"));
  CHECK(lab.text("slept") == "1\n2\n4\n");
  fs::remove(lab.file("on-sleep"));
  fs::remove(medium.path());
  lab.cast({{"shared", tpm_and_file}}, {});
  CHECK(has(lab.no_creation(), "no medium with the label INGOT-KEYS came"));
  CHECK(lab.text("slept") == backed_off);
}

TEST_CASE("key file: a header of another volume, and one that was changed, is refused") {
  if (no_systemd()) return;
  KeyLab lab;
  const auto good = key_bytes(64, 'a');
  // One file for two volumes: it is the name that tells them apart.
  const Medium medium(lab, {{"filed.key", good}, {"other.key", good}});
  lab.make({{"filed", file_alone}, {"other", file_alone}});
  const std::string part = "cryptsetup token export --token-id 0 /mnt/volumes/filed | jose fmt -j- -Og file -Oo-";
  const auto says = [&](const std::string& command) {
    const auto done = lab.run({"/bin/bash", "-c", "set -o pipefail; " + command});
    CHECK(done.exit_code != 0);
    CHECK(done.output.empty());
    return done.error_tail;
  };
  const std::string open = " | /usr/lib/ingot/key-providers/file open ";
  CHECK(lab.shell(part + open + "filed").size() == 43);
  CHECK(has(says(part + open + "other"), "its header has the medium's share of another volume"));
  const std::string renamed =
      R"(protected=$(printf '{"alg":"dir","enc":"A256GCM","kid":"other"}' | jose b64 enc -I-); )";
  const std::string rename = part + R"( | jose fmt -j- -q "$protected" -s protected -Uo-)";
  CHECK(has(says(renamed + rename + open + "other"), "its key is not in other.key of this medium"));
  CHECK(has(says(part + R"( | jose fmt -j- -q AAAAAAAAAAAAAAAAAAAAAA -s tag -Uo-)" + open + "filed"),
            "its key is not in filed.key of this medium"));
  for (const std::string broken : {R"('"x"')", "'{}'", R"('{"protected":"e30"}')", R"('{"protected":"!"}')", "''"})
    CHECK(has(says("printf %s " + broken + open + "filed"), "its header is not this provider's"));
  lab.render({{"filed", tpm_and_file}}, {}, {});
  CHECK(has(lab.refusal("filed"), "its header has no part of tpm"));
  lab.render({{"filed", both}}, lab.thumbprint, "http://10.10.0.5");
  CHECK(has(lab.refusal("filed"), "its header has no part of tpm"));
  CHECK(lab.text("slept").empty());
}

TEST_CASE("key file: with the TPM, neither share opens anything alone") {
  if (no_systemd()) return;
  KeyLab lab;
  const Medium medium(lab, {{"shared.key", key_bytes(64, 'a')}});
  lab.make({{"shared", tpm_and_file}});
  const std::string part = "cryptsetup token export --token-id 0 /mnt/volumes/shared | jose fmt -j- -Og ";
  const std::string open = " -Oo- | /usr/lib/ingot/key-providers/";
  const auto tpm = part + "tpm" + open + "tpm open shared", file = part + "file" + open + "file open shared";
  CHECK(lab.shell(tpm).size() == 43);
  CHECK(lab.shell(file).size() == 43);
  CHECK_FALSE(lab.opens_with(tpm, "shared"));
  CHECK_FALSE(lab.opens_with(file, "shared"));
  CHECK(lab.opens_with("{ " + tpm + "; " + file + "; }", "shared"));
  // The running system has the file, too, and the TPM refuses it.
  lab.tpm().extend(15);
  CHECK(has(lab.refusal("shared"), "ingot: volume shared: no key from tpm"));
}

TEST_CASE("key file: neither the share nor what it is encrypted with is ever an argument of a program") {
  if (no_systemd()) return;
  KeyLab lab;
  lab.tpm().write("arguments", {});
  const auto bytes = key_bytes(64, 'a');
  const Medium medium(lab, {{"filed.key", bytes}});
  lab.make({{"filed", file_alone}});
  const auto done = lab.run({"/usr/lib/ingot/volume-key", "give", "filed"});
  REQUIRE(done.exit_code == 0);
  const auto share = std::string(as_text(done.output));
  REQUIRE(share.size() == 43);
  const auto called = lab.text("arguments");
  for (const auto* call : {"jose jwe enc ", "jose jwe dec ", "basenc --base16", "mount --types=ext4 ", "sha256sum",
                           "jose b64 enc -I-", "cryptsetup luksFormat "})
    CHECK(has(called, call));
  CHECK(has(called, "--options=ro,nosuid,nodev,noexec,noload "));
  const auto digest = crypto::sha256(as_bytes(bytes));
  auto lower = called;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
  auto encoded = to_base64(digest);
  for (auto& c : encoded) c = c == '+' ? '-' : c == '/' ? '_' : c;
  encoded.resize(43);  // without padding
  CHECK_FALSE(has(called, share));
  CHECK_FALSE(has(lower, to_hex(digest)));
  CHECK_FALSE(has(called, encoded));
}
