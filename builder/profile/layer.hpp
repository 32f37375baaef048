// One profile file applied over what it extends.
#pragma once

#include <map>

#include "command_line.hpp"
#include "ingot/model/profile.hpp"
#include "network.hpp"

namespace ingot::builder::detail {

/// A profile while its files are applied, base first, with what only the end can judge.
struct Draft {
  Profile profile;
  std::optional<Located<Compression>> compression;
  std::optional<Located<int>> compression_level;
  std::optional<TextLocation> filesystem_at;
  std::map<std::string, ExtraFile> files;  ///< by path
  NetworkDraft network;
  ShellAccess shell = ShellAccess::refused;
  TextLocation end;  ///< of the file that was asked for: where missing keys are reported
};

/// Applies one file's tables. `folder` is where the file lies: sources and images are relative to it.
Result<void> apply_layer(Draft& draft, const TableReader& top, const std::string& folder);
/// `[files]`, in files.cpp.
Result<void> apply_files(Draft& draft, const TableReader& files, const std::string& folder);

/// Content of a file that the profile names; it lies below the profile's folder, links included. In files.cpp.
Result<Buffer> read_source(const Located<std::string>& source, const std::string& folder);
/// `[shipping]` and `[collector]`, in shipping.cpp.
Result<void> apply_shipping(Draft& draft, const TableReader& table, const std::string& folder);
Result<void> apply_collector(Draft& draft, const TableReader& table);
Result<void> finish_shipping(const Draft& draft);

/// What only shows when all files are applied: required keys, contradictions, defaults.
Result<Profile> finish(Draft draft);

}  // namespace ingot::builder::detail
