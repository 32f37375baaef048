#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ingot/builder/build.hpp"
#include "ingot/builder/network.hpp"

namespace ingot::builder {
namespace {

PlanStep base_step(const Profile& profile, const BuildOptions& options) {
  PlanStep step{"base tree", {}, "a canonical file tree"};
  if (const auto* packages = std::get_if<PackageBase>(&profile.base)) {
    step.inputs.emplace_back("suite", packages->suite);
    step.inputs.emplace_back("packages", fmt::format("{}", fmt::join(packages->packages, " ")));
    step.inputs.emplace_back("kernel", profile.kernel.package);
    step.inputs.emplace_back("lock", lock_path(profile, options));
    step.inputs.emplace_back("mirror", options.offline             ? "none (--offline)"
                                       : !options.mirror.empty()   ? options.mirror
                                       : !packages->mirror.empty() ? packages->mirror
                                                                   : "what apt on this machine uses");
  } else if (const auto* imported = std::get_if<ImportedBase>(&profile.base)) {
    step.inputs.emplace_back("image", imported->path);
    step.inputs.emplace_back("sha256", imported->sha256.empty() ? "not pinned" : imported->sha256);
  }
  return step;
}

}  // namespace

std::vector<PlanStep> plan(const Profile& profile, const BuildOptions& options) {
  const std::string keys = options.keys.empty() ? "KEYS" : options.keys;
  std::vector<PlanStep> steps;
  const auto mib = [](std::uint64_t bytes) { return fmt::format("{} MiB", bytes >> 20); };
  steps.push_back(base_step(profile, options));
  PlanStep overlay{"overlay", {{"agent", "ingot-agent and its unit"}}, "the node's tree"};
  for (const auto& file : profile.files)
    overlay.inputs.emplace_back("file",
                                fmt::format("{} ({} bytes, mode {:04o})", file.path, file.content.size(), file.mode));
  steps.push_back(std::move(overlay));
  if (!profile.modules.files.empty()) {
    PlanStep modules{"modules", {{"signing key", keys + "/db.key"}}, "signed modules, depmod's indexes"};
    for (const auto& file : profile.modules.files)
      modules.inputs.emplace_back("module", fmt::format("{} ({} bytes)", file.path, file.content->size()));
    steps.push_back(std::move(modules));
  }
  steps.push_back({"root image",
                   {{"filesystem", profile.root.filesystem == RootFilesystem::squashfs ? "squashfs" : "erofs"},
                    {"compression level", fmt::format("{}", profile.root.compression_level)}},
                   output::root});
  steps.push_back({"verity", {{"data", output::root}, {"salt and UUID", "derived from the tree"}}, output::verity});
  steps.push_back({"initrd", {{"base tree", "systemd, udev, veritysetup, cryptsetup, repart, modules"}}, "initrd"});
  steps.push_back({"uki",
                   {{"stub", profile.boot.stub.empty() ? "the tree's systemd stub" : profile.boot.stub},
                    {"command line", fmt::format("{} roothash=...", kernel_command_line(profile))},
                    {"PCR policy key", keys + "/pcr.key"},
                    {"Secure Boot key", keys + "/db.key"}},
                   output::uki});
  steps.push_back({"probe",
                   {{"kernel", "the tree's"}, {"init", "ingot-agent"}, {"Secure Boot key", keys + "/db.key"}},
                   output::probe});
  if (profile.boot.chain != BootChain::uki) {
    PlanStep chain{"boot chain", {{"first stage", "the tree's " + to_text(profile.boot.chain)}}, output::first_stage};
    if (profile.boot.chain == BootChain::systemd_boot) chain.inputs.emplace_back("Secure Boot key", keys + "/db.key");
    if (profile.boot.chain == BootChain::shim) chain.inputs.emplace_back("its certificate", options.vendor_vars);
    steps.push_back(std::move(chain));
  }
  PlanStep disk{"disk",
                {{"esp", mib(profile.disk.esp_size_bytes)}, {"root", output::root}, {"root-verity", output::verity}},
                output::disk};
  if (profile.disk.data_size_bytes != 0) disk.inputs.emplace_back("data", mib(profile.disk.data_size_bytes));
  if (profile.disk.swap_size_bytes != 0) disk.inputs.emplace_back("swap", mib(profile.disk.swap_size_bytes));
  if (has_address_partition(profile)) disk.inputs.emplace_back("addresses", mib(address_partition_bytes));
  for (const auto& volume : profile.volumes)
    disk.inputs.emplace_back("room for the volume " + volume.name, mib(volume.size_bytes));
  steps.push_back(std::move(disk));
  steps.push_back({"variables",
                   {{"empty store", options.vars_template}, {"certificates", keys + "/{PK,KEK,db}.crt"}},
                   output::vars});
  steps.push_back(
      {"baseline",
       {{"signed bytes", fmt::format("{}, {}", output::disk, output::uki)}, {"key", keys + "/baseline.key"}},
       output::baseline});
  steps.push_back(
      {"documents",
       {{"tree", "every file's digest, package database"}},
       fmt::format("{} {} {} {}", output::manifest, output::sbom_cyclonedx, output::sbom_spdx, output::provenance)});
  return steps;
}

}  // namespace ingot::builder
