#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ingot/builder/release.hpp"

namespace ingot::builder {
namespace {

constexpr const char* format_name = "ingot-manifest/1";

const char* type_name(EntryType type) {
  switch (type) {
    case EntryType::file:
      return "file";
    case EntryType::directory:
      return "directory";
    case EntryType::symlink:
      return "symlink";
    case EntryType::character_device:
      return "character-device";
    case EntryType::block_device:
      return "block-device";
    case EntryType::fifo:
      return "fifo";
  }
  return "";
}

nlohmann::json entry_json(const std::string& path, const TreeEntry& entry) {
  nlohmann::json out{{"path", path},
                     {"type", type_name(entry.type)},
                     {"mode", fmt::format("{:04o}", entry.mode)},
                     {"uid", entry.uid},
                     {"gid", entry.gid}};
  if (!entry.hard_link_to.empty()) out["hard_link_to"] = entry.hard_link_to;
  if (entry.type == EntryType::file) out["size"] = entry.size_bytes, out["sha256"] = entry.sha256;
  if (entry.type == EntryType::symlink) out["target"] = entry.link_target;
  if (entry.type == EntryType::character_device || entry.type == EntryType::block_device)
    out["device"] = fmt::format("{}:{}", entry.device_major, entry.device_minor);
  for (const auto& [name, value] : entry.xattrs) out["xattrs"][name] = to_hex(value);
  return out;
}

bool is_text(const nlohmann::json& object, const char* name, std::string_view wanted) {
  return object.is_object() && object.contains(name) && object[name].is_string() &&
         object[name].get_ref<const std::string&>() == wanted;
}

}  // namespace

std::string render_manifest(const Tree& tree) {
  std::string out = fmt::format("{{\"format\":\"{}\",\"entries\":[", format_name);
  const char* separator = "\n";
  for (const auto& [path, entry] : tree.entries) {
    // Paths are bytes; the few that are not UTF-8 are written with replacement characters and are told apart by their
    // digest.
    out += separator + entry_json(path, entry).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    separator = ",\n";
  }
  return out + "\n]}\n";
}

Result<std::vector<FileDigest>> parse_manifest(Bytes json) {
  const auto document = nlohmann::json::parse(json.begin(), json.end(), nullptr, false);
  const auto bad = [](std::string message) {
    return fail(ErrorCode::malformed, "manifest: " + std::move(message), "give the manifest.json of a build");
  };
  if (!is_text(document, "format", format_name)) return bad(fmt::format("not of format {}", format_name));
  const auto entries = document.find("entries");
  if (entries == document.end() || !entries->is_array()) return bad("no entries");
  std::vector<FileDigest> files;
  for (const auto& entry : *entries) {
    if (!entry.is_object() || !entry.contains("path") || !entry["path"].is_string())
      return bad("an entry without a path");
    if (!is_text(entry, "type", "file")) continue;
    if (!entry.contains("sha256") || !entry["sha256"].is_string())
      return bad(fmt::format("{} has no digest", entry["path"].get<std::string>()));
    files.push_back({entry["path"].get<std::string>(), entry["sha256"].get<std::string>()});
  }
  return files;
}

}  // namespace ingot::builder
