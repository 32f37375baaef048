// Volumes beside the partitions of a cast disk: ../config/volumes.md.
#include "ingot/builder/volume.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "../profile/reader.hpp"
#include "ingot/base/descriptor.hpp"
#include "ingot/codec/event_data.hpp"
#include "ingot/crypto/random.hpp"

namespace ingot::builder {
namespace {

constexpr std::uint64_t grain_bytes = 4096;  // of systemd-repart
constexpr std::uint64_t smallest_bytes = 64u << 20;

std::uint64_t round_down(std::uint64_t bytes) { return bytes / grain_bytes * grain_bytes; }
std::uint64_t round_up(std::uint64_t bytes) { return round_down(bytes + grain_bytes - 1); }
std::uint64_t backup_at(const codec::Gpt& gpt, const codec::EncodedGpt& table) {
  return gpt.disk_size_lba * codec::lba_size_bytes - table.backup.size();
}

/// The table, when both copies are on the disk as encode_gpt() has them. The first block is the firmware's of old.
Result<codec::Gpt> read_cast_table(const ByteSource& disk) {
  auto gpt = TRY_IN("not a disk of ingot's", codec::decode_gpt(disk));
  const auto table = TRY(codec::encode_gpt(gpt));
  const auto holds = [&](std::uint64_t at, Bytes bytes) -> Result<bool> {
    return std::ranges::equal(TRY(read_part(disk, at, bytes.size(), bytes.size())), bytes);
  };
  if (disk.size() % codec::lba_size_bytes != 0 ||
      !TRY(holds(codec::lba_size_bytes, Bytes(table.primary).subspan(codec::lba_size_bytes))) ||
      !TRY(holds(backup_at(gpt, table), table.backup)))
    return fail(
        ErrorCode::malformed,
        "the partition table, or its copy at the end, is not as it was cast: the disk was enlarged, cut, or in use",
        "take a fresh copy of the image's disk.raw");
  return gpt;
}

/// As the baseline judges PCR 5: the image's partitions as cast, and beside them only what its node may add.
Result<void> check_image(const codec::Gpt& gpt, const Baseline& baseline) {
  const auto event = std::find_if(baseline.events.begin(), baseline.events.end(),
                                  [](const auto& one) { return std::holds_alternative<GptMeaning>(one.meaning); });
  const auto image = fmt::format("{} version {}", baseline.profile, baseline.version);
  const GptMeaning* wanted = event == baseline.events.end() ? nullptr : &std::get<GptMeaning>(event->meaning);
  const auto holds = [](const auto& list, const auto& one) {
    return std::find(list.begin(), list.end(), one) != list.end();
  };
  if (wanted == nullptr || !holds(wanted->allowed_types, codec::ingot_volume_type))
    return fail(ErrorCode::unsupported,
                fmt::format("{} has no volumes: no node may add a partition to its disk", image),
                "add [[volume]] to its profile, and build it");
  const auto golden = TRY_IN(image, codec::decode_measured_gpt(wanted->golden));
  const bool is_same =
      golden.disk == gpt.disk &&
      std::ranges::all_of(golden.partitions, [&](const auto& one) { return holds(gpt.partitions, one); }) &&
      std::ranges::all_of(gpt.partitions, [&](const auto& one) {
        return holds(golden.partitions, one) || holds(wanted->allowed_types, one.type);
      });
  if (!is_same)
    return fail(ErrorCode::malformed, fmt::format("this is not the disk of {}: it has other partitions", image),
                "give the baseline that was built with it");
  return {};
}

Result<void> check_name(const codec::Gpt& gpt, const std::string& name) {
  if (!is_volume_name(name))
    return fail(ErrorCode::usage, fmt::format("\"{}\" is no name of a volume", name), "give it as the profile has it");
  for (const auto& partition : gpt.partitions)
    if (partition.name == name)
      return fail(ErrorCode::usage, fmt::format("there is a partition \"{}\" already", name),
                  "take a fresh copy of the image's disk.raw");
  return {};
}

Result<void> check_maker(const NodeVolume& volume) {
  switch (volume.maker) {
    case VolumeMaker::any:
      return {};
    case VolumeMaker::shares:
      return fail(ErrorCode::unsupported, fmt::format("the key of \"{}\" is not the TPM's alone", volume.name),
                  "let the node make it: volumes are sealed before where the TPM alone opens them");
    case VolumeMaker::in_place:
      return fail(ErrorCode::unsupported,
                  fmt::format("\"{}\" has integrity, or is erased on a redeployment: the node makes it", volume.name),
                  "seal volumes without these before; volumes.md says what each is for");
  }
  return fail(ErrorCode::internal, "a maker of volumes that is none");
}

/// systemd-repart knows volumes by type and order alone: one that is left out would be made by the node in the place of
/// another.
Result<void> check_order(const codec::Gpt& gpt, const Baseline& baseline, const std::string& name) {
  const auto& volumes = baseline.volumes;
  for (const auto& volume : volumes)
    if (volume.name == name) TRY(check_maker(volume));
  const auto made = static_cast<std::size_t>(std::ranges::count(gpt.partitions, codec::ingot_volume_type,
                                                                [](const auto& partition) { return partition.type; }));
  const auto image = fmt::format("{} version {}", baseline.profile, baseline.version);
  if (made >= volumes.size())
    return fail(ErrorCode::usage, fmt::format("the disk has all {} volumes of {}", volumes.size(), image));
  if (volumes[made].name == name) return {};
  return fail(ErrorCode::usage,
              fmt::format("the next volume of {} is \"{}\", not \"{}\"", image, volumes[made].name, name),
              "seal all volumes of the profile, in its order");
}

Result<void> write_synced(int disk, std::uint64_t at, Bytes bytes) {
  while (!bytes.empty()) {
    const auto put = ::pwrite(disk, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(io_error("writing the disk", errno));
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    at += static_cast<std::uint64_t>(put);
  }
  if (::fsync(disk) != 0) return fail(io_error("writing the disk", errno));
  return {};
}

}  // namespace

Result<VolumePlace> place_volume(const ByteSource& disk, const Baseline& baseline, const VolumeWish& wish) {
  VolumePlace place{TRY(read_cast_table(disk))};
  TRY(check_image(place.gpt, baseline));
  TRY(check_name(place.gpt, wish.name));
  TRY(check_order(place.gpt, baseline, wish.name));
  const auto wanted = wish.size.empty() ? smallest_bytes : TRY(detail::parse_size(wish.size));
  if (wanted < smallest_bytes)
    return fail(ErrorCode::limit, fmt::format("a volume of {}; the smallest has 64 MiB", wish.size));
  std::uint64_t end_lba = codec::gpt_first_usable_lba;
  for (const auto& partition : place.gpt.partitions) end_lba = std::max(end_lba, partition.last_lba + 1);
  place.offset_bytes = round_up(end_lba * codec::lba_size_bytes);
  const auto end = round_down(backup_at(place.gpt, TRY(codec::encode_gpt(place.gpt))));
  const auto room = end - std::min(end, place.offset_bytes);
  if (wanted > room)
    return fail(
        ErrorCode::limit,
        fmt::format("image too small: the volume \"{}\" needs {} bytes, there is room for {}", wish.name, wanted, room),
        "give a smaller --size, or the volume more room in the profile");
  place.size_bytes = wish.size.empty() ? room : round_up(wanted);
  place.gpt.partitions.push_back({codec::ingot_volume_type, crypto::random_guid(),
                                  place.offset_bytes / codec::lba_size_bytes,
                                  (place.offset_bytes + place.size_bytes) / codec::lba_size_bytes - 1, 0, wish.name});
  TRY(codec::encode_gpt(place.gpt));
  return place;
}

Result<void> write_volume(const std::string& disk_path, const VolumePlace& place, Bytes header) {
  const auto table = TRY(codec::encode_gpt(place.gpt));
  const Descriptor disk(::open(disk_path.c_str(), O_RDWR | O_CLOEXEC));
  if (!disk.is_open()) return fail(io_error(fmt::format("opening {}", disk_path), errno));
  const std::pair<std::uint64_t, Bytes> writes[] = {
      {place.offset_bytes, header},
      {backup_at(place.gpt, table), table.backup},
      {codec::lba_size_bytes, Bytes(table.primary).subspan(codec::lba_size_bytes)}};
  for (const auto& [at, bytes] : writes) TRY_IN(disk_path, write_synced(disk.get(), at, bytes));
  return {};
}

}  // namespace ingot::builder
