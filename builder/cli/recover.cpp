#include "ingot/signer/recover.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/gpt.hpp"
#include "ingot/codec/luks_header.hpp"
#include "ingot/codec/report.hpp"
#include "key_options.hpp"

namespace ingot::cli {
namespace {
namespace fs = std::filesystem;

struct RecoverArguments {
  std::string disk;
  std::string evidence;
  std::string volume;
  std::string key;
  std::string out;
  std::string key_out;
};

/// Where recovery keys are, and the volume where it is at hand.
struct Found {
  codec::LuksHeader header;
  SharedSource volume;  ///< null: only its header is known
};

/// The one that is meant, or the only one.
template <typename Volume>
Result<const Volume*> chosen(const std::vector<Volume>& volumes, const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  const Volume* found = nullptr;
  for (const auto& volume : volumes) {
    names.push_back(volume.label);
    if (name.empty() ? volumes.size() == 1 : volume.label == name) found = &volume;
  }
  if (found != nullptr) return found;
  if (names.empty()) return fail(ErrorCode::missing, fmt::format("{} has no encrypted volume", where));
  return fail(ErrorCode::usage,
              name.empty() ? fmt::format("{} has {} encrypted volumes", where, names.size())
                           : fmt::format("{} has no encrypted volume \"{}\"", where, name),
              fmt::format("--volume is one of {}", fmt::join(names, ", ")));
}

Result<codec::LuksHeader> header_of(const ByteSource& volume) {
  return codec::decode_luks_json(TRY(codec::read_luks_metadata(volume)).json);
}

struct DiskVolume {
  std::string label;
  SharedSource content;
};

/// Partitions of our type; or the file is itself a volume.
Result<std::vector<DiskVolume>> volumes_of(const std::string& path) {
  const auto disk = TRY(file_source(path));
  if (header_of(*disk)) return std::vector<DiskVolume>{{fs::path(path).filename().string(), disk}};
  const auto gpt = TRY_IN(path, codec::decode_gpt(*disk));
  std::vector<DiskVolume> volumes;
  for (const auto& partition : gpt.partitions)
    if (partition.type == codec::ingot_volume_type)
      volumes.push_back(
          {partition.name, TRY(slice_source(disk, partition.first_lba * codec::lba_size_bytes,
                                            (partition.last_lba - partition.first_lba + 1) * codec::lba_size_bytes))});
  return volumes;
}

Result<Found> find_volume(const RecoverArguments& arguments) {
  if (!arguments.disk.empty()) {
    const auto volumes = TRY(volumes_of(arguments.disk));
    const auto* volume = TRY(chosen(volumes, arguments.volume, arguments.disk));
    return Found{TRY_IN(arguments.disk, header_of(*volume->content)), volume->content};
  }
  const auto evidence = TRY(load_evidence(arguments.evidence));
  const auto report = evidence.report.value_or(NodeReport{});
  const auto part = report.parts.find("volumes");
  if (part == report.parts.end())
    return fail(ErrorCode::missing, fmt::format("{} tells nothing of volumes", arguments.evidence),
                "give evidence of a node that was up, or its disk");
  const auto volumes = TRY_IN(arguments.evidence, codec::decode_volumes(part->second));
  return Found{TRY(chosen(volumes, arguments.volume, arguments.evidence))->header, nullptr};
}

Result<void> check_new(const std::string& path) {
  std::error_code ec;
  if (path.empty() || !fs::exists(path, ec)) return {};
  return fail(ErrorCode::usage, fmt::format("{} exists", path), "choose a name that is free");
}

Result<int> recover(const RecoverArguments& arguments) {
  if (arguments.disk.empty() == arguments.evidence.empty())
    return fail(ErrorCode::usage, "give one of --disk and --evidence");
  if (arguments.out.empty() && arguments.key_out.empty())
    return fail(ErrorCode::usage, "nothing to make", "give --out for what is on the volume, --key-out for its key");
  if (!arguments.out.empty() && arguments.disk.empty())
    return fail(ErrorCode::usage, "--out needs the volume itself", "give --disk");
  TRY(check_new(arguments.out));
  TRY(check_new(arguments.key_out));
  const auto key = TRY(signer::SigningKey::load(arguments.key));
  const auto found = TRY(find_volume(arguments));
  const auto* token = found.header.token(codec::luks_recovery_type);
  if (token == nullptr)
    return fail(ErrorCode::missing, "the volume has no recovery key",
                "its profile says recovery = false, or its first boot could not make one: only the TPM opens it");
  const auto passphrase = TRY(signer::open_recovery_message(token->recovery.message, key));
  if (!arguments.key_out.empty()) {
    if (found.volume) TRY(signer::check_passphrase(*found.volume, passphrase));
    auto file = TRY(OutputFile::create(arguments.key_out, 0600));
    TRY(file.write(passphrase));
    TRY(file.commit_new());
    say(fmt::format("recovery key: {}; cryptsetup open --key-file {} PARTITION NAME", arguments.key_out,
                    arguments.key_out));
  }
  if (arguments.out.empty()) return exit_ok;
  TerminalProgress progress;
  progress.step("decrypt", arguments.out);
  const auto volume = TRY(signer::decrypt_volume(*found.volume, passphrase, arguments.out));
  progress.finish();
  say(fmt::format("volume {}: {} MiB in {}, not encrypted; mount -o loop,ro {} /mnt", volume.uuid,
                  volume.size_bytes >> 20, arguments.out, arguments.out));
  return exit_ok;
}

}  // namespace

void add_recover(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("recover", "Open a volume without its TPM, by the operator's recovery key");
  command->footer(
      "Example: ingot recover --disk node.raw --volume models --key recovery.key --out models.img\n"
      "         ingot recover --evidence gpu-07.json --volume models --key recovery.key --key-out models.key\n"
      "The disk may be an image, a whole device, or the volume's partition alone; it is only read. Each volume keeps "
      "its\n"
      "recovery key in its header, encrypted to recovery.crt of the key folder that the image was built with; a node\n"
      "hands it out with its evidence.");
  auto arguments = std::make_shared<RecoverArguments>();
  command->add_option("--disk", arguments->disk, "Disk, disk image or partition with the volume");
  command->add_option("--evidence", arguments->evidence, "Evidence of the node, for the key alone");
  command->add_option("--volume", arguments->volume, "Its name; default: the only one");
  command->add_option("--key", arguments->key, "Private key of the operator's certificate: recovery.key")->required();
  add_pin_options(*command);
  command->add_option("--out", arguments->out, "New file for the decrypted file system, 0600");
  command->add_option("--key-out", arguments->key_out, "New file for the recovery key, 0600");
  command->callback([=, &action] { action = [arguments] { return recover(*arguments); }; });
}

}  // namespace ingot::cli
