#include "swaps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "ingot/base/source.hpp"
#include "ingot/codec/report.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr const char* swaps = "/proc/swaps";
constexpr const char* block_devices = "/sys/class/block";
constexpr std::string_view devices = "/dev/";
constexpr std::string_view white_space = " \t";
constexpr std::uint64_t table_cap_bytes = 1u << 20;
constexpr std::uint64_t attribute_cap_bytes = 4096;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    lines.push_back(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(lines.back().size() + 1, text.size()));
  }
  return lines;
}

/// Of a file of sysfs; empty where there is none.
std::string first_line(const fs::path& path) {
  const auto text = read_file(path.string(), attribute_cap_bytes);
  return text ? std::string(as_text(*text).substr(0, as_text(*text).find('\n'))) : std::string();
}

std::string label_of(const fs::path& device) {
  constexpr std::string_view key = "PARTNAME=";
  const auto text = read_file((device / "uevent").string(), attribute_cap_bytes);
  if (!text) return {};
  for (const auto line : lines_of(as_text(*text)))
    if (line.starts_with(key)) return std::string(line.substr(key.size()));
  return {};
}

/// "label NAME" of the device, or of those that it is mapped to.
std::vector<std::string> labels_of(const fs::path& device) {
  std::vector<std::string> labels = {label_of(device)};
  std::error_code ec;
  for (const auto& below : fs::directory_iterator(device / "slaves", ec)) labels.push_back(label_of(below.path()));
  std::sort(labels.begin(), labels.end());
  std::erase(labels, "");
  return labels;
}

/// Facts of a device that sysfs knows under the path's name.
std::string device_facts(const std::string& root, std::string_view path) {
  if (!path.starts_with(devices)) return {};
  std::string name(path.substr(devices.size()));
  std::replace(name.begin(), name.end(), '/', '!');  // sysfs writes "cciss!c0d0"
  const auto device = fs::path(root + block_devices) / name;
  std::string out;
  for (const auto& label : labels_of(device)) out += fmt::format("\tlabel {}", label);
  if (const auto mapped = first_line(device / "dm/name"); !mapped.empty()) out += fmt::format("\tmapped {}", mapped);
  if (const auto uuid = first_line(device / "dm/uuid"); !uuid.empty()) out += fmt::format("\tuuid {}", uuid);
  return out;
}

}  // namespace

Result<std::string> report_swaps(const std::string& root) {
  const auto text = TRY(read_file(root + swaps, table_cap_bytes));
  auto rows = lines_of(as_text(text));
  if (rows.empty() || !rows.front().starts_with("Filename"))
    return fail(ErrorCode::malformed, fmt::format("{} does not begin with its heading", swaps));
  rows.erase(rows.begin());
  std::string out;
  for (const auto row : rows) {  // white space inside the path is written as "\040"
    const auto path = row.substr(0, row.find_first_of(white_space));
    const auto rest = row.substr(std::min(row.find_first_not_of(white_space, path.size()), row.size()));
    const auto type = rest.substr(0, rest.find_first_of(white_space));
    if (path.empty() || type.empty())
      return fail(ErrorCode::malformed, fmt::format("a line of {}: \"{}\"", swaps, codec::report_text(as_bytes(row))));
    out += codec::report_text(as_bytes(fmt::format("{}\t{}{}", path, type, device_facts(root, path)))) + "\n";
  }
  return out;
}

}  // namespace ingot::agent
