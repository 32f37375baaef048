#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "ingot/builder/build.hpp"
#include "ingot/builder/release.hpp"
#include "ingot/check/image.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::builder {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t json_cap_bytes = 256u << 20;

struct Sides {
  SharedSource left;
  SharedSource right;
};
using Found = std::optional<Difference>;

/// Where two sources first differ; nothing when they are equal.
Result<std::optional<std::uint64_t>> first_difference(const ByteSource& left, const ByteSource& right) {
  constexpr std::uint64_t chunk_bytes = 1u << 20;
  const std::uint64_t common = std::min(left.size(), right.size());
  for (std::uint64_t at = 0; at < common; at += chunk_bytes) {
    const std::uint64_t size = std::min(chunk_bytes, common - at);
    const auto a = TRY(read_part(left, at, size, chunk_bytes));
    const auto b = TRY(read_part(right, at, size, chunk_bytes));
    const auto where = std::mismatch(a.begin(), a.end(), b.begin());
    if (where.first != a.end()) return std::optional(at + static_cast<std::uint64_t>(where.first - a.begin()));
  }
  if (left.size() == right.size()) return std::optional<std::uint64_t>{};
  return std::optional(common);
}

Result<Difference> at_byte(std::string structure, const Sides& sides, std::uint64_t at) {
  const auto show = [&](const ByteSource& source) -> Result<std::string> {
    if (at >= source.size()) return fmt::format("ends at byte {}", source.size());
    return fmt::format("byte {}: {}", at,
                       to_hex(TRY(read_part(source, at, std::min<std::uint64_t>(8, source.size() - at), 8))));
  };
  auto left = TRY(show(*sides.left));
  auto right = TRY(show(*sides.right));
  return Difference{std::move(structure), std::move(left), std::move(right)};
}

Result<Found> plain(const std::string& name, const Sides& sides) {
  const auto at = TRY(first_difference(*sides.left, *sides.right));
  if (!at) return Found{};
  return Found{TRY(at_byte(name, sides, *at))};
}

/// What an entry of a list says that it is of.
std::string label_of(const nlohmann::json& entry) {
  for (const auto* name : {"path", "name", "cause"})
    if (entry.is_object() && entry.contains(name) && entry[name].is_string()) return entry[name].get<std::string>();
  return {};
}

/// First JSON pointer at which two documents differ.
Found first_json_difference(const nlohmann::json& left, const nlohmann::json& right, const std::string& pointer) {
  const auto shorten = [](const nlohmann::json& value) {
    auto text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return text.size() > 200 ? text.substr(0, 200) + "..." : text;
  };
  if (left == right) return std::nullopt;
  if (left.is_object() && right.is_object()) {
    std::set<std::string> names;
    for (const auto& [name, value] : left.items()) names.insert(name);
    for (const auto& [name, value] : right.items()) names.insert(name);
    for (const auto& name : names) {
      if (!left.contains(name)) return Difference{pointer + "/" + name, "nothing", shorten(right[name])};
      if (!right.contains(name)) return Difference{pointer + "/" + name, shorten(left[name]), "nothing"};
      if (auto found = first_json_difference(left[name], right[name], pointer + "/" + name)) return found;
    }
  }
  if (left.is_array() && right.is_array()) {
    for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
      const std::string here = fmt::format("{}/{}", pointer, i);
      if (i >= left.size()) return Difference{here, "nothing", shorten(right[i])};
      if (i >= right.size()) return Difference{here, shorten(left[i]), "nothing"};
      // Entries of lists are told by what they are of, not by their number.
      const auto label = label_of(left[i]);
      if (auto found =
              first_json_difference(left[i], right[i], label.empty() ? here : fmt::format("{} ({})", here, label)))
        return found;
    }
  }
  return Difference{pointer, shorten(left), shorten(right)};
}

Result<nlohmann::json> read_json(const ByteSource& source, bool in_envelope) {
  auto bytes = TRY(read_all(source, json_cap_bytes));
  if (in_envelope) bytes = TRY(codec::decode_dsse(bytes)).payload;
  auto document = nlohmann::json::parse(bytes.begin(), bytes.end(), nullptr, false);
  if (document.is_discarded()) return fail(ErrorCode::malformed, "not a JSON document");
  return document;
}

Result<Found> json_document(const std::string& name, const Sides& sides, bool in_envelope) {
  if (!TRY(first_difference(*sides.left, *sides.right))) return Found{};
  auto found =
      first_json_difference(TRY(read_json(*sides.left, in_envelope)), TRY(read_json(*sides.right, in_envelope)), "");
  if (!found) return plain(name + (in_envelope ? ", signature" : ", white space"), sides);
  found->structure = fmt::format("{}, {}", name, found->structure.empty() ? "the whole document" : found->structure);
  return found;
}

/// Headers, then section by section, then what lies behind them: the signature.
Result<Found> uki(const std::string& name, const Sides& sides) {
  if (!TRY(first_difference(*sides.left, *sides.right))) return Found{};
  const auto left = TRY(codec::decode_pe(*sides.left));
  const auto right = TRY(codec::decode_pe(*sides.right));
  for (const auto& section : left.sections) {
    const auto* other = right.find(section.name);
    if (other == nullptr)
      return Found{Difference{fmt::format("{}, section {}", name, section.name), "there", "missing"}};
    Sides parts;
    parts.left = TRY(slice_source(sides.left, section.raw_offset, section.raw_size));
    parts.right = TRY(slice_source(sides.right, other->raw_offset, other->raw_size));
    const auto at = TRY(first_difference(*parts.left, *parts.right));
    if (!at) continue;
    auto found = TRY(at_byte(fmt::format("{}, section {}", name, section.name), parts, *at));
    constexpr std::array<std::string_view, 4> texts = {".cmdline", ".osrel", ".uname", ".sbat"};
    if (std::find(texts.begin(), texts.end(), section.name) != texts.end()) {
      found.left = std::string(as_text(TRY(read_all(*parts.left, 1u << 20))).substr(0, section.virtual_size));
      found.right = std::string(as_text(TRY(read_all(*parts.right, 1u << 20))).substr(0, other->virtual_size));
    }
    return Found{std::move(found)};
  }
  for (const auto& section : right.sections)
    if (left.find(section.name) == nullptr)
      return Found{Difference{fmt::format("{}, section {}", name, section.name), "missing", "there"}};
  const std::uint64_t at = *TRY(first_difference(*sides.left, *sides.right));
  return Found{TRY(at_byte(name + (at < left.size_of_headers ? ", PE headers" : ", signature"), sides, at))};
}

Result<Found> disk(const std::string& name, const Sides& sides) {
  const auto at = TRY(first_difference(*sides.left, *sides.right));
  if (!at) return Found{};
  const auto gpt = TRY(codec::decode_gpt(*sides.left));
  for (const auto& partition : gpt.partitions)
    if (*at / codec::lba_size_bytes >= partition.first_lba && *at / codec::lba_size_bytes <= partition.last_lba)
      return Found{TRY(at_byte(fmt::format("{}, partition {}", name, partition.name), sides, *at))};
  return Found{TRY(at_byte(name + ", GPT", sides, *at))};
}

Result<Found> compare_one(const std::string& name, const Sides& sides) {
  if (name == output::uki || name == output::probe) return uki(name, sides);
  if (name == output::disk) return disk(name, sides);
  if (name == output::baseline || name == output::provenance) return json_document(name, sides, true);
  if (name.ends_with(".json")) return json_document(name, sides, false);
  return plain(name, sides);
}

}  // namespace

Result<std::vector<Difference>> compare_builds(const std::string& left, const std::string& right) {
  // In the order in which one follows from the other, so that the first row is nearest to the cause.
  constexpr std::array names = {output::manifest,
                                output::root,
                                output::verity,
                                output::root_hash,
                                output::root_hash_signature,
                                output::uki,
                                output::probe,
                                output::first_stage,
                                output::esp,
                                output::disk,
                                output::vars,
                                output::baseline,
                                output::baseline_key,
                                output::sbom_cyclonedx,
                                output::sbom_spdx,
                                output::provenance};
  const auto is_missing = [](const std::string& path) {
    std::error_code ec;
    return !std::filesystem::exists(path, ec);
  };
  std::vector<Difference> differences;
  for (const std::string name : names) {
    // One chain has none; where one build has it and the other has not, that is an error as for any file.
    if (name == output::first_stage && is_missing(left + "/" + name) && is_missing(right + "/" + name)) continue;
    Sides sides;
    sides.left = TRY(file_source(left + "/" + name));
    sides.right = TRY(file_source(right + "/" + name));
    if (auto found = TRY_IN(name, compare_one(name, sides))) differences.push_back(*std::move(found));
  }
  return differences;
}

}  // namespace ingot::builder
