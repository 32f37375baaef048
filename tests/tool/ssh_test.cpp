// sshd of Debian 13 with the rendered configuration, on a loopback link of a network namespace: who gets in, and by
// what.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "ingot/base/output.hpp"
#include "ingot/builder/config.hpp"
#include "ingot/builder/profile.hpp"
#include "oracle_tree.hpp"

using namespace ingot;
using namespace ingot::builder;
using ingot::test::oracle_tree, ingot::test::oracles, ingot::test::write_part;
namespace fs = std::filesystem;

namespace {

class World {
 public:
  explicit World(const std::string& more = {}) : folder_(scratch_folder()) {
    for (const auto* key : {"ca", "other-ca", "id", "plain"})
      test::output_of({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path(key)});
    std::ofstream(path("p.toml"))
        << "name = \"node\"\nversion = 1\nrole = \"worker\"\n[base]\npackages = [\"systemd\", \"openssh-server\"]\n"
           "[ssh]\nenabled = true\nca = [\"ca.pub\"]\nfrom = [\"10.0.0.0/24\"]\n"
        << more
        << "[users.alice]\nuid = 2001\nprincipals = [\"alice\"]\n"
           "sudo = [\"/usr/bin/id\"]\n";
    const auto profile = load_profile(path("p.toml"));
    if (!profile) FAIL(describe(profile.error()));
    const auto part = render_settings(*profile, oracle_tree());
    if (!part) FAIL(describe(part.error()));
    settings = part->settings;
    write_part(path("files"), *part);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  /// A certificate for `id`, by ssh-keygen's options.
  void sign(const std::string& ca, const std::vector<std::string>& options) const {
    std::vector<std::string> argv = {"ssh-keygen", "-q", "-s", path(ca), "-I", "test"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(path("id.pub"));
    test::output_of(argv);
  }
  /// Runs a shell text in the namespace; $S is an ssh client without configuration, with the key `id`.
  [[nodiscard]] Completed run(const std::string& text) const {
    const std::string prepare = "mkdir $WORLD_ROOT/run/keys; cp " + path("id") +
                                "* $WORLD_ROOT/run/keys/; chown -R 0:0 $WORLD_ROOT/run/keys; "
                                "S='chroot '$WORLD_ROOT' ssh -F none -i /run/keys/id -o StrictHostKeyChecking=no -o "
                                "UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes'; ";
    return test::run_tool(
        {std::string(INGOT_SOURCE) + "/tests/tool/ssh-world", oracles, path("files"), "bash", "-c", prepare + text});
  }

  std::vector<Setting> settings;

 private:
  /// On a disk: an overlay cannot have a tmpfs of the build machine as its upper folder everywhere.
  static TemporaryFolder scratch_folder() { return test::scratch(INGOT_BUILD); }
  TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("ssh: sshd -T says what the baseline says") {
  const World world;
  const auto done = world.run("chroot $WORLD_ROOT sshd -T && chroot $WORLD_ROOT visudo -cq");
  REQUIRE(done.exit_code == 0);
  std::map<std::string, std::string> reported;
  std::istringstream lines{std::string(as_text(done.output))};
  for (std::string line; std::getline(lines, line);) {
    const auto name = line.substr(0, line.find(' '));
    auto& value = reported[name];
    value += (value.empty() ? "" : " ") + line.substr(std::min(line.size(), name.size() + 1));
  }
  std::size_t compared = 0;
  for (const auto& setting : world.settings) {
    if (setting.area != SettingArea::sshd) continue;
    INFO(setting.name);
    CHECK(reported[setting.name] == setting.value);
    ++compared;
  }
  CHECK(compared > 50);
}

TEST_CASE("ssh: a certificate of the CA, from the bastion, and nothing else") {
  struct Row {
    std::string name, ca;
    std::vector<std::string> certificate;  ///< empty: none
    std::string command;                   ///< status 0 when the way in is open
    bool open;
  };
  const std::vector<std::string> good = {"-n", "alice", "-V", "+1h"};
  const std::string login = "$S -b 10.0.0.5 alice@10.0.1.1 id -un";
  const auto row = GENERATE_COPY(values<Row>({
      {"a certificate of the CA", "ca", good, login, true},
      {"a recorded sudo command", "ca", good, "$S -b 10.0.0.5 alice@10.0.1.1 sudo -n /usr/bin/id -u", true},
      {"a sudo command that is not named", "ca", good, "$S -b 10.0.0.5 alice@10.0.1.1 sudo -n /usr/bin/cat /etc/shadow",
       false},
      {"an unsigned key", "", {}, login, false},
      {"a certificate of another CA", "other-ca", good, login, false},
      {"an expired certificate", "ca", {"-n", "alice", "-V", "-2h:-1h"}, login, false},
      {"another principal", "ca", {"-n", "bob", "-V", "+1h"}, login, false},
      {"no principal", "ca", {"-V", "+1h"}, login, false},
      {"a source address of the certificate's", "ca", {"-n", "alice", "-O", "source-address=10.9.9.9"}, login, false},
      {"from elsewhere than the bastion", "ca", good, "$S -b 10.9.9.9 alice@10.0.1.1 id", false},
      {"root", "ca", {"-n", "root", "-V", "+1h"}, "$S -b 10.0.0.5 root@10.0.1.1 id", false},
      {"a password",
       "",
       {},
       "$S -b 10.0.0.5 -o PreferredAuthentications=password,keyboard-interactive alice@10.0.1.1 id",
       false},
      {"-L", "ca", good,
       "timeout 5 $S -b 10.0.0.5 -f -N -L 7000:127.0.0.1:22 alice@10.0.1.1; sleep 1; exec 3<>/dev/tcp/127.0.0.1/7000; "
       "read -t 2 -u 3 line",
       false},
      {"-R", "ca", good, "$S -b 10.0.0.5 -o ExitOnForwardFailure=yes -R 7000:127.0.0.1:22 alice@10.0.1.1 true", false},
      {"-W", "ca", good, "timeout 5 $S -b 10.0.0.5 -W 127.0.0.1:22 alice@10.0.1.1 </dev/null", false},
      {"-w", "ca", good, "timeout 5 $S -b 10.0.0.5 -o ExitOnForwardFailure=yes -w any alice@10.0.1.1 true", false},
      {"-A", "ca", good,
       "eval $(ssh-agent -a /run/agent-$$) >/dev/null; $S -A -b 10.0.0.5 alice@10.0.1.1 printenv SSH_AUTH_SOCK", false},
      {"sftp", "ca", good, "timeout 5 $S -b 10.0.0.5 -s alice@10.0.1.1 sftp </dev/null", false},
  }));
  INFO(row.name);
  const World world;
  if (!row.ca.empty()) world.sign(row.ca, row.certificate);
  const auto done = world.run(row.command);
  INFO(as_text(done.output));
  INFO(done.error_tail);
  CHECK((done.exit_code == 0) == row.open);
}

TEST_CASE("ssh: a revoked certificate is refused") {
  const World before;
  before.sign("ca", {"-n", "alice", "-z", "7", "-V", "+1h"});
  CHECK(before.run("$S -b 10.0.0.5 alice@10.0.1.1 true").exit_code == 0);
  test::output_of({"ssh-keygen", "-q", "-k", "-f", before.path("files") + "/etc/ssh/revoked", "-s",
                   before.path("ca.pub"), before.path("id-cert.pub")});
  CHECK(before.run("$S -b 10.0.0.5 alice@10.0.1.1 true").exit_code != 0);
}
