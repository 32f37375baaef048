// Integrity Policy Enforcement: Linux, Documentation/admin-guide/LSM/ipe.rst.
#include "ingot/builder/execution_policy.hpp"

#include <fmt/format.h>

#include "ingot/builder/image.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view policy_path = "/usr/lib/ingot/execution.p7b";
constexpr std::string_view unit_folder = "/usr/lib/systemd/system/";

/// securityfs takes a policy in one write, which is what cat does with a file of this size. A policy that the kernel
/// does not take ends the boot: systemd opens the file for the tool, so that one that is not there is an error, too.
constexpr std::string_view load_unit =
    "[Unit]\n"
    "Description=Load the execution policy of this image\n"
    "DefaultDependencies=no\n"
    "Before=initrd-switch-root.target\n"
    "OnFailure=emergency.target\n"
    "OnFailureJobMode=replace-irreversibly\n"
    "\n"
    "[Service]\n"
    "Type=oneshot\n"
    "RemainAfterExit=yes\n"
    "ExecStart=/usr/bin/cat /usr/lib/ingot/execution.p7b\n"
    "StandardOutput=file:/sys/kernel/security/ipe/new_policy\n";
constexpr std::string_view activate_unit =
    "[Unit]\n"
    "Description=Enforce the execution policy of this image\n"
    "DefaultDependencies=no\n"
    "Requires=ingot-execution-load.service\n"
    "After=ingot-execution-load.service\n"
    "Before=initrd-switch-root.target\n"
    "OnFailure=emergency.target\n"
    "OnFailureJobMode=replace-irreversibly\n"
    "\n"
    "[Service]\n"
    "Type=oneshot\n"
    "RemainAfterExit=yes\n"
    "ExecStart=/usr/bin/echo 1\n"
    "StandardOutput=file:/sys/kernel/security/ipe/policies/ingot/active\n";

}  // namespace

std::string execution_policy(std::string_view root_hash_hex, std::uint64_t version) {
  std::string out = fmt::format("policy_name=ingot policy_version={}.{}.{}\n", version >> 32 & 0xffff,
                                version >> 16 & 0xffff, version & 0xffff);
  out += "DEFAULT action=DENY\n";
  // The initrd is part of the signed UKI; the kernel itself reads certificates and nothing else of its own.
  for (const auto* operation : {"EXECUTE", "KMODULE", "FIRMWARE", "POLICY"}) {
    out += fmt::format("op={} boot_verified=TRUE action=ALLOW\n", operation);
    out += fmt::format("op={} dmverity_roothash=sha256:{} action=ALLOW\n", operation, root_hash_hex);
  }
  return out;
}

Result<void> write_execution_initrd(Bytes signed_policy, const std::string& out_path, Progress& progress) {
  Tree tree;
  TRY(tree.put_directory("/"));
  TRY(tree.put_file(std::string(policy_path), to_buffer(signed_policy), 0444));
  const auto unit = [&](std::string_view name, std::string_view text) -> Result<void> {
    TRY(tree.put_file(fmt::format("{}{}", unit_folder, name), to_buffer(as_bytes(text))));
    return tree.put_symlink(fmt::format("{}initrd-switch-root.target.requires/{}", unit_folder, name),
                            fmt::format("../{}", name));
  };
  TRY(unit("ingot-execution-load.service", load_unit));
  TRY(unit("ingot-execution.service", activate_unit));
  return write_initrd(tree, out_path, progress);
}

}  // namespace ingot::builder
