#include "shim.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "ingot/codec/report.hpp"
#include "ingot/crypto/hash.hpp"
#include "secureboot_text.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t variable_count_cap = 256;
/// A list that is too long for one variable goes on in MokListRT1, MokListRT2 (shim, mok.c).
constexpr std::string_view list_names[] = {"MokListRT", "MokListXRT"};

bool is_list(std::string_view name) {
  return std::any_of(std::begin(list_names), std::end(list_names), [&](std::string_view list) {
    return name.starts_with(list) && name.find_first_not_of("0123456789", list.size()) == name.npos;
  });
}

/// Names and subjects are whoever's: they must not end a field.
std::string as_field(std::string_view text) {
  auto field = codec::report_text(as_bytes(text));
  std::replace_if(
      field.begin(), field.end(), [](char c) { return c == '\t' || c == '\n'; }, ' ');
  return field;
}

std::string entries_text(Bytes lists) {
  const auto entries = entries_of(lists);
  if (!entries) return "\tno signature list";
  std::string out;
  for (const auto& entry : *entries) {
    if (entry.kind == "certificate")
      out += fmt::format("\tcertificate {} {}", entry.sha256, as_field(entry.subject));
    else if (entry.kind == "sha256")
      out += fmt::format("\tdigest {}", entry.sha256);
    else
      out += fmt::format("\t{}", as_field(entry.text));
  }
  return out;
}

std::string line_of(std::string_view name, const EfiVariable& variable) {
  auto line = fmt::format("{}\t{}\t{} bytes\tsha256 {}", as_field(name),
                          (variable.attributes & efi_variable_non_volatile) != 0 ? "kept" : "of this boot",
                          variable.data.size(), to_hex(crypto::sha256(variable.data)));
  if (is_list(name))
    line += entries_text(variable.data);
  else if (variable.data.size() == 1)
    line += fmt::format("\tvalue {}", variable.data.front());
  return line + "\n";
}

}  // namespace

Result<std::string> report_shim(const std::string& efivars) {
  TRY(check_efivars(efivars));
  const auto ending = "-" + to_text(codec::shim_lock_guid);
  std::vector<std::string> names;
  std::error_code ec;
  for (auto at = fs::directory_iterator(efivars, ec); !ec && at != fs::directory_iterator(); at.increment(ec)) {
    const auto file = at->path().filename().string();
    if (!file.ends_with(ending)) continue;
    names.push_back(file.substr(0, file.size() - ending.size()));
    if (names.size() > variable_count_cap)
      return fail(ErrorCode::limit, fmt::format("more than {} variables of shim's", variable_count_cap));
  }
  if (ec) return fail(io_error(efivars, ec.value()));
  std::sort(names.begin(), names.end());
  std::string out;
  for (const auto& name : names)
    if (const auto variable = TRY(read_variable(variable_path(efivars, name, codec::shim_lock_guid))))
      out += line_of(name, *variable);
  return out;
}

}  // namespace ingot::agent
