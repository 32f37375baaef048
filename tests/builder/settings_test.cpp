#include "ingot/builder/settings.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <set>

#include "ingot/base/output.hpp"
#include "ingot/builder/config.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

// Made with ssh-keygen for this test; the private halves were deleted.
const std::string ca_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJWlMj/tyRhoPUTy+KpSF0XNGt9l+GW8x9+ePlqNeLUc";
const std::string head =
    "name = \"node\"\nversion = 1\nrole = \"worker\"\n[base]\npackages = [\"systemd\", \"openssh-server\"]\n";  // 5
                                                                                                                // lines

class Folder {
 public:
  Folder() : folder_(TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value()) {
    put("ca.pub", ca_key + " the CA\n");
    put("ca", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n");
    put("text", "hello\n");
    put("empty", "");
    put("cut.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n");
    put("ecdsa.pub", "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=\n");
  }
  void put(const std::string& name, const std::string& text) const {
    REQUIRE(write_file(folder_.path() + "/" + name, as_bytes(text)));
  }
  Result<Profile> load(const std::string& text) const {
    put("p.toml", head + text);
    return load_profile(folder_.path() + "/p.toml");
  }

 private:
  TemporaryFolder folder_;
};

Profile must(Result<Profile> profile) {
  if (!profile) FAIL(describe(profile.error()));
  return *std::move(profile);
}

const std::string ssh = "[ssh]\nenabled = true\nca = [\"ca.pub\"]\nfrom = [\"10.0.0.0/24\"]\n";
const std::string alice = "[users.alice]\nuid = 2001\nprincipals = [\"alice\"]\n";

Tree base_tree() {
  Tree tree;
  const auto put = [&](const char* path, const char* text, unsigned mode = 0644) {
    REQUIRE(tree.put_file(path, to_buffer(as_bytes(text)), mode));
  };
  put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nsync:x:4:65534:sync:/bin:/bin/sync\n");
  put("/etc/group", "root:x:0:\nadm:x:4:\n");
  put("/etc/shadow", "root:!*:1::::::\nsync::1::::::\n");
  put("/etc/gshadow", "root:*::\nadm:*::\n");
  put("/bin/bash", "", 0755);
  put("/usr/sbin/sshd", "", 0755);
  put("/usr/sbin/auditctl", "", 0755);
  put("/usr/bin/sudo", "", 04755);
  put("/usr/bin/passwd", "", 04755);
  put("/usr/bin/chage", "", 02755);
  put("/usr/bin/ping", "", 0755);
  tree.entries.at("/usr/bin/ping").xattrs["security.capability"] = Buffer{1};
  put("/etc/ssh/sshd_config.d/20-systemd-userdb.conf", "AuthorizedKeysCommand /usr/bin/userdbctl\n");
  put("/etc/audit/rules.d/audit.rules", "-D\n");
  return tree;
}

std::string text_of(const Tree& tree, const std::string& path) {
  return std::string(as_text(read_tree_file(tree, path).value()));
}

Tree applied(const Profile& profile) {
  auto tree = base_tree();
  auto part = render_settings(profile, tree);
  if (!part) FAIL(describe(part.error()));
  REQUIRE(apply_part(tree, *part));
  return tree;
}

const Setting* find(const std::vector<Setting>& settings, SettingArea area, const std::string& name) {
  for (const auto& setting : settings)
    if (setting.area == area && setting.name == name) return &setting;
  return nullptr;
}

}  // namespace

TEST_CASE("settings: every row is whole, and of one name there is one row for a node") {
  std::set<std::string> seen;
  for (const auto& row : setting_rows()) {
    INFO(row_name(row));
    CHECK_FALSE(row.source.empty());
    CHECK(row.value.find('\n') == std::string_view::npos);
    CHECK((row.area == SettingArea::kernel_parameter || row.file.starts_with('/')));
    const bool is_list = row.area == SettingArea::audit_rule;  // rules of one name are one subject
    for (const auto* variant : {"plain", "gpu"}) {
      const bool gpu = std::string(variant) == "gpu";
      if (is_list || (row.variant == Variant::with_gpu) != gpu) continue;
      CHECK(seen.insert(row_name(row) + variant).second);
    }
  }
}

TEST_CASE("settings: GPU nodes keep SMT, user namespaces, modules and fast DMA") {
  Hardening gpu;
  gpu.gpu = true;
  const auto has = [](const Hardening& hardening, SettingArea area, const char* name) {
    return find(chosen_settings(hardening, area), area, name) != nullptr;
  };
  for (const auto* name : {"nosmt", "init_on_free", "iommu.strict"}) {
    INFO(name);
    CHECK(has({}, SettingArea::kernel_parameter, name));
    CHECK_FALSE(has(gpu, SettingArea::kernel_parameter, name));
  }
  for (const auto* name : {"user.max_user_namespaces", "kernel.modules_disabled"}) {
    CHECK(has({}, SettingArea::sysctl, name));
    CHECK_FALSE(has(gpu, SettingArea::sysctl, name));
  }
  CHECK(find(chosen_settings(gpu, SettingArea::kernel_parameter), SettingArea::kernel_parameter, "lockdown")->value ==
        "integrity");
}

TEST_CASE("settings: sockets that a profile allows, in the words of a report") {
  for (const auto* name : {"tcp 127.0.0.1:9400", "tcp *:80", "udp *:5000-5010", "tcp [::1]:80", "udp [fd00::1]:53"}) {
    INFO(name);
    const auto profile = must(Folder().load(
        fmt::format("[hardening.relax]\n\"socket.{}\" = {{ value = \"allowed\", why = \"metrics\" }}\n", name)));
    const auto found = profile.hardening.relaxed.find(fmt::format("socket.{}", name));
    REQUIRE(found != profile.hardening.relaxed.end());
    CHECK(found->second.value == "allowed");
    CHECK(found->second.why == "metrics");
  }
}

TEST_CASE("settings: accounts that keep a shell or a group have rows") {
  auto tree = base_tree();
  const Folder folder;
  const auto profile = must(folder.load(ssh + alice + "groups = [\"adm\"]\n"));
  const auto part = render_settings(profile, tree).value();
  REQUIRE(find(part.settings, SettingArea::account, "root") != nullptr);
  CHECK(find(part.settings, SettingArea::account, "root")->value == "uid 0, shell /bin/bash, password locked");
  REQUIRE(find(part.settings, SettingArea::account, "group adm") != nullptr);
  CHECK(find(part.settings, SettingArea::account, "group adm")->value == "alice");
  CHECK(find(part.settings, SettingArea::account, "group root") == nullptr);
  CHECK(find(part.settings, SettingArea::account, "sync") == nullptr);
}

TEST_CASE("settings: a relaxed row says why in the baseline, a dropped one is gone") {
  const Folder folder;
  const auto profile = must(
      folder.load("[hardening.relax]\n\"sysctl.kernel.yama.ptrace_scope\" = { value = \"1\", why = \"cuda-gdb\" }\n"
                  "\"kernel-parameter.lockdown\" = { value = \"integrity\", why = \"BPF sensor\" }\n"
                  "\"module.udf\" = { drop = true, why = \"DVDs\" }\n\"kernel-parameter.nosmt\" = { drop = true, why = "
                  "\"rented\" }\n"));
  const auto tree = base_tree();
  const auto part = render_settings(profile, tree).value();
  const auto* row = find(part.settings, SettingArea::sysctl, "kernel.yama.ptrace_scope");
  REQUIRE(row != nullptr);
  CHECK(row->value == "1");
  CHECK(row->relaxed == "cuda-gdb");
  CHECK(find(part.settings, SettingArea::sysctl, "kernel.kptr_restrict")->relaxed.empty());
  CHECK(find(part.settings, SettingArea::module, "udf") == nullptr);
  const auto& line = profile.kernel.command_line;
  CHECK(std::count(line.begin(), line.end(), "lockdown=integrity") == 1);
  CHECK(std::count(line.begin(), line.end(), "nosmt") == 0);
  const auto node = applied(profile);
  CHECK(text_of(node, "/etc/sysctl.d/zz-ingot.conf").find("kernel.yama.ptrace_scope = 1\n") != std::string::npos);
  CHECK(text_of(node, "/etc/modprobe.d/ingot.conf").find("udf") == std::string::npos);
  CHECK(text_of(node, "/etc/modprobe.d/ingot.conf").find("install cramfs /bin/false\n") != std::string::npos);
}

TEST_CASE("settings: one sshd_config, users from the bastion alone") {
  const Folder folder;
  const auto profile = must(folder.load(ssh + alice));
  const auto node = applied(profile);
  const auto config = text_of(node, "/etc/ssh/sshd_config");
  CHECK(config.find("\nallowusers alice@10.0.0.0/24\n") != std::string::npos);
  CHECK(config.find("\nauthorizedkeysfile none\n") != std::string::npos);
  CHECK(config.find("\ndisableforwarding yes\n") != std::string::npos);
  CHECK(config.find("Include") == std::string::npos);
  CHECK(node.find("/etc/ssh/sshd_config.d/20-systemd-userdb.conf") == nullptr);
  CHECK(text_of(node, "/etc/ssh/ca.pub") == ca_key + "\n");
  CHECK(text_of(node, "/etc/ssh/principals/alice") == "alice\n");
  CHECK(node.resolve("/etc/systemd/system/multi-user.target.wants/ssh.service") == nullptr);  // not in this small base
  CHECK(node.find("/etc/systemd/system/multi-user.target.wants/ssh.service") != nullptr);
  CHECK(node.find("/etc/systemd/system/ssh.socket")->link_target == "/dev/null");
}

TEST_CASE("settings: without [ssh] there is no daemon to start") {
  const Folder folder;
  const auto node = applied(must(folder.load("")));
  CHECK(node.find("/usr/sbin/sshd") == nullptr);
  CHECK(node.find("/etc/ssh/sshd_config.d/20-systemd-userdb.conf") == nullptr);
  CHECK(node.find("/etc/systemd/system/ssh.service")->link_target == "/dev/null");
}

TEST_CASE("settings: accounts of the profile, and nobody else who could log in") {
  const Folder folder;
  const auto node =
      applied(must(folder.load(ssh + alice + "groups = [\"adm\"]\nsudo = [\"/usr/bin/systemctl restart x\"]\n")));
  CHECK(text_of(node, "/etc/passwd") ==
        "root:x:0:0:root:/root:/bin/bash\nsync:x:4:65534:sync:/bin:/usr/sbin/nologin\n"
        "alice:x:2001:2001::/var/home/alice:/bin/bash\n");
  CHECK(text_of(node, "/etc/shadow") == "root:!*:1::::::\nsync:!*:1::::::\nalice:!*:19723::::::\n");
  CHECK(text_of(node, "/etc/group").find("adm:x:4:alice\n") != std::string::npos);
  CHECK(text_of(node, "/etc/sudoers").find("alice ALL=(root) NOPASSWD: /usr/bin/systemctl restart x\n") !=
        std::string::npos);
  CHECK(node.find("/etc/sudoers")->mode == 0440);
}

TEST_CASE("settings: set-id files need a reason, and what keeps rights is audited") {
  const Folder folder;
  const auto without_sudo = applied(must(folder.load("")));
  const auto with_sudo = applied(must(folder.load(alice + "sudo = [\"/usr/bin/id\"]\n")));
  for (const auto* path : {"/usr/bin/passwd", "/usr/bin/chage"}) CHECK((with_sudo.find(path)->mode & 06000) == 0);
  CHECK(without_sudo.find("/usr/bin/sudo")->mode == 0755);
  CHECK(with_sudo.find("/usr/bin/sudo")->mode == 04755);
  const auto rules = text_of(with_sudo, "/etc/audit/audit.rules");
  CHECK(rules.find("path=/usr/bin/sudo ") != std::string::npos);
  CHECK(rules.find("path=/usr/bin/ping ") != std::string::npos);
  CHECK(rules.find("path=/usr/bin/passwd ") == std::string::npos);
  CHECK(rules.find("-w /etc/apparmor -p wa") != std::string::npos);  // what is not there yet can be watched for,
  CHECK(rules.find("/etc/security/opasswd") == std::string::npos);   // but not below a folder that is not there
  CHECK(rules.find("\n-c\n") != std::string::npos);
  CHECK(rules.ends_with("\n-e 2\n"));
  // What judges look at is what is loaded: the two files differ in their first line alone.
  const auto source = text_of(with_sudo, "/etc/audit/rules.d/ingot.rules");
  CHECK(source.substr(source.find('\n')) == rules.substr(rules.find('\n')));
  CHECK(with_sudo.find("/etc/audit/rules.d/audit.rules") == nullptr);
}

TEST_CASE("settings: sudo's records go where the node's go, and a node can still be certified") {
  const Folder folder;
  auto profile = must(folder.load(alice + "sudo = [\"/usr/bin/id\"]\n"));
  const auto sudoers = [&] { return text_of(applied(profile), "/etc/sudoers"); };
  CHECK(sudoers().find("log_server") == std::string::npos);
  profile.shipping.enabled = true;
  profile.shipping.collector = "fd00:10::8";
  CHECK(sudoers().find("Defaults log_servers=\"[fd00:10::8]:30344(tls)\", log_server_verify") != std::string::npos);
  CHECK(sudoers().find("Defaults!/usr/lib/ingot/identity !log_servers\n") != std::string::npos);
  profile.users.clear();
  CHECK(sudoers().find("log_server") == std::string::npos);
}

TEST_CASE("settings: an AppArmor profile that does not enforce is none") {
  struct Row {
    const char* name;
    const char* text;
    bool stays;
  };
  const auto row = GENERATE(values<Row>({
      {"one that enforces", "profile a /usr/bin/a {\n}\n", true},
      {"one with other flags", "profile a /usr/bin/a flags=(attach_disconnected) {\n}\n", true},
      {"one that complains", "profile a /usr/bin/a flags=(complain,attach_disconnected) {\n}\n", false},
      {"one that unconfines", "profile a /usr/bin/a flags = (unconfined) {\n  userns,\n}\n", false},
      {"one whose second profile complains", "profile a {\n}\nprofile b flags=(complain) {\n}\n", false},
  }));
  INFO(row.name);
  auto tree = base_tree();
  REQUIRE(tree.put_file("/usr/lib/systemd/system/apparmor.service", to_buffer(as_bytes("[Unit]\n"))));
  REQUIRE(tree.put_file("/etc/apparmor.d/a", to_buffer(as_bytes(row.text))));
  REQUIRE(tree.put_file("/etc/apparmor.d/abstractions/base", to_buffer(as_bytes("flags=(complain)\n"))));
  const auto part = render_settings(must(Folder().load("")), tree).value();
  REQUIRE(apply_part(tree, part));
  CHECK((tree.find("/etc/apparmor.d/a") != nullptr) == row.stays);
  CHECK(tree.find("/etc/apparmor.d/abstractions/base") != nullptr);
  CHECK(find(part.settings, SettingArea::unit, "apparmor.service") != nullptr);
}

TEST_CASE("settings: what anybody may write to is in memory and holds no programs") {
  const auto part = render_settings(must(Folder().load("")), base_tree()).value();
  for (const auto* line : {"tmpfs /dev/shm tmpfs nosuid,nodev,noexec 0 0",
                           "tmpfs /var tmpfs mode=0755,size=25%,nr_inodes=1m,nosuid,nodev,noexec 0 0",
                           "tmpfs /var/tmp tmpfs mode=1777,size=10%,nr_inodes=100k,nosuid,nodev,noexec 0 0"}) {
    INFO(line);
    CHECK(std::find(part.fstab.begin(), part.fstab.end(), line) != part.fstab.end());
  }
  for (const auto* point : {"/var", "/var/tmp"})
    CHECK(find(part.settings, SettingArea::mount, point)->value == "nosuid,nodev,noexec");
}

TEST_CASE("settings: who has no password is counted all the same, in the order that faillock(8) asks for") {
  auto tree = base_tree();
  REQUIRE(tree.put_file("/usr/lib/x86_64-linux-gnu/security/pam_faillock.so", {}));
  REQUIRE(apply_part(tree, render_settings(must(Folder().load("")), tree).value()));
  const auto stack = text_of(tree, "/etc/pam.d/common-auth");
  CHECK(stack.substr(stack.find('\n') + 1) ==
        "auth required pam_faillock.so preauth\nauth [success=1 default=ignore] pam_unix.so\n"
        "auth [default=die] pam_faillock.so authfail\nauth sufficient pam_faillock.so authsucc\n"
        "auth requisite pam_deny.so\n");
}

TEST_CASE("settings: time comes from the site's time role, which answers who may ask") {
  const auto role = [](const std::string& name) {
    return must(load_profile(INGOT_SOURCE "/profiles/" + name + ".toml"));
  };
  CHECK(role("training").time.servers == std::vector<std::string>{"10.10.0.8"});
  CHECK(role("training").time.serves.empty());
  const auto source = role("management").time;
  CHECK(source.servers.empty());
  const auto& serves = source.serves;
  CHECK(std::find(serves.begin(), serves.end(), "10.10.1.0/24") != serves.end());
  CHECK(std::find(serves.begin(), serves.end(), "10.60.0.128/25") == serves.end());
  CHECK(role("standalone").time.servers.empty());
  auto tree = base_tree();
  REQUIRE(tree.put_file("/usr/sbin/chronyd", {}, 0755));
  const auto conf = [&](const std::string& name) {
    auto node = tree;
    auto profile = role(name);
    profile.shipping.collector = "10.10.0.8";
    REQUIRE(apply_part(node, render_settings(profile, tree).value()));
    return text_of(node, "/etc/chrony/chrony.conf");
  };
  CHECK(conf("storage").find("server 10.10.0.8 iburst\nport 0\n") != std::string::npos);
  CHECK(conf("management").find("allow 10.10.1.0/24\n") != std::string::npos);
  CHECK(conf("management").find("local stratum 10\n") != std::string::npos);
}

TEST_CASE("settings: what would lock people out, or let others in, is refused where it stands") {
  struct Row {
    std::string name, text;
    unsigned line, column;
    std::string message, remedy;
  };
  const auto row = GENERATE_COPY(values<Row>({
      {"a CA key that is private", "[ssh]\nca = [\"ca\"]\n", 7, 7, "is a private key", ".pub"},
      {"a CA that is no key", "[ssh]\nca = [\"text\"]\n", 7, 7, "no OpenSSH public key", "ssh-keygen"},
      {"a CA file without a key", "[ssh]\nca = [\"empty\"]\n", 7, 7, "has no key", ""},
      {"a CA key cut off", "[ssh]\nca = [\"cut.pub\"]\n", 7, 7, "cut off", ""},
      {"a CA key that sshd refuses", "[ssh]\nca = [\"ecdsa.pub\"]\n", 7, 7, "sshd's settings refuse", "ed25519"},
      {"a CA that is not there", "[ssh]\nca = [\"none.pub\"]\n", 7, 7, "cannot be read", ""},
      {"a network with bits behind it", "[ssh]\nfrom = [\"10.0.0.1/24\"]\n", 7, 9, "no bits", "/32"},
      {"everybody", "[ssh]\nfrom = [\"0.0.0.0/0\"]\n", 7, 9, "expected a network", ""},
      {"no user", ssh, 7, 11, "everybody is locked out", "enabled = false"},
      {"nobody may connect", "[ssh]\nenabled = true\nca = [\"ca.pub\"]\n" + alice, 7, 11, "locked out", "from ="},
      {"certificates without a CA", "[ssh]\nenabled = true\nfrom = [\"10.0.0.0/24\"]\n" + alice, 9, 8, "no CA", "ca ="},
      {"a user without principals and keys", "[users.bob]\nuid = 2000\n", 6, 8, "neither principals nor keys",
       "principals"},
      {"a user without uid", "[users.bob]\nprincipals = [\"b\"]\n", 6, 8, "no uid", "1000"},
      {"a system's uid", "[users.bob]\nuid = 33\nprincipals = [\"b\"]\n", 7, 7, "expected 1000 to 59999", ""},
      {"one uid twice", alice + "[users.bob]\nuid = 2001\nprincipals = [\"b\"]\n", 9, 8, "the same uid 2001", ""},
      {"root", "[users.root]\nuid = 2000\nprincipals = [\"b\"]\n", 6, 8, "not a user's name", "root cannot"},
      {"a principal with an option", "[users.bob]\nuid = 2000\nprincipals = [\"from=\\\"*\\\" b\"]\n", 8, 15,
       "principals", ""},
      {"a private key as key", "[users.bob]\nuid = 2000\nauthorized_keys = [\"-----BEGIN OPENSSH PRIVATE KEY-----\"]\n",
       8, 20, "private key", ""},
      {"a key with options", "[users.bob]\nuid = 2000\nauthorized_keys = [\"no-pty " + ca_key + "\"]\n", 8, 20,
       "no OpenSSH public key", ""},
      {"a sudo command with a wildcard", alice + "sudo = [\"/usr/bin/cat /var/log/*\"]\n", 9, 9, "without wildcards",
       ""},
      {"sudo for everything", alice + "sudo = [\"ALL\"]\n", 9, 9, "an absolute path", ""},
      {"a near row", "[hardening.relax]\n\"sysctl.kernel.yama.ptrace_scop\" = { value = \"1\", why = \"x\" }\n", 7, 1,
       "no row of the settings table", "sysctl.kernel.yama.ptrace_scope"},
      {"relaxing without a reason", "[hardening.relax]\n\"sysctl.kernel.sysrq\" = { value = \"1\" }\n", 7, 25,
       "without a reason", "why"},
      {"relaxing for no reason", "[hardening.relax]\n\"sysctl.kernel.sysrq\" = { value = \"1\", why = \" \" }\n", 7, 46,
       "without a reason", "why"},
      {"neither value nor drop", "[hardening.relax]\n\"sysctl.kernel.sysrq\" = { why = \"x\" }\n", 7, 25,
       "either a value or drop", ""},
      {"a relaxation that changes nothing",
       "[hardening.relax]\n\"sysctl.kernel.sysrq\" = { value = \"0\", why = \"x\" }\n", 7, 35, "anyway", ""},
      {"a value for a module", "[hardening.relax]\n\"module.udf\" = { value = \"1\", why = \"x\" }\n", 7, 26,
       "no value", "drop = true"},
      {"two lines in a value", "[hardening.relax]\n\"sshd.banner\" = { value = \"a\\nb\", why = \"x\" }\n", 7, 27,
       "line of printable ASCII", ""},
      {"a relaxed socket without an address",
       "[hardening.relax]\n\"socket.tcp 22\" = { value = \"allowed\", why = \"x\" }\n", 7, 1, "names no socket",
       "127.0.0.1:9400"},
      {"a relaxed socket of another protocol",
       "[hardening.relax]\n\"socket.sctp *:22\" = { value = \"allowed\", why = \"x\" }\n", 7, 1, "names no socket",
       "127.0.0.1:9400"},
      {"a relaxed socket on port 0", "[hardening.relax]\n\"socket.udp *:0\" = { value = \"allowed\", why = \"x\" }\n",
       7, 1, "names no socket", "127.0.0.1:9400"},
      {"a relaxed socket of IPv6 without brackets",
       "[hardening.relax]\n\"socket.tcp ::1:80\" = { value = \"allowed\", why = \"x\" }\n", 7, 1, "names no socket",
       "127.0.0.1:9400"},
      {"a relaxed socket in a notation that no report has",
       "[hardening.relax]\n\"socket.tcp [0::1]:80\" = { value = \"allowed\", why = \"x\" }\n", 7, 1, "names no socket",
       "127.0.0.1:9400"},
      {"a relaxed socket without a reason", "[hardening.relax]\n\"socket.tcp *:80\" = { value = \"allowed\" }\n", 7, 21,
       "without a reason", "why"},
      {"a relaxed socket that must listen",
       "[hardening.relax]\n\"socket.tcp *:80\" = { value = \"listening\", why = \"x\" }\n", 7, 31, "needs value", ""},
      {"a row through the command line", "[kernel]\ncommand_line = [\"lockdown=none\"]\n", 7, 17, "settings table",
       "[hardening.relax]"},
      {"a row dropped through the command line", "[kernel]\ncommand_line = [\"!pti\"]\n", 7, 17, "settings table",
       "[hardening.relax]"},
      {"a file over ours", "[files.\"/etc/ssh/sshd_config.d/x.conf\"]\ncontent = \"PermitRootLogin yes\"\n", 6, 8,
       "made by Ingot", "[ssh]"},
      {"a time server with a blank", "[time]\nservers = [\"a iburst\"]\n", 7, 12, "expected an address", ""},
  }));
  INFO(row.name);
  const auto profile = Folder().load(row.text);
  REQUIRE_FALSE(profile);
  INFO(describe(profile.error()));
  CHECK(profile.error().code == ErrorCode::malformed);
  REQUIRE(profile.error().at);
  CHECK(profile.error().at->line == row.line);
  CHECK(profile.error().at->column == row.column);
  CHECK(profile.error().message.find(row.message) != std::string::npos);
  CHECK(profile.error().remedy.find(row.remedy) != std::string::npos);
}

TEST_CASE("shim: a node has none of its variables, unless its image starts with it") {
  Folder folder;
  const auto part = render_shim(folder.load("").value());
  REQUIRE(part.settings.size() == 1);
  CHECK(part.settings.front().name == "shim");
  CHECK(part.settings.front().value == "none");
  CHECK(render_shim(folder.load("[boot]\nchain = \"shim\"\n").value()).settings.front().value == "of this boot");
}
