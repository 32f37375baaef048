#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "ingot/builder/config.hpp"
#include "ingot/builder/network.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view agent_path = "/usr/lib/ingot/ingot-agent";
constexpr std::string_view unit_folder = "/usr/lib/systemd/system/";

/// Units that would hand out a shell or ask a person on the console. A golden node has no such person.
constexpr std::array masked_units = {"debug-shell.service", "rescue.service", "rescue.target",
                                     "systemd-firstboot.service", "getty.target", "getty@.service", "autovt@.service",
                                     "serial-getty@.service", "console-getty.service", "container-getty@.service",
                                     // The ESP is firmware's; a running node has no business there.
                                     "boot.automount", "boot.mount", "efi.automount", "efi.mount"};

/// Instead of systemd's emergency shell, which waits for somebody at the console: what failed (a mount, say) is told
/// there, and the node powers off. Masked, it would leave the node half started for ever.
constexpr std::string_view emergency_unit = R"([Unit]
Description=Start failed: this node has no emergency shell, it powers off
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
StandardOutput=journal+console
StandardError=journal+console
TimeoutStartSec=30
ExecStart=-/usr/bin/journalctl --boot --priority=warning --lines=40 --no-pager --output=cat
ExecStart=-/usr/bin/journalctl --sync
)";

/// Started by Debian's packages, not wanted unless a later configuration step enables them again.
constexpr std::array disabled_links = {"/etc/systemd/system/multi-user.target.wants/ssh.service",
                                       "/etc/systemd/system/sshd.service",
                                       "/etc/systemd/system/timers.target.wants/apt-daily.timer",
                                       "/etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer",
                                       "/etc/systemd/system/timers.target.wants/dpkg-db-backup.timer"};

/// Packages give the TPM to a user of their own, whose files root cannot open without a capability that the agent does
/// not have otherwise.
constexpr std::string_view tpm_rule = "SUBSYSTEM==\"tpm|tpmrm\", OWNER=\"root\", GROUP=\"root\", MODE=\"0600\"\n";

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return lines;
}

Result<void> put_text(Tree& tree, const std::string& path, std::string_view text, unsigned mode = 0644) {
  return tree.put_file(path, to_buffer(as_bytes(text)), mode);
}

Result<void> lock_accounts(Tree& tree) {
  const auto* shadow = tree.find("/etc/shadow");
  if (shadow == nullptr) return put_text(tree, "/etc/shadow", "root:!*:::::::\n", 0640);
  const auto before = *shadow;
  const auto text = TRY(read_tree_file(tree, "/etc/shadow", 1u << 20));
  const auto locked = TRY(lock_root(as_text(text)));
  return tree.put_file("/etc/shadow", to_buffer(as_bytes(locked)), before.mode, before.uid, before.gid);
}

Result<void> add_agent(Tree& tree, const AgentFiles& agent) {
  auto binary = TRY(read_all(*agent.binary, 64u << 20));
  TRY(tree.put_file(std::string(agent_path), std::move(binary), 0755));
  TRY(put_text(tree, std::string(unit_folder) + "ingot-agent.service", agent.unit));
  TRY(put_text(tree, "/usr/lib/udev/rules.d/90-ingot-tpm.rules", tpm_rule));
  return tree.put_symlink(std::string(unit_folder) + "multi-user.target.wants/ingot-agent.service",
                          "../ingot-agent.service");
}

Result<void> add_identity(Tree& tree, const Profile& profile) {
  const std::string path = tree.resolve_path("/etc/os-release");
  if (path.empty())
    return fail(ErrorCode::missing, "the base tree has no /etc/os-release", "use a base that systemd can boot");
  const auto text = TRY(read_tree_file(tree, path, 1u << 20));
  TRY(put_text(tree, path, os_release_with_image(as_text(text), profile)));
  TRY(put_text(tree, "/etc/hostname", profile.name + "\n"));
  // Empty, not missing: systemd then makes a machine id for this boot and does not think it is a first boot.
  TRY(put_text(tree, "/etc/machine-id", "", 0444));
  return {};
}

}  // namespace

Result<std::string> lock_root(std::string_view shadow) {
  std::string out;
  bool found = false;
  for (const auto line : split_lines(shadow)) {
    if (!line.starts_with("root:")) {
      out += fmt::format("{}\n", line);
      continue;
    }
    const auto rest = line.find(':', 5);
    if (rest == std::string_view::npos)
      return fail(ErrorCode::malformed, "/etc/shadow of the base tree: root's line has no password field");
    out += fmt::format("root:!*{}\n", line.substr(rest));
    found = true;
  }
  if (!found) out += "root:!*:::::::\n";
  return out;
}

std::string os_release_with_image(std::string_view os_release, const Profile& profile) {
  std::string out;
  for (const auto line : split_lines(os_release))
    if (!line.starts_with("IMAGE_ID=") && !line.starts_with("IMAGE_VERSION=")) out += fmt::format("{}\n", line);
  return out + fmt::format("IMAGE_ID={}\nIMAGE_VERSION={}\n", profile.name, profile.version);
}

std::string os_release_value(std::string_view os_release, std::string_view name) {
  for (const auto line : split_lines(os_release)) {
    if (!line.starts_with(name) || line.substr(name.size(), 1) != "=") continue;
    auto value = line.substr(name.size() + 1);
    if (value.size() >= 2 && value.front() == value.back() && (value.front() == '"' || value.front() == '\''))
      value = value.substr(1, value.size() - 2);
    return std::string(value);
  }
  return {};
}

std::string kernel_command_line(const Profile& profile) {
  const auto line = fmt::format("{}", fmt::join(profile.kernel.command_line, " "));
  return profile.execution == Profile::Execution::permissive ? line + " ipe.enforce=0" : line;
}

Result<void> apply_part(Tree& tree, const ConfigPart& part) {
  tree.remove_all(part.removed);
  for (const auto& file : part.files) TRY(tree.put_file(file.path, file.content, file.mode, file.uid, file.gid));
  for (const auto& folder : part.folders) TRY(tree.put_directory(folder));
  for (const auto& link : part.links) {
    tree.remove(link.path);
    TRY(tree.put_symlink(link.path, link.target));
  }
  for (const auto& change : part.modes)
    if (const auto found = tree.entries.find(change.path); found != tree.entries.end())
      found->second.mode = change.mode;
  return {};
}

Result<NodeTree> apply_profile(Tree tree, const Profile& profile, const AgentFiles& agent) {
  if (tree.resolve("/usr/lib/systemd/systemd") == nullptr)
    return fail(ErrorCode::missing, "the base tree has no /usr/lib/systemd/systemd",
                "add systemd to base.packages or use a base that has it");
  TRY(lock_accounts(tree));
  TRY(add_identity(tree, profile));
  TRY(add_agent(tree, agent));
  for (const auto* unit : masked_units) TRY(tree.put_symlink(fmt::format("/etc/systemd/system/{}", unit), "/dev/null"));
  TRY(put_text(tree, "/etc/systemd/system/emergency.service", emergency_unit));
  for (const auto* link : disabled_links) tree.remove(link);
  // The kernel and initrd travel in the UKI; a second copy on the root would only be unmeasured weight. How the kernel
  // was built stays: judges read it.
  for (const auto* link : {"/vmlinuz", "/vmlinuz.old", "/initrd.img", "/initrd.img.old"}) tree.remove(link);
  std::vector<std::string> copies;
  for (auto at = tree.entries.lower_bound("/boot/"); at != tree.entries.end() && at->first.starts_with("/boot/"); ++at)
    if (!at->first.starts_with("/boot/config-")) copies.push_back(at->first);
  tree.remove_all(copies);
  TRY(tree.put_directory("/boot"));
  std::vector<Setting> settings;
  std::string fstab;
  const auto add = [&](Result<ConfigPart> rendered) -> Result<void> {
    auto part = TRY(std::move(rendered));
    settings.insert(settings.end(), part.settings.begin(), part.settings.end());
    for (const auto& line : part.fstab) fstab += line + "\n";
    return apply_part(tree, part);
  };
  TRY(add(render_settings(profile, tree)));
  TRY(add(render_storage(profile)));
  TRY(add(render_swap(profile)));
  TRY(add(render_shim(profile)));
  TRY(add(render_network(profile)));
  TRY(add(render_proxy(profile)));
  TRY(add(render_shipping(profile)));
  TRY(add(render_bastion(profile)));
  TRY(add(render_nfs(tree)));
  TRY(add(render_listening(profile, tree)));
  TRY(add(render_report(tree)));
  if (!fstab.empty()) TRY(put_text(tree, "/etc/fstab", fstab));
  for (const auto& file : profile.files) TRY(tree.put_file(file.path, file.content, file.mode, file.uid, file.gid));
  TRY(move_state(tree));
  return NodeTree{std::move(tree), std::move(settings)};
}

}  // namespace ingot::builder
