// The Debian 13 tree of tests/oracles as the base of a node, and rendered files for an overlay over it.
#pragma once

#include <filesystem>
#include <fstream>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/config.hpp"
#include "tool.hpp"

namespace ingot::test {

inline const std::string oracles = std::string(INGOT_SOURCE) + "/build/oracles";

/// As far as the settings ask for it: accounts, programs, modules of PAM.
inline builder::Tree oracle_tree() {
  namespace fs = std::filesystem;
  builder::Tree tree;
  for (const auto* folder : {"etc", "usr/bin", "usr/sbin", "usr/lib"})
    for (const auto& found : fs::recursive_directory_iterator(oracles + "/" + folder)) {
      const auto path =
          "/" + fs::relative(found.path().parent_path(), oracles).string() + "/" + found.path().filename().string();
      if (found.is_symlink()) {
        REQUIRE(tree.put_symlink(path, fs::read_symlink(found.path()).string()));
      } else if (found.is_regular_file()) {
        const bool is_config = path.starts_with("/etc/");
        REQUIRE(tree.put_file(path, is_config ? read_file(found.path().string(), 1u << 24).value() : Buffer{},
                              static_cast<unsigned>(found.status().permissions())));
      }
    }
  REQUIRE(tree.put_symlink("/bin", "usr/bin"));
  return tree;
}

/// A part's files and links below `folder`; what it removes is added to the list FOLDER.removed.
inline void write_part(const std::string& folder, const builder::ConfigPart& part) {
  namespace fs = std::filesystem;
  for (const auto& file : part.files) {
    const auto target = folder + file.path;
    fs::create_directories(fs::path(target).parent_path());
    REQUIRE(write_file(target, file.content));
    fs::permissions(target, static_cast<fs::perms>(file.mode));
  }
  for (const auto& link : part.links) {
    const auto path = folder + link.path;
    fs::create_directories(fs::path(path).parent_path());
    if (!fs::is_symlink(path)) fs::create_symlink(link.target, path);
  }
  std::ofstream removed(folder + ".removed", std::ios::app);
  for (const auto& gone : part.removed) removed << gone << "\n";
}

}  // namespace ingot::test
