#include "index_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "archive.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/builder/base_tree.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::builder::detail {
namespace {

// magic, tar count, tars (name, size, mtime), entry count, entries, SHA-256 of all that. Integers little-endian, texts
// with a 32-bit length before them. Ours alone and thrown away when anything is odd, so it has no compatibility to
// keep.
constexpr std::string_view magic = "ingot-index/2\n";
constexpr std::size_t digest_bytes = 32;
constexpr std::uint64_t index_cap_bytes = 1u << 30;
constexpr std::uint32_t tar_count_cap = 4096;

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}
std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

void write_text(Writer& out, std::string_view text) { out.u32le(static_cast<std::uint32_t>(text.size())).text(text); }
std::string read_text(Reader& in) { return std::string(as_text(in.bytes(in.u32le()))); }

/// Size and time: a tar in the cache is written once and renamed into place, so another one has another time.
struct Stamp {
  std::uint64_t size_bytes = 0;
  std::uint64_t time_nanoseconds = 0;
  bool operator==(const Stamp&) const = default;
};
std::optional<Stamp> stamp_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return Stamp{static_cast<std::uint64_t>(info.st_size),
               static_cast<std::uint64_t>(info.st_mtim.tv_sec) * 1'000'000'000U +
                   static_cast<std::uint64_t>(info.st_mtim.tv_nsec)};
}

Result<void> write_content(Writer& out, const TreeEntry& entry, const std::vector<std::string>& tars) {
  const auto* content = dynamic_cast<const TarContent*>(entry.content.get());
  if (entry.content == nullptr) {
    out.u32le(0);
    return {};
  }
  const auto tar = content == nullptr ? tars.end() : std::find(tars.begin(), tars.end(), content->tar().path);
  if (tar == tars.end()) return fail(ErrorCode::internal, "a file that lies in none of the indexed archives");
  out.u32le(static_cast<std::uint32_t>(content->segments().size()))
      .u32le(static_cast<std::uint32_t>(tar - tars.begin()));
  for (const auto& segment : content->segments())
    out.u64le(segment.at_bytes).u64le(segment.size_bytes).u64le(segment.stored_bytes);
  return {};
}

void write_entry(Writer& out, const std::string& path, const TreeEntry& entry) {
  write_text(out, path);
  out.u8(static_cast<std::uint8_t>(entry.type)).u32le(entry.mode).u32le(entry.uid).u32le(entry.gid);
  write_text(out, entry.link_target);
  write_text(out, entry.hard_link_to);
  out.u32le(entry.device_major).u32le(entry.device_minor).u64le(entry.size_bytes);
  write_text(out, entry.sha256);
  out.u32le(static_cast<std::uint32_t>(entry.xattrs.size()));
  for (const auto& [name, value] : entry.xattrs) {
    write_text(out, name);
    write_text(out, as_text(value));
  }
}

std::optional<EntryType> entry_type(std::uint8_t number) {
  for (const auto type : {EntryType::file, EntryType::directory, EntryType::symlink, EntryType::character_device,
                          EntryType::block_device, EntryType::fifo})
    if (static_cast<std::uint8_t>(type) == number) return type;
  return std::nullopt;
}

TreeEntry read_entry(Reader& in) {
  TreeEntry entry;
  const auto type = entry_type(in.u8());
  if (!type) in.fail_with("no such entry type");
  entry.type = type.value_or(EntryType::file);
  entry.mode = in.u32le();
  entry.uid = in.u32le();
  entry.gid = in.u32le();
  entry.link_target = read_text(in);
  entry.hard_link_to = read_text(in);
  entry.device_major = in.u32le();
  entry.device_minor = in.u32le();
  entry.size_bytes = in.u64le();
  entry.sha256 = read_text(in);
  for (auto left = in.u32le(); left > 0 && in.ok(); --left) {
    auto name = read_text(in);
    entry.xattrs[std::move(name)] = to_buffer(in.bytes(in.u32le()));
  }
  return entry;
}

Result<SharedSource> read_content(Reader& in, const std::vector<SharedTar>& tars, std::uint64_t size_bytes) {
  const auto count = in.u32le();
  if (count == 0) return SharedSource{};
  const auto number = in.u32le();
  std::vector<TarContent::Segment> segments;
  for (auto left = count; left > 0 && in.ok(); --left) {
    const auto at = in.u64le();
    const auto size = in.u64le();
    segments.push_back({at, size, in.u64le()});
  }
  if (!in.ok() || number >= tars.size()) return fail(ErrorCode::malformed, "the index is damaged");
  return TarContent::make(tars[number], std::move(segments), size_bytes);
}

Result<std::vector<SharedTar>> open_tars(Reader& in, const std::string& folder) {
  std::vector<SharedTar> tars;
  const auto count = in.u32le();
  if (count > tar_count_cap) return fail(ErrorCode::limit, "the index is damaged");
  for (auto left = count; left > 0 && in.ok(); --left) {
    const auto path = fmt::format("{}/{}", folder, read_text(in));
    const auto size = in.u64le();
    if (stamp_of(path) != Stamp{size, in.u64le()}) return fail(ErrorCode::malformed, "the index is of another archive");
    auto bytes = TRY(file_source(path));
    tars.push_back(std::make_shared<const TarFile>(TarFile{path, std::move(bytes)}));
  }
  return tars;
}

Result<Tree> decode_index(Bytes file, const std::string& folder) {
  if (file.size() < digest_bytes) return fail(ErrorCode::malformed, "the index is damaged");
  const auto body = file.first(file.size() - digest_bytes);
  if (crypto::sha256(body) != to_buffer(file.last(digest_bytes)))
    return fail(ErrorCode::malformed, "the index is damaged");
  Reader in(body);
  if (as_text(in.bytes(magic.size())) != magic) return fail(ErrorCode::unsupported, "an index of another version");
  const auto tars = TRY(open_tars(in, folder));
  Tree tree;
  for (auto left = in.u64le(); left > 0 && in.ok(); --left) {
    auto path = read_text(in);
    auto entry = read_entry(in);
    entry.content = TRY(read_content(in, tars, entry.size_bytes));
    tree.entries.emplace_hint(tree.entries.end(), std::move(path), std::move(entry));
  }
  return in.finish(std::move(tree));
}

}  // namespace

Result<void> save_index(const Tree& tree, const std::vector<std::string>& tars, const std::string& index_path) {
  Writer out;
  out.text(magic).u32le(static_cast<std::uint32_t>(tars.size()));
  for (const auto& tar : tars) {
    const auto stamp = stamp_of(tar);
    if (!stamp) return fail(ErrorCode::missing, fmt::format("{} is gone", tar));
    write_text(out, name_of(tar));
    out.u64le(stamp->size_bytes).u64le(stamp->time_nanoseconds);
  }
  out.u64le(tree.entries.size());
  for (const auto& [path, entry] : tree.entries) {
    write_entry(out, path, entry);
    TRY_IN(path, write_content(out, entry, tars));
  }
  out.bytes(crypto::sha256(out.view()));
  return write_file(index_path, out.view());
}

std::optional<Tree> load_index(const std::string& index_path) {
  const auto file = read_file(index_path, index_cap_bytes);
  if (!file) return std::nullopt;
  auto tree = decode_index(*file, folder_of(index_path));
  if (!tree) return std::nullopt;
  return *std::move(tree);
}

Result<Tree> cached_index(const std::string& tar_path, Progress& progress) {
  const auto index_path = tar_path + ".index";
  if (auto tree = load_index(index_path)) return *std::move(tree);
  auto tree = TRY(index_tar(tar_path, progress));
  TRY(save_index(tree, {tar_path}, index_path));
  return tree;
}

}  // namespace ingot::builder::detail
