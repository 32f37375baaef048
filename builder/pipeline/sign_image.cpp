#include <fmt/format.h>

#include "ingot/base/output.hpp"
#include "ingot/builder/boot_chain.hpp"
#include "ingot/builder/boot_uki.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/builder/execution_policy.hpp"
#include "ingot/builder/signing.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/signer/sign.hpp"

namespace ingot::builder {
namespace {

/// The initrd with the signed execution policy behind it.
Result<SharedSource> with_execution_policy(const ToSign& wish, const signer::KeyFolder& keys, const std::string& folder,
                                           Progress& progress) {
  const auto policy = TRY(signer::sign_ipe_policy(wish.execution_policy, TRY(keys.load("db"))));
  const auto path = folder + "/" + output::execution_policy;
  TRY(write_execution_initrd(policy, path, progress));
  return append_archive(wish.uki.initrd, TRY(file_source(path)));
}

UkiParts probe_parts(const ToSign& wish) {
  auto parts = wish.uki;
  parts.initrd = wish.probe_initrd;
  parts.command_line = wish.probe_command_line;
  parts.generation = 0;
  parts.system_phases.clear();
  return parts;
}

/// The chain's beginning as it was written.
struct WrittenChain {
  SharedSource first_stage;
  std::optional<Buffer> loader_conf;
};
Result<WrittenChain> write_first_stage(const ToSign& wish, const signer::KeyFolder& keys, const std::string& folder,
                                       Progress& progress) {
  WrittenChain written;
  if (wish.chain == BootChain::uki) return written;
  progress.step("boot chain", TRY(measure::describe_first_stage(*wish.first_stage)));
  const auto files = TRY(write_chain(wish.chain, wish.first_stage, keys, folder));
  written.first_stage = TRY(file_source(files.first_stage));
  if (!files.loader_conf.empty())
    written.loader_conf = TRY(read_file(files.loader_conf, measure::loader_conf_cap_bytes));
  return written;
}

/// The disk as far as firmware measures it.
Result<SharedSource> disk_of(const ToSign& wish) {
  return joined_source({{0, memory_source(wish.partition_table)}}, wish.disk_size_bytes);
}

}  // namespace

Result<Baseline> sign_image(const ToSign& wish, const signer::KeyFolder& keys, const std::string& folder,
                            Progress& progress) {
  const auto file = [&](const char* name) { return folder + "/" + name; };
  TRY(write_file(file(output::root_hash_signature),
                 TRY(signer::sign_root_hash(wish.draft.root_hash, TRY(keys.load("db"))))));
  progress.step("uki", wish.uki.command_line);
  auto parts = wish.uki;
  if (!wish.execution_policy.empty()) parts.initrd = TRY(with_execution_policy(wish, keys, folder, progress));
  TRY(make_signed_uki(std::move(parts), PcrPolicy::signed_by_pcr_key, keys, file(output::uki)));
  progress.step("probe", "signed UKI that reports what the firmware measured");
  TRY(make_signed_uki(probe_parts(wish), PcrPolicy::none, keys, file(output::probe)));

  const auto chain = TRY(write_first_stage(wish, keys, folder, progress));

  progress.step("baseline", "PCR 4, 5, 7, 9, 11-14 from the finished bytes");
  const auto uki = TRY(file_source(file(output::uki)));
  const auto disk = TRY(disk_of(wish));
  const auto machine =
      TRY(chain_keys(wish.chain, TRY(signer::secure_boot_keys(keys)), wish.first_stage, wish.vendor_db));
  auto predicted = TRY(measure::predict_image({disk.get(),
                                               uki.get(),
                                               machine.secure_boot.db,
                                               wish.phases,
                                               wish.allowed_partitions,
                                               {chain.first_stage.get(), chain.loader_conf, machine.mok_list}}));
  auto baseline = wish.draft;
  baseline.events = std::move(predicted.events);
  baseline.pcrs = std::move(predicted.pcrs);
  baseline.phases = std::move(predicted.phases);
  baseline.stub = std::move(predicted.stub);
  baseline.uki_sha256 = std::move(predicted.uki_sha256);
  baseline.uki_authenticode_sha256 = std::move(predicted.uki_authenticode_sha256);
  const auto key = TRY(keys.load("baseline"));
  const auto statement = codec::encode_baseline_statement(baseline);
  const auto envelope = TRY(signer::sign_dsse(codec::in_toto_payload_type, as_bytes(statement), key,
                                              fmt::format("baseline of {} {}", baseline.profile, baseline.version)));
  TRY(write_file(file(output::baseline), as_bytes(codec::encode_dsse(envelope))));
  TRY(write_file(file(output::baseline_key), as_bytes(key.public_key().pem())));
  return baseline;
}

}  // namespace ingot::builder
