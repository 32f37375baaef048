#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/volume.hpp"
#include "ingot/fleet/storage_key.hpp"
#include "ingot/signer/volume.hpp"

namespace ingot::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t public_key_cap_bytes = 64u << 10;
/// Headers that reach the disk together: a process may have 1,024 files open.
constexpr std::size_t batch = 256;
constexpr std::string_view storage_key_ending = ".srk.pub", header_ending = ".header.img";

struct SealArguments {
  std::string storage_keys;
  std::string baseline;
  std::string platform;
  std::string key;
  std::string policy_key;
  std::string out;
  std::string image;
  builder::VolumeWish volume;
  bool json = false;
};

/// One node's header to be made.
struct Order {
  std::string storage_key_path;
  codec::TpmPublic storage_key;
  std::string out;
};

Result<codec::TpmPublic> read_storage_key(const std::string& path) {
  const auto file = TRY(read_file(path, public_key_cap_bytes));
  auto key = TRY_IN(path, fleet::decode_public_file(file));
  TRY_IN(path, fleet::check_storage_key(key));
  return key;
}

Result<Order> read_order(const std::string& storage_key_path, const std::string& out) {
  std::error_code ec;
  if (fs::exists(fs::symlink_status(out, ec)))
    return fail(ErrorCode::usage, fmt::format("{} exists, and may be the only key to a volume", out),
                "move it away, or choose another --out");
  auto key = TRY(read_storage_key(storage_key_path));
  return Order{storage_key_path, std::move(key), out};
}

/// The nodes of a folder of storage keys, in the order of their names.
Result<std::vector<std::string>> node_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code ec;
  for (auto entry = fs::directory_iterator(folder, ec); !ec && entry != fs::directory_iterator(); entry.increment(ec))
    if (const auto name = entry->path().filename().string(); name.ends_with(storage_key_ending))
      names.push_back(name.substr(0, name.size() - storage_key_ending.size()));
  if (ec) return fail(io_error(fmt::format("reading {}", folder), ec.value()));
  std::sort(names.begin(), names.end());
  if (names.empty() || names.front().empty())
    return fail(ErrorCode::missing,
                names.empty() ? fmt::format("{} holds no NODE{}", folder, storage_key_ending)
                              : fmt::format("{}/{} has the name of no node", folder, storage_key_ending),
                "name each node's storage key after the node");
  return names;
}

/// All keys are read before the first header is made: a mistake in the last one leaves nothing behind.
Result<std::vector<Order>> read_orders(const SealArguments& arguments) {
  std::vector<Order> orders;
  std::error_code ec;
  if (!fs::is_directory(arguments.storage_keys, ec)) {
    orders.push_back(TRY(read_order(arguments.storage_keys, arguments.out)));
    return orders;
  }
  for (const auto& name : TRY(node_names(arguments.storage_keys)))
    orders.push_back(TRY(read_order(fmt::format("{}/{}{}", arguments.storage_keys, name, storage_key_ending),
                                    fmt::format("{}/{}{}", arguments.out, name, header_ending))));
  fs::create_directories(arguments.out, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", arguments.out), ec.value()));
  return orders;
}

Result<measure::VolumePolicy> read_policy(const SealArguments& arguments, const crypto::PublicKey& key,
                                          const Baseline& baseline) {
  const auto platform = TRY(load_platform(arguments.platform, key));
  const auto pem = TRY(read_file(arguments.policy_key, public_key_cap_bytes));
  const auto policy_key = TRY_IN(arguments.policy_key, crypto::PublicKey::from_pem(as_text(pem)));
  return measure::volume_policy(baseline, platform, policy_key);
}

/// In batches, each on the disk before the next begins. At an error `made` holds the headers that are there, whole.
Result<void> make_headers(const std::vector<Order>& orders, const signer::VolumeSealer& sealer,
                          std::vector<std::string>& made) {
  TerminalProgress progress;
  progress.step("seal", fmt::format("{} volume headers", orders.size()));
  while (made.size() < orders.size()) {
    std::vector<OutputFile> drafts;
    std::vector<std::string> uuids;
    for (auto at = made.size(); at < orders.size() && drafts.size() < batch; ++at) {
      progress.at(at, orders.size());
      const auto header = TRY_IN(orders[at].storage_key_path, sealer.header_for(orders[at].storage_key));
      drafts.push_back(TRY(signer::header_file(header, orders[at].out)));
      uuids.push_back(header.uuid);
    }
    TRY(commit_all_new(std::move(drafts)));
    made.insert(made.end(), uuids.begin(), uuids.end());
  }
  progress.finish();
  return {};
}

Result<int> seal_into_files(const SealArguments& arguments, const measure::VolumePolicy& policy) {
  const auto sealer = TRY(signer::VolumeSealer::under(policy));
  const auto orders = TRY(read_orders(arguments));
  std::vector<std::string> made;
  if (auto done = make_headers(orders, sealer, made); !done) {
    if (!made.empty())
      say(fmt::format("{} of {} headers are made, and whole: up to {}", made.size(), orders.size(),
                      orders[made.size() - 1].out));
    return fail(std::move(done).error());
  }
  auto headers = nlohmann::json::array();
  for (std::size_t at = 0; at < orders.size(); ++at)
    headers.push_back({{"storage_key", orders[at].storage_key_path}, {"header", orders[at].out}, {"uuid", made[at]}});
  if (arguments.json) print(nlohmann::json{{"policy", to_hex(policy.digest)}, {"headers", headers}}.dump(2) + "\n");
  say(fmt::format("sealed: {} under policy {}", arguments.out, to_hex(policy.digest)));
  return exit_ok;
}

/// Puts the volume onto a node's own copy of the image's disk.
Result<int> seal_into_image(const SealArguments& arguments, const measure::VolumePolicy& policy,
                            const Baseline& baseline) {
  const auto sealer = TRY(signer::VolumeSealer::under(policy));
  const auto key = TRY(read_storage_key(arguments.storage_keys));
  const auto disk = TRY(file_source(arguments.image));
  const auto place = TRY_IN(arguments.image, builder::place_volume(*disk, baseline, arguments.volume));
  const auto header = TRY_IN(arguments.storage_keys, sealer.header_for(key));
  TRY(builder::write_volume(arguments.image, place, signer::header_bytes(header)));
  if (arguments.json)
    print(nlohmann::json{{"policy", to_hex(policy.digest)},
                         {"image", arguments.image},
                         {"storage_key", arguments.storage_keys},
                         {"volume", arguments.volume.name},
                         {"uuid", header.uuid},
                         {"offset_bytes", place.offset_bytes},
                         {"size_bytes", place.size_bytes}}
              .dump(2) +
          "\n");
  say(fmt::format("sealed: {}, volume {} of {} bytes, under policy {}", arguments.image, arguments.volume.name,
                  place.size_bytes, to_hex(policy.digest)));
  return exit_ok;
}

Result<void> check_arguments(const SealArguments& arguments) {
  const bool is_image = !arguments.image.empty();
  if (is_image == !arguments.out.empty())
    return fail(ErrorCode::usage, "either --out for headers in files, or --image for a disk that a volume is put onto");
  if (is_image == arguments.volume.name.empty() || (!is_image && !arguments.volume.size.empty()))
    return fail(ErrorCode::usage, "--image needs --volume NAME, and only it takes --volume and --size");
  std::error_code ec;
  if (is_image && fs::is_directory(arguments.storage_keys, ec))
    return fail(ErrorCode::usage, fmt::format("{} is a folder; a disk is one node's", arguments.storage_keys),
                "give the storage key of the node that the disk is for");
  if (is_image && fs::exists(arguments.image, ec) && !fs::is_regular_file(arguments.image, ec))
    return fail(ErrorCode::usage, fmt::format("{} is not a file", arguments.image),
                "seal into a copy of disk.raw, then write that onto the node's disk");
  return {};
}

Result<int> seal(const SealArguments& arguments) {
  TRY(check_arguments(arguments));
  const auto key = TRY(baseline_key(arguments.key, arguments.baseline));
  const auto baseline = TRY(load_baseline(arguments.baseline, key));
  const auto policy = TRY(read_policy(arguments, key, baseline));
  return arguments.image.empty() ? seal_into_files(arguments, policy) : seal_into_image(arguments, policy, baseline);
}

}  // namespace

void add_seal(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("seal", "Make volumes that only one node opens, and only with this image, offline");
  command->footer(
      "Example: ingot seal --srk gpu-07.srk.pub --baseline out/training/baseline.json --platform platform.json \\\n"
      "             --key keys/baseline.pub --policy-key keys/pcr.pub --out gpu-07.header.img\n"
      "The storage key comes from the node, once: tpm2_readpublic -c 0x81000001 -o gpu-07.srk.pub\n"
      "The header is the start of the volume: dd if=gpu-07.header.img of=PARTITION conv=notrunc,fsync\n"
      "Onto the disk itself: ... --image gpu-07.raw --volume models; several volumes in the profile's order, none left "
      "out.\n"
      "It opens with PCR 7 as predicted, PCR 11 signed by the policy key, and PCR 15 still untouched. There is no "
      "other\n"
      "key until the node's first boot makes one for recovery: header or TPM lost before that, data lost.");
  auto arguments = std::make_shared<SealArguments>();
  command
      ->add_option("--srk", arguments->storage_keys,
                   "Public storage root key of the node's TPM, or a folder of NODE.srk.pub")
      ->required();
  command->add_option("--baseline", arguments->baseline, "Signed baseline of the image that opens the volume")
      ->required();
  command->add_option("--platform", arguments->platform, "Signed platform of the node's machine class")->required();
  command->add_option("--key", arguments->key, "Public key that baseline and platform are signed with");
  command->add_option("--policy-key", arguments->policy_key, "Public key that signs PCR 11 of releases: pcr.pub")
      ->required();
  command->add_option("--out", arguments->out, "New file; for a folder of storage keys a folder, NODE.header.img each");
  command->add_option("--image", arguments->image, "Instead: the node's own copy of disk.raw, which gets the volume");
  command->add_option("--volume", arguments->volume.name, "With --image: the volume's name, as the profile has it");
  command->add_option("--size", arguments->volume.size, "With --image: \"100GiB\"; without it all the room there is");
  command->add_flag("--json", arguments->json, "UUIDs and the policy as JSON on standard output");
  command->callback([=, &action] { action = [arguments] { return seal(*arguments); }; });
}

}  // namespace ingot::cli
