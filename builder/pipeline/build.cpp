#include "ingot/builder/build.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <future>

#include "ingot/base/output.hpp"
#include "ingot/builder/base_tree.hpp"
#include "ingot/builder/boot_chain.hpp"
#include "ingot/builder/boot_uki.hpp"
#include "ingot/builder/cache.hpp"
#include "ingot/builder/execution_policy.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/builder/modules.hpp"
#include "ingot/builder/network.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/release.hpp"
#include "ingot/builder/segment.hpp"
#include "ingot/builder/signing.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/ruleset.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/signer/sign.hpp"
#include "output_folder.hpp"
#include "surroundings.hpp"

namespace ingot::builder {
namespace {
namespace fs = std::filesystem;

/// Everything that the steps share. Paths of results are filled in as they come into being.
struct Build {
  const Profile& profile;
  const BuildOptions& options;
  Progress& progress;
  StepCache cache;
  signer::KeyFolder keys;
  OutputFolder out;

  std::vector<NodeModule> modules;
  std::string root_image;
  std::string verity_image;
  Verity verity;
  SharedSource initrd;
  /// SHA-256 of the disk image. It is most of what a build hashes, so the other steps do not wait for it.
  std::future<Result<Buffer>> disk_digest;
};

/// Text form of "squashfs zstd 3", part of cache keys and of the plan.
std::string root_format(const Profile::Root& root) {
  const auto name = [](Compression compression) {
    switch (compression) {
      case Compression::zstd:
        return "zstd";
      case Compression::lz4:
        return "lz4";
      case Compression::lz4hc:
        return "lz4hc";
      case Compression::xz:
        return "xz";
      case Compression::gzip:
        return "gzip";
    }
    return "";
  };
  return fmt::format("{} {} {}", root.filesystem == RootFilesystem::squashfs ? "squashfs" : "erofs",
                     name(root.compression), root.compression_level);
}

constexpr std::uint64_t agent_cap_bytes = 64u << 20;

/// A digest for one purpose out of the build's own inputs: the same inputs give the same salts and UUIDs.
Buffer derive(std::string_view purpose, std::string_view from) {
  return crypto::sha256(as_bytes(fmt::format("ingot {}\n{}", purpose, from)));
}

Result<std::string> first_line_of(const std::vector<std::string>& argv) {
  const auto done = TRY(run({.argv = argv}));
  const auto text = as_text(done.output);
  return std::string(text.substr(0, text.find('\n')));
}

Result<std::string> root_tool_version(const Profile::Root& root) {
  return first_line_of({root.filesystem == RootFilesystem::squashfs ? "mksquashfs" : "mkfs.erofs",
                        root.filesystem == RootFilesystem::squashfs ? "-version" : "--version"});
}

/// What a node must report of its firewall is what a kernel gives back of the ruleset, not what we meant to write.
Result<void> add_firewall_settings(const Tree& tree, std::vector<Setting>& settings) {
  const std::string path = "/etc/nftables.conf";
  if (tree.resolve(path) == nullptr) return {};
  const auto text = TRY(read_tree_file(tree, path, 16u << 20));
  const auto json = TRY_IN(path, ruleset_json_of_kernel(std::string(as_text(text))));
  for (auto& setting : TRY(codec::firewall_settings(json, path, "site"))) settings.push_back(std::move(setting));
  return {};
}

/// The profile's modules become a part of the tree. The kernel's own image is in the base tree alone.
Result<void> add_profile_modules(Build& build, const BaseTree& base, NodeTree& node) {
  if (build.profile.modules.files.empty()) return {};
  build.progress.step("modules",
                      fmt::format("{} out-of-tree modules, signed by db", build.profile.modules.files.size()));
  const auto db = TRY(build.keys.load("db"));
  auto added =
      TRY(add_modules(node.tree, TRY(kernel_release(base.tree)), build.profile.modules, db, build.options.cache));
  build.modules = std::move(added.modules);
  node.settings.insert(node.settings.end(), added.settings.begin(), added.settings.end());
  return {};
}

Result<void> make_root(Build& build, const Tree& tree) {
  const std::string digest = tree_digest(tree);
  const auto uuid = derive_guid(derive("root uuid", digest));
  build.progress.step("root image", root_format(build.profile.root));
  StepInputs inputs("root-image");
  inputs.add("tree", digest).add("format", root_format(build.profile.root)).add("uuid", to_text(uuid));
  inputs.add("tool", TRY(root_tool_version(build.profile.root)));
  build.root_image = TRY(build.cache.get(inputs, build.progress, [&](const std::string& path) {
    return make_root_image(tree, build.profile.root, uuid, path, fs::path(path).parent_path().string(), build.progress);
  }));

  // The verity step is cheap next to the check that a cached tree would need: it always runs.
  build.progress.step("verity", "SHA-256 tree over the root image");
  build.verity_image = build.out.file(output::verity);
  build.verity = TRY(make_verity(build.root_image, derive("verity salt", digest),
                                 derive_guid(derive("verity uuid", digest)), build.verity_image, build.progress));
  return write_file(build.out.file(output::root_hash), as_bytes(to_hex(build.verity.root_hash) + "\n"));
}

Result<void> append_volumes(Build& build) {
  if (build.profile.volumes.empty()) return {};
  Tree tree;
  TRY(apply_part(tree, TRY(render_initrd_volumes(build.profile))));
  if (build.profile.has_recovery() || build.profile.asks_tpm())
    TRY(tree.put_file(std::string(initrd_agent_path), TRY(read_all(*build.options.agent.binary, agent_cap_bytes)),
                      0755));
  const auto path = build.out.file(output::volumes);
  TRY(write_initrd(tree, path, build.progress));
  build.initrd = TRY(append_archive(build.initrd, TRY(file_source(path))));
  return {};
}

Result<void> make_boot_initrd(Build& build, const BaseTree& base) {
  build.progress.step("initrd", "systemd, udev, veritysetup, cryptsetup, repart and modules of the base tree");
  StepInputs inputs("initrd");
  inputs.add("base", base.digest).add("format", "4");
  auto needs = initrd_volume_needs(build.profile);
  const InitrdOptions options{build.profile.kernel.modules, std::move(needs.files), std::move(needs.units),
                              std::move(needs.modules)};
  for (const auto& name : options.extra_modules) inputs.add("module", name);
  for (const auto& path : options.extra_files) inputs.add("file", path);
  for (const auto& unit : options.extra_units) inputs.add("unit", unit);
  for (const auto& name : options.wished_modules) inputs.add("wished module", name);
  build.initrd = TRY(file_source(TRY(build.cache.get(inputs, build.progress, [&](const std::string& path) {
    return make_initrd(base.tree, options, path, build.progress);
  }))));
  return append_volumes(build);
}

Result<SharedSource> make_probe_initrd(Build& build) {
  StepInputs inputs("probe-initrd");
  inputs.add("agent", to_hex(TRY(crypto::hash_source(HashAlg::sha256, *build.options.agent.binary))));
  return file_source(TRY(build.cache.get(inputs, build.progress, [&](const std::string& path) {
    return builder::make_probe_initrd(build.options.agent.binary, path);
  })));
}

Guid disk_id(const Build& build, std::string_view purpose) {
  return derive_guid(derive(purpose, to_hex(build.verity.root_hash) + build.profile.name));
}

/// The ESP's content is left out: it holds what is signed.
std::vector<DiskPartition> partitions_of(const Build& build) {
  const auto& disk = build.profile.disk;
  const Bytes hash = build.verity.root_hash;
  std::vector<DiskPartition> partitions = {
      {codec::esp_type, disk_id(build, "esp partition"), "esp", {}, disk.esp_size_bytes},
      {codec::root_x86_64_type, guid_from_big_endian(hash.first(16)), "root", build.root_image, disk.root_size_bytes},
      {codec::root_verity_x86_64_type, guid_from_big_endian(hash.last(16)), "root-verity", build.verity_image, 0}};
  if (disk.data_size_bytes != 0)
    partitions.push_back(
        {codec::linux_generic_type, disk_id(build, "data partition"), "data", {}, disk.data_size_bytes});
  // Not the type of swap (Discoverable Partitions Specification): systemd would swap to that in the clear.
  if (disk.swap_size_bytes != 0)
    partitions.push_back(
        {codec::linux_generic_type, disk_id(build, "swap partition"), "swap", {}, disk.swap_size_bytes});
  if (has_address_partition(build.profile))
    partitions.push_back(
        {codec::linux_generic_type, disk_id(build, "addresses partition"), "addresses", {}, address_partition_bytes});
  return partitions;
}

/// Volumes come later, from the node itself; the disk has room for them.
std::uint64_t room_for_volumes(const Profile& profile) {
  std::uint64_t room_bytes = 0;
  for (const auto& one : profile.volumes) room_bytes += one.size_bytes;
  return room_bytes;
}

/// Shim's SBAT.md: component, its generation, and for people who made it and which version that is. Whoever revokes by
/// SBAT revokes the generations of one profile.
std::string sbat_line(const Profile& profile) {
  return fmt::format("ingot.{0},{1},Ingot,{0},{2},https://uapi-group.org/specifications/specs/unified_kernel_image/\n",
                     profile.name, profile.generation, profile.version);
}

Result<ToSign> to_sign(Build& build, const BaseTree& base, const std::string& manifest,
                       const std::vector<Setting>& settings) {
  const auto& profile = build.profile;
  const auto root_hash = to_hex(build.verity.root_hash);
  const auto baseline_id = TRY(build.keys.public_half("baseline")).key_id();
  ToSign wish;
  wish.chain = profile.boot.chain;
  wish.first_stage = TRY(first_stage_of(base.tree, wish.chain));
  if (wish.chain == BootChain::shim)
    wish.vendor_db = TRY_IN(build.options.vendor_vars,
                            measure::db_entry_for(*wish.first_stage, TRY(read_db(build.options.vendor_vars))));
  wish.uki = TRY(boot_parts(base.tree, profile.boot.stub));
  wish.uki.kernel = TRY(kernel_of(wish.chain, wish.uki.kernel));
  wish.uki.os_release = os_release_with_image(wish.uki.os_release, profile);
  wish.uki.initrd = build.initrd;
  wish.uki.generation = profile.generation;
  wish.uki.sbat = sbat_line(profile);
  if (profile.boot.system_policy) wish.uki.system_phases = profile.boot.phases;
  wish.uki.command_line = fmt::format("{} roothash={}", kernel_command_line(profile), root_hash);
  if (profile.execution != Profile::Execution::open)
    wish.execution_policy = execution_policy(root_hash, profile.version);
  wish.probe_initrd = TRY(make_probe_initrd(build));
  wish.probe_command_line = probe_command_line;
  wish.draft.profile = profile.name;
  wish.draft.role = profile.role;
  wish.draft.version = profile.version;
  wish.draft.not_after = profile.not_after;
  wish.draft.generation = profile.generation;
  wish.draft.root_hash = root_hash;
  wish.draft.manifest_sha256 = crypto::sha256_hex(as_bytes(manifest));
  if (const auto key = TRY(build.keys.provenance_key()); key.public_key().key_id() != baseline_id)
    wish.draft.provenance_key = key.public_key().key_id();
  wish.draft.settings = settings;
  wish.draft.volumes = node_volumes(profile);
  wish.draft.modules = build.modules;
  wish.draft.next_pcr_7 = profile.boot.next_pcr_7;
  const auto gpt = TRY(plan_disk(disk_id(build, "disk"), partitions_of(build), room_for_volumes(profile)));
  wish.partition_table = TRY(codec::encode_gpt(gpt)).primary;
  wish.disk_size_bytes = gpt.disk_size_lba * codec::lba_size_bytes;
  wish.allowed_partitions = profile.disk.allowed_partitions;
  if (!profile.volumes.empty()) wish.allowed_partitions.push_back(codec::ingot_volume_type);
  wish.phases = profile.boot.phases;
  return wish;
}

Result<void> make_disk_image(Build& build) {
  const auto uki_digest = TRY(crypto::hash_source(HashAlg::sha256, *TRY(file_source(build.out.file(output::uki)))));
  const Buffer volume = derive("esp volume id", to_hex(uki_digest));
  const auto volume_id =
      static_cast<std::uint32_t>(volume[0] | volume[1] << 8 | volume[2] << 16) | std::uint32_t{volume[3]} << 24;
  build.progress.step("disk", "ESP, root, verity in a GPT");
  const auto files = esp_files(TRY(chain_in(build.out.work())), build.out.file(output::uki), build.profile.name);
  TRY(make_esp(files, build.profile.disk.esp_size_bytes, volume_id, build.out.file(output::esp)));

  auto partitions = partitions_of(build);
  partitions.front().content = build.out.file(output::esp);
  TRY(make_disk(disk_id(build, "disk"), partitions, room_for_volumes(build.profile), build.out.file(output::disk),
                build.progress));
  build.disk_digest = std::async(std::launch::async, [disk = TRY(file_source(build.out.file(output::disk)))] {
    return crypto::hash_source(HashAlg::sha256, *disk);
  });
  auto root = TRY(OutputFile::create(build.out.file(output::root)));
  TRY(root.copy_at(0, *TRY(file_source(build.root_image))));
  TRY(root.truncate(fs::file_size(build.root_image)));
  TRY(root.commit());
  if (!build.options.compress) return {};
  build.progress.step("compress", "disk.raw.zst");
  TRY(run_checked(
      {.argv = {"zstd", "-q", "-T0", "-3", build.out.file(output::disk), "-o", build.out.file("disk.raw.zst")}}));
  return {};
}

Result<void> write_variable_store(const Build& build, const ChainKeys& keys) {
  build.progress.step("variables", fmt::format("PK, KEK, db, dbx{} enrolled, Secure Boot on",
                                               keys.mok_list.empty() ? "" : ", MokList"));
  const auto empty = TRY(read_file(build.options.vars_template, codec::variable_store_size_cap_bytes));
  const auto store = TRY_IN(build.options.vars_template, codec::write_variables(empty, chain_variables(keys)));
  return write_file(build.out.file(output::vars), store);
}

Result<void> write_documents(Build& build, const Tree& tree, const BaseTree& base, const Baseline& baseline) {
  build.progress.step("documents", "manifest, SBOMs, provenance");
  const auto os_release = TRY(read_tree_file(tree, "/etc/os-release", 1u << 20));
  const SbomSubject subject{
      build.profile.name, build.profile.version,
      os_release_value(as_text(os_release), "ID") + "-" + os_release_value(as_text(os_release), "VERSION_ID"),
      baseline.manifest_sha256};
  const auto packages = TRY(read_packages(base.tree, base.packages));
  TRY(write_file(build.out.file(output::sbom_cyclonedx), as_bytes(render_cyclonedx(subject, packages))));
  TRY(write_file(build.out.file(output::sbom_spdx), as_bytes(render_spdx(subject, packages))));
  std::vector<codec::BuildArtifact> artifacts;
  artifacts.push_back({output::disk, {}});
  std::vector<const char*> names = {
      output::uki,  output::probe,    output::root,     output::verity,         output::root_hash_signature,
      output::vars, output::baseline, output::manifest, output::sbom_cyclonedx, output::sbom_spdx};
  if (build.profile.boot.chain != BootChain::uki) names.push_back(output::first_stage);
  for (const auto* name : names) {
    const auto digest = TRY(crypto::hash_source(HashAlg::sha256, *TRY(file_source(build.out.file(name)))));
    artifacts.push_back({name, to_hex(digest)});
  }
  artifacts.front().sha256 = to_hex(TRY(build.disk_digest.get()));
  const auto tool = TRY(root_tool_version(build.profile.root));
  const auto statement =
      render_provenance(build.profile, artifacts, base.packages, {{"ingot", INGOT_VERSION}, {"root image", tool}});
  const auto key = TRY(build.keys.provenance_key());
  const auto envelope =
      TRY(signer::sign_dsse(codec::in_toto_payload_type, as_bytes(statement), key,
                            fmt::format("provenance of {} {}", build.profile.name, build.profile.version)));
  if (!baseline.provenance_key.empty())
    TRY(write_file(build.out.file(output::provenance_key), as_bytes(key.public_key().pem())));
  return write_file(build.out.file(output::provenance), as_bytes(codec::encode_dsse(envelope)));
}

/// With private keys, or with the signatures that somebody else's machine made.
Result<signer::KeyFolder> keys_of(const BuildOptions& options) {
  if (options.request.empty() && options.answer.empty()) return signer::open_keys(options.keys);
  auto keys = TRY(signer::open_public_keys(options.keys));
  keys.answer = std::make_shared<codec::SigningAnswer>();
  if (options.answer.empty()) return keys;
  const auto text = TRY(read_file(options.answer, codec::signing_answer_cap_bytes));
  keys.answer = std::make_shared<codec::SigningAnswer>(TRY_IN(options.answer, codec::decode_signing_answer(text)));
  return keys;
}

/// An answer completes the build that asked, and no other.
Result<void> check_answer(const Build& build, const ToSign& wish) {
  const auto path = build.out.file("request");
  const auto id = TRY(write_request(wish, build.keys, path));
  std::error_code ec;
  fs::remove(path, ec);
  if (id == build.keys.answer->request) return {};
  return fail(
      ErrorCode::crypto,
      fmt::format("{} answers the request {}, this build asks {}", build.options.answer, build.keys.answer->request,
                  id),
      "profile, lock, keys, ingot and cache must be those of `ingot build --sign-later`; or make a new request");
}

}  // namespace

std::string lock_path(const Profile& profile, const BuildOptions& options) {
  if (!options.lock.empty()) return options.lock;
  return (fs::path(profile.path).parent_path() / (fs::path(profile.path).stem().string() + ".lock")).string();
}

Result<BuildSummary> build(const Profile& given, const BuildOptions& options, Progress& progress) {
  auto keys = TRY(keys_of(options));
  const auto profile = TRY(complete_profile(given, keys));
  auto out = TRY(OutputFolder::open(options.out));
  Build build{profile, options, progress, StepCache(options.cache), keys, std::move(out), {}, {}, {}, {}, {}, {}};
  const auto secure_boot = TRY(signer::secure_boot_keys(keys));
  BaseOptions base_options{options.cache, options.mirror, options.offline, options.update_lock,
                           lock_path(profile, options)};
  const auto base = TRY(make_base_tree(profile, base_options, progress));

  progress.step("overlay", fmt::format("{} files of the profile, agent, locks", profile.files.size()));
  auto node = TRY(apply_profile(base.tree, profile, options.agent));
  TRY(add_profile_modules(build, base, node));
  auto& [tree, settings] = node;
  TRY(add_firewall_settings(tree, settings));
  TRY(make_root(build, tree));
  TRY(make_boot_initrd(build, base));
  const auto manifest = render_manifest(tree);
  TRY(write_file(build.out.file(output::manifest), as_bytes(manifest)));
  const auto wish = TRY(to_sign(build, base, manifest, settings));
  if (!options.request.empty()) {
    progress.step("request", options.request);
    return BuildSummary{wish.draft, {}, TRY(write_request(wish, keys, options.request))};
  }
  if (!options.answer.empty()) TRY(check_answer(build, wish));
  auto baseline = TRY(sign_image(wish, build.keys, build.out.work(), progress));
  TRY(make_disk_image(build));
  TRY(write_variable_store(build, TRY(chain_keys(wish.chain, secure_boot, wish.first_stage, wish.vendor_db))));
  TRY(write_documents(build, tree, base, baseline));
  TRY(build.out.commit());
  return BuildSummary{std::move(baseline), options.out, {}};
}

}  // namespace ingot::builder
