// Mistakes that people make, by `ingot build` over copies of the shipped profiles: exit status 2, one error with its
// place and the way out, nothing written. They are found before anything is fetched, so this needs no network.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <set>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string program = std::string(INGOT_BUILD) + "/ingot";
constexpr std::uint64_t cap = 1u << 20;

/// A change of one file. Nothing to replace: `by` comes at the end. The whole: `by` names a file that takes its place.
struct Edit {
  std::string file, what, by;
};
const std::string the_whole = "*";

struct Row {
  const char* name;
  std::string profile;  ///< that is built
  std::vector<Edit> edits;
  std::string file, at;  ///< what the error names, and what stands at its place there
  std::string message, remedy;
};

const std::string ssh = "\n[ssh]\nenabled = true\nca = [\"ssh-ca.pub\"]\n";
const std::string alice = "[users.alice]\nuid = 2001\nprincipals = [\"alice\"]\n";
const std::string locked_out = "everybody is locked out";

/// Something added to or replaced in the site.
Row site(const char* name, const std::string& what, const std::string& by, const std::string& at,
         const std::string& message, const std::string& remedy) {
  return {name, "training", {{"site.toml", what, by}}, "site.toml", at, message, remedy};
}
/// Something added to a node's profile.
Row node(const char* name, const std::string& text, const std::string& at, const std::string& message,
         const std::string& remedy) {
  return {name, "training", {{"training.toml", "", text}}, "training.toml", at, message, remedy};
}
Row relaxed(const char* name, const std::string& keyword, const std::string& value) {
  const auto row = "[hardening.relax]\n\"sshd." + keyword + "\" = { value = \"" + value + "\", why = \"x\" }\n";
  return node(name, ssh + alice + row, "\"" + value + "\"", locked_out, "take the relaxation away");
}
std::string flow(const std::string& plane, const std::string& port) {
  return "[[flows]]\nname = \"more\"\nfrom = [\"training\"]\nto = [\"storage\"]\nwhy = \"x\"\nplane = \"" + plane +
         "\"\nports = [\"" + port + "\"]\n";
}

std::vector<Row> rows() {
  const Edit no_ssh_to_storage{
      "site.toml", "[\"training\", \"inference\", \"storage\"]\nplane = \"management\"\nports = [\"tcp/22\"]",
      "[\"training\", \"inference\"]\nplane = \"management\"\nports = [\"tcp/22\"]"};
  const Edit storage_without_ssh{"site.toml", "[roles.storage.planes]",
                                 "[roles.storage]\nssh = false\n[roles.storage.planes]"};
  return {
      site("overlapping subnets", "\"10.30.0.0/24\"", "\"10.20.2.0/24\"", "\"10.20.2.0/24\"", "overlaps 10.20.0.0/22",
           "one plane"),
      site("a flow over an unknown plane", "", flow("storrage", "tcp/5"), "plane = \"storrage\"", "is no plane",
           "\"storage\""),
      site("a flow from nobody", "from = [\"operators\"]", "from = [\"operator\"]", "\"operator\"",
           "neither a role nor a zone", "\"operators\""),
      site("a policy that contradicts a flow", "", flow("storage", "tcp/22"), "[[flows]]\nname = \"more\"",
           "the policy ssh-from-the-bastion-only", "take one of them back"),
      {"an SSH CA key that is private",
       "management",
       {{"management.toml", "", "\n[ssh]\nenabled = true\nca = [\"ssh-ca\"]\n" + alice}},
       "management.toml",
       "\"ssh-ca\"",
       "is a private key",
       ".pub"},
      node("a TLS CA that is private", "\n[shipping]\nca = \"tls-ca.key\"\n", "\"tls-ca.key\"", "is a private key",
           "certificate"),
      {"a TLS authority in the key folder that may not sign",
       "storage",
       {{"keys/tls-ca.crt", the_whole, "keys/db.crt"}, {"keys/tls-ca.key", the_whole, "keys/db.key"}},
       "keys/tls-ca.crt",
       "-----BEGIN",
       "may not sign others",
       "certificate of the authority"},
      {"a collector without certificate",
       "storage",
       {{"keys/tls-ca.crt", the_whole, ""}, {"keys/tls-ca.key", the_whole, ""}},
       "base.toml",
       "[shipping]",
       "has no certificate",
       "tls-ca"},
      node("a user without principals", ssh + "[users.alice]\nuid = 2001\n", "alice]", "neither principals nor keys",
           "add principals"),
      node("a relaxed row without a reason", "\n[hardening.relax]\n\"sysctl.kernel.sysrq\" = { value = \"1\" }\n",
           "{ value = \"1\" }", "without a reason", "add why"),
      // Everybody locked out.
      node("no user", ssh, "true\nca", locked_out, "[users.NAME]"),
      node("certificates that nobody signs", "\n[ssh]\nenabled = true\n" + alice, "alice]", "names no CA", "add ca"),
      {"nobody may connect",
       "standalone",
       {{"standalone.toml", "", ssh + alice}},
       "standalone.toml",
       "true\nca",
       locked_out,
       "add from"},
      node("connections from another network than the site's", ssh + "from = [\"10.99.0.0/24\"]\n" + alice,
           "from = [\"10.99", locked_out, "the site's flows"),
      {"no daemon in the base",
       "training",
       {{"training.toml", "packages = [", "packages = [\"!openssh-server\", "}, {"training.toml", "", ssh + alice}},
       "training.toml",
       "true\nca",
       "needs the package openssh-server",
       "[base]"},
      relaxed("no keys", "pubkeyauthentication", "no"),
      relaxed("passwords, which nobody has", "authenticationmethods", "publickey,password password"),
      relaxed("locked accounts without PAM", "usepam", "no"),
      relaxed("no attempt", "maxauthtries", "0"),
      relaxed("no session", "maxsessions", "0"),
      {"SSH where the site has none",
       "storage",
       {no_ssh_to_storage, storage_without_ssh, {"storage.toml", "", ssh + alice}},
       "storage.toml",
       "true\nca",
       locked_out,
       "ssh = false"},
      {"a flow to a role without SSH",
       "storage",
       {storage_without_ssh},
       "site.toml",
       "[[flows]]\nname = \"ssh\"",
       "opens SSH to storage",
       "ssh = false"},
      {"no flow from the bastion",
       "storage",
       {no_ssh_to_storage},
       "site.toml",
       "storage.planes]",
       "nobody could log in",
       "add a flow from the bastion"},
  };
}

std::string text_of(const std::string& path) {
  const auto content = read_file(path, cap).value();
  return std::string(as_text(content));
}

/// "FILE:LINE:COLUMN: " of the last place that has a text: what was added stands at the end.
std::string place(const std::string& path, const std::string& text) {
  const auto whole = text_of(path);
  const auto at = whole.rfind(text);
  if (at == std::string::npos) FAIL("not in " << path << ": " << text);
  const auto before = whole.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  return path + ":" + std::to_string(line) + ":" + std::to_string(at - (before.rfind('\n') + 1) + 1) + ": ";
}

/// Made once: that takes a second.
struct Keys {
  builder::TemporaryFolder folder = scratch();
  Keys() {
    output_of({program, "keys", "init", folder.path() + "/keys"});
    fs::copy_file(folder.path() + "/keys/tls-ca.key", folder.path() + "/tls-ca.key");
    output_of({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder.path() + "/ssh-ca"});
  }
};

class Folder {
 public:
  Folder() : folder_(scratch()) {
    for (const auto& entry : fs::directory_iterator(std::string(INGOT_SOURCE) + "/profiles"))
      if (entry.path().extension() == ".toml") fs::copy_file(entry.path(), path(entry.path().filename().string()));
    static const Keys keys;
    fs::copy(keys.folder.path(), folder_.path(), fs::copy_options::recursive);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  void apply(const Edit& edit) const {
    if (edit.what == the_whole) {
      fs::remove(path(edit.file));
      if (!edit.by.empty()) fs::copy_file(path(edit.by), path(edit.file));
      return;
    }
    auto text = text_of(path(edit.file));
    const auto at = edit.what.empty() ? text.size() : text.find(edit.what);
    if (at == std::string::npos) FAIL("not in " << edit.file << ": " << edit.what);
    REQUIRE(write_file(path(edit.file), as_bytes(text.replace(at, edit.what.size(), edit.by))));
  }
  /// Every file and folder below, with the time of its last change.
  [[nodiscard]] std::set<std::string> listing() const {
    std::set<std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
      out.insert(entry.path().string() + " " + std::to_string(entry.last_write_time().time_since_epoch().count()));
    return out;
  }

 private:
  builder::TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("what people get wrong is refused with its place and the way out, before anything is built") {
  const auto row = GENERATE(from_range(rows()));
  INFO(row.name);
  const Folder folder;
  for (const auto& edit : row.edits) folder.apply(edit);
  fs::create_directory(folder.path("out"));
  const auto before = folder.listing();
  const auto done =
      run_tool({program, "build", folder.path(row.profile + ".toml"), "--keys", folder.path("keys"), "--out",
                folder.path("out/image"), "--cache", folder.path("cache"), "--agent", "/bin/true"});
  INFO(done.error_tail);
  CHECK(done.exit_code == 2);
  CHECK(done.output.empty());
  const auto& told = done.error_tail;
  CHECK(told.starts_with("ingot: " + place(folder.path(row.file), row.at)));
  CHECK(told.find('\n') == std::string::npos);
  const auto remedy = told.find("; ");
  REQUIRE(remedy != std::string::npos);
  CHECK(told.substr(0, remedy).find(row.message) != std::string::npos);
  CHECK(told.substr(remedy).find(row.remedy) != std::string::npos);
  CHECK(folder.listing() == before);
}

TEST_CASE("the profiles that the mistakes are made in are right") {
  const Folder folder;
  for (const auto* name : {"training", "inference", "storage", "management", "standalone"})
    output_of({program, "build", folder.path(std::string(name) + ".toml"), "--plan"});
}
