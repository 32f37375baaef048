// EFI System Partitions by dosfstools and mtools.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "draft.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/builder/image.hpp"

namespace ingot::builder {
namespace {

constexpr std::uint64_t sector_bytes = 512;
/// Microsoft "FAT32 File System Specification" 1.03, "FAT Type Determination": firmware takes anything smaller for
/// FAT16.
constexpr std::uint64_t fat32_cluster_count_min = 65525;

/// What a firmware's FAT driver and mtools' command line agree on without quoting.
Result<void> check_path(std::string_view path) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::malformed, fmt::format("\"{}\" cannot go on the EFI System Partition: {}", path, why));
  };
  if (path.size() > 255) return refuse("the name is too long");
  for (std::string_view rest = path;;) {
    const auto name = rest.substr(0, rest.find('/'));
    if (name.empty() || name == "." || name == "..") return refuse("a folder without a proper name");
    if (name.front() == ' ' || name.back() == ' ' || name.back() == '.')
      return refuse("FAT drops a space or dot there");
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+ ";
    if (name.find_first_not_of(allowed) != std::string_view::npos)
      return refuse("only letters, digits, and \"._-+ \" are allowed");
    if (name.size() == rest.size()) return {};
    rest.remove_prefix(name.size() + 1);
  }
}

/// FAT compares names without case.
std::string folded(std::string_view name) {
  std::string out(name);
  for (auto& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

/// Every folder that the files need, parents first, each once.
std::vector<std::string> folders_of(const std::vector<EspFile>& files) {
  std::vector<std::string> folders;
  std::set<std::string> known;
  for (const auto& file : files)
    for (auto slash = file.path.find('/'); slash != std::string::npos; slash = file.path.find('/', slash + 1))
      if (const auto folder = file.path.substr(0, slash); known.insert(folded(folder)).second)
        folders.push_back(folder);
  return folders;
}

Result<void> check_files(const std::vector<EspFile>& files) {
  std::set<std::string> known;
  for (const auto& file : files) {
    TRY(check_path(file.path));
    if (!known.insert(folded(file.path)).second)
      return fail(ErrorCode::malformed, fmt::format("\"{}\" is on the EFI System Partition twice", file.path));
  }
  for (const auto& folder : folders_of(files))
    if (known.contains(folded(folder)))
      return fail(ErrorCode::malformed,
                  fmt::format("\"{}\" is both a file and a folder of the EFI System Partition", folder));
  return {};
}

/// mtools takes SOURCE_DATE_EPOCH for "now" and stores local time; we run tools with TZ=UTC.
Result<void> run_mtool(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  command.environment = {{"SOURCE_DATE_EPOCH", std::to_string(image_time)}, {"MTOOLSRC", "/dev/null"}};
  (void)TRY(run_checked(command));
  return {};
}

/// "Boot Sector and BPB" and "FAT Type Determination" of the specification.
Result<std::uint64_t> cluster_count(const std::string& path) {
  const auto sector = TRY(read_part(*TRY(file_source(path)), 0, sector_bytes, sector_bytes));
  Reader in{sector};
  in.skip(13);
  const std::uint64_t sectors_per_cluster = in.u8();
  const std::uint64_t reserved = in.u16le();
  const std::uint64_t fats = in.u8();
  in.skip(2);
  const std::uint64_t small_total = in.u16le();
  in.skip(11);
  const std::uint64_t large_total = in.u32le();
  const std::uint64_t total = small_total != 0 ? small_total : large_total;
  const std::uint64_t fat_sectors = in.u32le();
  const auto used = reserved + fats * fat_sectors;
  if (!in.ok() || sectors_per_cluster == 0 || used > total)
    return fail(ErrorCode::internal, "mkfs.vfat made no FAT32 boot sector");
  return (total - used) / sectors_per_cluster;
}

}  // namespace

Result<void> make_esp(const std::vector<EspFile>& files, std::uint64_t size_bytes, std::uint32_t volume_id,
                      const std::string& out_path) {
  TRY(check_files(files));
  if (size_bytes == 0 || size_bytes % (1u << 20) != 0)
    return fail(ErrorCode::usage,
                fmt::format("an EFI System Partition of {} bytes is not a whole number of MiB", size_bytes));
  std::uint64_t content_bytes = 0;
  for (const auto& file : files) content_bytes += TRY(file_source(file.from))->size();
  if (content_bytes >= size_bytes)
    return fail(
        ErrorCode::limit,
        fmt::format("{} bytes of files do not fit an EFI System Partition of {} bytes", content_bytes, size_bytes),
        "set disk.esp_size higher");

  const auto folder = TRY(detail::draft_folder(out_path));
  const auto draft = folder.path() + "/esp";
  {
    auto empty = TRY(OutputFile::create(draft));
    TRY(empty.truncate(size_bytes));
    TRY(empty.commit());
  }
  // --invariant fixes the creation time and, unless -i comes after it, the volume id. No label: with one, two bytes of
  // its entry differ between runs (dosfstools 4.2).
  (void)TRY(run_checked({.argv = {"mkfs.vfat", "-F", "32", "-S", std::to_string(sector_bytes), "--invariant", "-i",
                                  fmt::format("{:08x}", volume_id), draft}}));
  const auto clusters = TRY(cluster_count(draft));
  if (clusters < fat32_cluster_count_min)
    return fail(ErrorCode::limit,
                fmt::format("an EFI System Partition of {} bytes has {} clusters; FAT32 needs {}", size_bytes, clusters,
                            fat32_cluster_count_min),
                "set disk.esp_size to 260 MiB or more");
  for (const auto& each : folders_of(files)) TRY(run_mtool({"mmd", "-i", draft, "::" + each}));
  for (const auto& file : files) TRY(run_mtool({"mcopy", "-i", draft, file.from, "::" + file.path}));
  return detail::publish_draft(draft, out_path);
}

}  // namespace ingot::builder
