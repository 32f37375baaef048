// What a golden image must not carry: secrets and identities of one machine, traces of the build, and what only a
// machine that is changed in place would need.
#include "ingot/builder/base_tree.hpp"

namespace ingot::builder {
namespace {

enum class Action {
  remove,              ///< the path and everything below it
  remove_plain,        ///< regular files only: a symbolic link there is configuration
  remove_files_below,  ///< regular files at any depth; folders, their owners and links stay
  empty_folder,        ///< everything below; the folder stays
  empty_file,          ///< the file stays, or is made, without content
};

struct Rule {
  std::string_view pattern;  ///< '*' stands for any run of characters other than '/'
  Action action;
  std::string_view why;
};

constexpr Rule rules[] = {
    // Identities and secrets: equal on every node of a fleet, they would be worse than none.
    {"/etc/ssh/ssh_host_*", Action::remove, "SSH host keys, made when the package was configured"},
    {"/etc/machine-id", Action::empty_file,
     "machine identity; empty, so that systemd makes one at boot (machine-id(5))"},
    {"/var/lib/dbus/machine-id", Action::remove_plain, "machine identity"},
    {"/var/lib/systemd/random-seed", Action::remove, "random seed"},
    {"/var/lib/systemd/credential.secret", Action::remove, "key of encrypted credentials"},
    {"/var/lib/urandom/random-seed", Action::remove, "random seed"},
    {"/boot/loader/random-seed", Action::remove, "random seed"},
    {"/boot/efi/loader/random-seed", Action::remove, "random seed"},
    {"/efi/loader/random-seed", Action::remove, "random seed"},
    {"/etc/ssl/private/ssl-cert-snakeoil.key", Action::remove, "private key made when the package was configured"},
    {"/etc/ssl/certs/ssl-cert-snakeoil.pem", Action::remove, "certificate of that key"},
    {"/etc/iscsi/initiatorname.iscsi", Action::remove, "identity of one machine"},
    {"/etc/nvme/hostid", Action::remove, "identity of one machine"},
    {"/etc/nvme/hostnqn", Action::remove, "identity of one machine"},
    {"/etc/krb5.keytab", Action::remove, "keys of one machine"},
    {"/var/lib/shim-signed/mok", Action::remove, "module-signing key made when the package was configured"},
    {"/var/lib/dkms/mok.*", Action::remove, "module-signing key made when the package was configured"},
    {"/var/lib/NetworkManager/secret_key", Action::remove, "key of one machine"},
    {"/var/lib/NetworkManager/*lease*", Action::remove, "address leases"},
    {"/var/lib/dhcp", Action::remove_files_below, "address leases"},
    {"/root/.ssh", Action::remove, "ways in that no profile names; [files] is applied later and can put them back"},
    {"/home/*/.ssh", Action::remove, "ways in that no profile names"},
    {"/root/.*_history", Action::remove, "somebody's shell history"},
    {"/home/*/.*_history", Action::remove, "somebody's shell history"},

    // The build machine, and the moment of the build.
    {"/etc/hostname", Action::remove_plain, "mmdebstrap copies the build machine's"},
    {"/etc/resolv.conf", Action::remove_plain, "mmdebstrap copies the build machine's"},
    {"/etc/apt/sources.list", Action::remove, "names the build's own package folder"},
    {"/etc/apt/apt.conf.d/99mmdebstrap", Action::remove, "configuration of the build"},
    {"/etc/dpkg/dpkg.cfg.d/99mmdebstrap", Action::remove, "configuration of the build"},
    {"/etc/.pwd.lock", Action::remove, "lock file"},
    {"/etc/passwd-", Action::remove, "backup"},
    {"/etc/group-", Action::remove, "backup"},
    {"/etc/shadow-", Action::remove, "backup"},
    {"/etc/gshadow-", Action::remove, "backup"},
    {"/etc/subuid-", Action::remove, "backup"},
    {"/etc/subgid-", Action::remove, "backup"},
    {"/var/lib/dpkg/*-old", Action::remove, "backup"},
    {"/var/lib/dpkg/lock*", Action::remove, "lock file"},
    {"/var/lib/dpkg/triggers/Lock", Action::remove, "lock file"},
    {"/var/backups", Action::remove_files_below, "backups"},
    {"/var/log", Action::remove_files_below, "logs"},
    {"/var/cache", Action::remove_files_below, "caches: debconf, ldconfig, apt, man"},
    {"/var/lib/apt", Action::remove_files_below, "package lists"},
    {"/var/lib/dnf", Action::remove_files_below, "package lists"},
    {"/var/lib/cloud", Action::remove, "state of cloud-init on the machine the image was taken from"},
    {"/var/lib/systemd/timers", Action::remove_files_below, "time stamps"},
    {"/var/lib/systemd/coredump", Action::remove_files_below, "memory of crashed programs"},
    {"/var/lib/logrotate", Action::remove_files_below, "time stamps"},
    {"/var/spool/cron/crontabs", Action::remove_files_below, "jobs that no profile names"},
    {"/dev", Action::empty_folder, "devtmpfs covers it"},
    {"/proc", Action::empty_folder, "proc covers it"},
    {"/sys", Action::empty_folder, "sysfs covers it"},
    {"/run", Action::empty_folder, "tmpfs covers it"},
    {"/tmp", Action::empty_folder, "temporary files"},
    {"/var/tmp", Action::empty_folder, "temporary files"},
    {"/lost+found", Action::remove, "of the file system it was read from"},
    {"/.dockerenv", Action::remove, "of a container runtime"},

    // Never used on a node that is replaced, not administered.
    {"/boot/initrd*", Action::remove, "the builder makes the initrd"},
    {"/initrd.img*", Action::remove, "link to it"},
    {"/boot/initramfs-*", Action::remove, "the builder makes the initrd"},
    {"/vmlinuz.old", Action::remove, "link to a kernel that is not there"},
    {"/usr/share/man", Action::empty_folder, "manual pages"},
    {"/usr/share/info", Action::empty_folder, "manual pages"},
    {"/usr/share/lintian", Action::remove, "of the package's build"},
    {"/usr/share/doc-base", Action::remove, "documentation"},
};

/// Licences stay: whoever hands an image on must hand them on with it.
constexpr std::string_view documentation = "/usr/share/doc/";
constexpr std::string_view translations = "/usr/share/locale/";

bool matches(std::string_view pattern, std::string_view text) {
  while (!pattern.empty() && pattern.front() != '*') {
    if (text.empty() || text.front() != pattern.front()) return false;
    pattern.remove_prefix(1);
    text.remove_prefix(1);
  }
  if (pattern.empty()) return text.empty();
  pattern.remove_prefix(1);
  for (std::size_t taken = 0;; ++taken) {
    if (matches(pattern, text.substr(taken))) return true;
    if (taken == text.size() || text[taken] == '/') return false;
  }
}

/// Paths that match; only the part of the map that shares the pattern's fixed beginning is looked at.
std::vector<std::string> matching(const Tree& tree, std::string_view pattern) {
  const std::string fixed(pattern.substr(0, pattern.find('*')));
  std::vector<std::string> out;
  for (auto at = tree.entries.lower_bound(fixed); at != tree.entries.end() && at->first.starts_with(fixed); ++at)
    if (matches(pattern, at->first)) out.push_back(at->first);
  return out;
}

template <typename Predicate>
std::vector<std::string> below(const Tree& tree, const std::string& folder, Predicate wanted) {
  const auto prefix = folder + "/";
  std::vector<std::string> out;
  for (auto at = tree.entries.lower_bound(prefix); at != tree.entries.end() && at->first.starts_with(prefix); ++at)
    if (wanted(at->first, at->second)) out.push_back(at->first);
  return out;
}

bool is_file(const std::string&, const TreeEntry& entry) { return entry.type == EntryType::file; }
bool is_anything(const std::string&, const TreeEntry&) { return true; }

/// Paths of `tree` that a rule takes away.
std::vector<std::string> victims(const Tree& tree, const Rule& rule) {
  std::vector<std::string> out;
  for (const auto& path : matching(tree, rule.pattern)) {
    const auto& entry = *tree.find(path);
    const auto take = [&](std::vector<std::string> more) { out.insert(out.end(), more.begin(), more.end()); };
    switch (rule.action) {
      case Action::remove:
        out.push_back(path);
        break;
      case Action::remove_plain:
        if (is_file(path, entry)) out.push_back(path);
        break;
      case Action::remove_files_below:
        take(below(tree, path, is_file));
        break;
      case Action::empty_folder:
        take(below(tree, path, is_anything));
        break;
      case Action::empty_file:
        break;
    }
  }
  return out;
}

bool is_documentation(const std::string& path, const TreeEntry& entry) {
  // A package may share the folder, and so the licence, of another through a link.
  const bool is_shared_folder = entry.type == EntryType::symlink && path.rfind('/') == documentation.size() - 1;
  return entry.type != EntryType::directory && !is_shared_folder && !path.ends_with("/copyright");
}
bool is_translation(const std::string& path, const TreeEntry& entry) {
  return entry.type != EntryType::directory && path != "/usr/share/locale/locale.alias";
}

/// Python's compiled files carry the time of their source, which an image does not keep.
bool is_python_cache(const std::string& path) { return path.ends_with("/__pycache__") || path.ends_with(".pyc"); }

void remove_empty_folders(Tree& tree, std::string_view prefix) {
  auto at = tree.entries.upper_bound(std::string(prefix) + "\xff");
  while (at != tree.entries.begin()) {
    --at;
    if (!at->first.starts_with(prefix)) return;
    const auto first_below = tree.entries.lower_bound(at->first + "/");
    const bool has_children = first_below != tree.entries.end() && first_below->first.starts_with(at->first + "/");
    if (at->second.type == EntryType::directory && !has_children) at = tree.entries.erase(at);
  }
}

}  // namespace

void strip_tree(Tree& tree) {
  std::vector<std::string> out;
  for (const auto& rule : rules)
    for (auto& path : victims(tree, rule)) out.push_back(std::move(path));
  for (auto& path : below(tree, "/usr/share/doc", is_documentation)) out.push_back(std::move(path));
  for (auto& path : below(tree, "/usr/share/locale", is_translation)) out.push_back(std::move(path));
  for (const auto& [path, entry] : tree.entries)
    if (is_python_cache(path)) out.push_back(path);
  tree.remove_all(out);
  remove_empty_folders(tree, documentation);
  remove_empty_folders(tree, translations);

  for (const auto& rule : rules) {
    if (rule.action != Action::empty_file) continue;
    const std::string path(rule.pattern);
    const auto* folder = tree.resolve(path.substr(0, path.rfind('/')));
    if (folder == nullptr || folder->type != EntryType::directory) continue;
    tree.remove(path);
    (void)tree.put_file(path, {}, 0444);
  }
}

}  // namespace ingot::builder
