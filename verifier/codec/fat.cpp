#include "ingot/codec/fat.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "ingot/base/reader.hpp"

namespace ingot::codec {
namespace {

constexpr std::size_t entry_size = 32;
constexpr std::size_t entry_cap = 4096;
constexpr std::size_t depth_cap = 16;
constexpr std::uint32_t end_of_chain = 0x0FFFFFF8;
constexpr std::uint8_t attribute_directory = 0x10;
constexpr std::uint8_t attribute_volume_id = 0x08;
constexpr std::uint8_t attribute_long_name = 0x0F;

struct Volume {
  SharedSource source;
  std::uint32_t cluster_size = 0;
  std::uint64_t fat_offset = 0;
  std::uint64_t data_offset = 0;
  std::uint32_t cluster_count = 0;
  std::uint32_t root_cluster = 0;
};

Error malformed(std::string message, std::uint64_t offset) {
  return Error{ErrorCode::malformed, std::move(message), {}, offset, std::nullopt};
}

// "Boot Sector and BPB", "FAT Type Determination".
Result<Volume> decode_boot_sector(SharedSource source) {
  const auto sector = TRY(read_part(*source, 0, 512, 512));
  Reader in{sector};
  in.skip(11);
  const std::uint32_t sector_size = in.u16le();
  const std::uint32_t sectors_per_cluster = in.u8();
  const std::uint32_t reserved = in.u16le();
  const std::uint32_t fats = in.u8();
  const std::uint32_t root_entries = in.u16le();
  const std::uint32_t small_total = in.u16le();
  in.skip(1);
  const std::uint32_t small_fat_size = in.u16le();
  in.skip(8);
  const std::uint32_t total = in.u32le();
  const std::uint64_t fat_size = in.u32le();
  in.skip(4);
  Volume volume{std::move(source), 0, 0, 0, 0, in.u32le()};
  const bool power_of_two = sectors_per_cluster != 0 && (sectors_per_cluster & (sectors_per_cluster - 1)) == 0;
  if (sector_size != 512 || !power_of_two || fats == 0 || root_entries != 0 || small_total != 0 ||
      small_fat_size != 0 || sector[510] != 0x55 || sector[511] != 0xAA)
    return fail(malformed("not a FAT32 volume with 512-byte sectors", 0));
  const std::uint64_t overhead = reserved + fats * fat_size;
  if (std::uint64_t{total} * 512 > volume.source->size() || overhead >= total)
    return fail(malformed("the FAT32 volume is larger than what holds it, or smaller than its own tables", 32));
  volume.cluster_size = sectors_per_cluster * 512;
  volume.fat_offset = std::uint64_t{reserved} * 512;
  volume.data_offset = overhead * 512;
  volume.cluster_count = static_cast<std::uint32_t>((total - overhead) / sectors_per_cluster);
  if (volume.cluster_count > fat_size * 128) return fail(malformed("the FAT is too small for its volume", 36));
  return volume;
}

/// The clusters of one file, in order. A chain can't be longer than the volume has clusters, so a loop is found.
Result<std::vector<std::uint32_t>> chain(const Volume& volume, std::uint32_t first, std::uint64_t cluster_cap) {
  std::vector<std::uint32_t> clusters;
  std::array<std::uint8_t, 4> raw{};
  for (std::uint32_t at = first; at < end_of_chain;) {
    if (at < 2 || at - 2 >= volume.cluster_count)
      return fail(malformed(fmt::format("cluster {} is outside the volume", at), volume.fat_offset));
    if (clusters.size() >= cluster_cap)
      return fail(malformed("a cluster chain is longer than its file", volume.fat_offset));
    clusters.push_back(at);
    const std::uint64_t offset = volume.fat_offset + std::uint64_t{at} * 4;
    TRY(volume.source->read(offset, raw));
    at = Reader{raw}.u32le() & 0x0FFFFFFF;
  }
  return clusters;
}

class ChainSource final : public ByteSource {
 public:
  ChainSource(const Volume& volume, std::vector<std::uint32_t> clusters, std::uint64_t size)
      : volume_(volume), clusters_(std::move(clusters)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<void> read(std::uint64_t offset, MutableBytes into) const override {
    if (offset > size_ || into.size() > size_ - offset)
      return fail(malformed("read past the end of a file on the ESP", offset));
    while (!into.empty()) {
      const std::uint64_t within = offset % volume_.cluster_size;
      const auto part =
          into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), volume_.cluster_size - within)));
      const std::uint64_t cluster = clusters_[static_cast<std::size_t>(offset / volume_.cluster_size)];
      TRY(volume_.source->read(volume_.data_offset + (cluster - 2) * volume_.cluster_size + within, part));
      offset += part.size();
      into = into.subspan(part.size());
    }
    return {};
  }

 private:
  Volume volume_;
  std::vector<std::uint32_t> clusters_;
  std::uint64_t size_;
};

// "Long File Name Implementation": 13 UTF-16 units an entry, last part first.
void prepend_long_name(Buffer& name, Bytes entry) {
  Buffer part;
  for (const auto& [at, count] : {std::pair{1u, 10u}, std::pair{14u, 12u}, std::pair{28u, 4u}}) {
    const Bytes units = entry.subspan(at, count);
    part.insert(part.end(), units.begin(), units.end());
  }
  for (std::size_t i = 0; i + 1 < part.size(); i += 2)
    if (part[i] == 0 && part[i + 1] == 0) {
      part.resize(i);
      break;
    }
  name.insert(name.begin(), part.begin(), part.end());
}

std::string short_name(Bytes entry) {
  const auto field = [&](std::size_t at, std::size_t size) {
    std::string text(as_text(entry.subspan(at, size)));
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  const std::string extension = field(8, 3);
  return extension.empty() ? field(0, 8) : field(0, 8) + "." + extension;
}

/// "Long File Name Implementation", ChkSum(): what ties long name entries to the entry that they are of.
std::uint8_t short_name_checksum(Bytes entry) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < 11; ++i) sum = ((sum & 1u) << 7 | (sum & 0xFFu) >> 1) + entry[i];
  return static_cast<std::uint8_t>(sum);
}

/// "." and "..", which every folder but the root starts with.
bool is_dot_entry(Bytes entry) {
  const auto name = as_text(entry.first(11));
  return (entry[11] & attribute_directory) != 0 && (name == ".          " || name == "..         ");
}

/// FAT compares names without regard to case.
std::string upper(std::string name) {
  for (char& c : name)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return name;
}

/// A name that could be mistaken for a path, or for none, would let a file pass for another.
bool is_plain(std::string_view name) {
  return !name.empty() && std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '/' || c == '\\' || c == '\x7F';
  });
}

class Lister {
 public:
  explicit Lister(Volume volume) : volume_(std::move(volume)) {}

  Result<void> folder(std::uint32_t first_cluster, const std::string& prefix, std::size_t depth) {
    if (depth > depth_cap) return fail(malformed("folders on the ESP are nested too deeply", volume_.data_offset));
    const std::uint64_t cap = entry_cap * entry_size / volume_.cluster_size + 1;
    auto clusters = TRY(chain(volume_, first_cluster, cap));
    const std::uint64_t size = clusters.size() * std::uint64_t{volume_.cluster_size};
    const auto bytes = TRY(read_all(ChainSource(volume_, std::move(clusters), size), size));
    Buffer long_name;
    std::uint8_t checksum = 0;
    std::set<std::string> names;
    for (std::size_t at = 0; at + entry_size <= bytes.size(); at += entry_size) {
      const Bytes entry = Bytes(bytes).subspan(at, entry_size);
      if (entry[0] == 0) break;
      if (++seen_ > entry_cap) return fail(malformed("more than 4096 entries on the ESP", volume_.data_offset));
      const std::uint8_t attributes = entry[11];
      if (entry[0] != 0xE5 && attributes == attribute_long_name) {
        prepend_long_name(long_name, entry);
        checksum = entry[13];
        continue;
      }
      if (entry[0] != 0xE5 && !is_dot_entry(entry) && (attributes & attribute_volume_id) == 0) {
        if (!long_name.empty() && checksum != short_name_checksum(entry))
          return fail(malformed("a long name on the ESP belongs to no entry", volume_.data_offset));
        const auto name = long_name.empty() ? short_name(entry) : from_utf16le(long_name);
        if (!is_plain(name) || !names.insert(upper(name)).second)
          return fail(malformed(fmt::format("entry {} of folder \"/{}\" on the ESP has no usable name, or a taken one",
                                            at / entry_size, prefix),
                                volume_.data_offset));
        TRY(one(entry, prefix + name, depth));
      }
      long_name.clear();
    }
    return {};
  }

  std::vector<FatFile> take() { return std::move(files_); }
  [[nodiscard]] std::uint32_t root() const { return volume_.root_cluster; }

 private:
  Result<void> one(Bytes entry, const std::string& path, std::size_t depth) {
    Reader in{entry};
    in.skip(20);
    const std::uint32_t high = in.u16le();
    in.skip(4);
    const std::uint32_t first = high << 16 | in.u16le();
    const std::uint64_t size = in.u32le();
    if ((entry[11] & attribute_directory) != 0) return folder(first, path + "/", depth + 1);
    const std::uint64_t wanted = (size + volume_.cluster_size - 1) / volume_.cluster_size;
    auto clusters = size == 0 ? std::vector<std::uint32_t>{} : TRY(chain(volume_, first, wanted));
    if (clusters.size() != wanted)
      return fail(malformed(fmt::format("{} is shorter than its size says", path), volume_.fat_offset));
    files_.push_back({path, size, std::make_shared<ChainSource>(volume_, std::move(clusters), size)});
    return {};
  }

  Volume volume_;
  std::vector<FatFile> files_;
  std::size_t seen_ = 0;
};

}  // namespace

Result<std::vector<FatFile>> list_fat32(const SharedSource& volume) {
  Lister lister(TRY(decode_boot_sector(volume)));
  TRY(lister.folder(lister.root(), "", 0));
  return lister.take();
}

}  // namespace ingot::codec
