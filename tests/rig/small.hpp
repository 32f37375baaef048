// The small image for tests: made anew in each test's own folder (about 3 s), from a base tree that tests/rig/base
// fetched once.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#include "ingot/builder/base_tree.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/rig/rig.hpp"
#include "ingot/rig/small_image.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::test {

/// ctest shows a test that ends with 4 as skipped.
[[noreturn]] inline void skip(const std::string& why) {
  std::cerr << "SKIPPED: " << why << "\n";
  std::exit(4);
}

inline std::string base_tar() {
  const char* set = std::getenv("INGOT_BASE_TAR");
  std::string path = set != nullptr ? set : std::string(INGOT_SOURCE) + "/build/rig/base.tar";
  if (!std::filesystem::exists(path)) skip("no base tree at " + path + "; tests/rig/base makes it");
  return path;
}

template <typename T>
T must(Result<T> result) {
  if (!result) FAIL(describe(result.error()));
  return *std::move(result);
}
inline void must(Result<void> result) {
  if (!result) FAIL(describe(result.error()));
}

struct SmallFixture {
  SmallFixture() {
    const std::string agent_path = std::string(INGOT_BUILD) + "/ingot-agent";
    if (!std::filesystem::exists(agent_path)) skip("no agent at " + agent_path);
    base = must(builder::index_tar(base_tar(), builder::silent_progress()));
    image.parts = must(rig::small_image_parts(base));
    image.agent = must(file_source(agent_path));
    image.keys = folder.path() + "/keys";
    image.vars_template = "/usr/share/OVMF/OVMF_VARS_4M.fd";
    must(signer::init_keys(image.keys));
  }

  /// Folder of an image whose command line ends in `extra`.
  std::string cast(const std::string& name, const std::string& extra = {}) const {
    auto own = image;
    own.parts.command_line += extra;
    const std::string out = folder.path() + "/" + name;
    must(rig::make_small_image(own, out));
    return out;
  }

  static rig::BootRequest request(const std::string& out) {
    rig::BootRequest boot;
    boot.disk = out + "/" + builder::output::disk;
    boot.vars = out + "/" + builder::output::vars;
    boot.nonce = crypto::random_bytes(32);
    boot.timeout_seconds = 900;
    return boot;
  }

  builder::TemporaryFolder folder =
      must(builder::TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-"));
  builder::Tree base;
  rig::SmallImage image;
};

/// The outcome; how a boot ended that gave no evidence is told, since a test that expected evidence fails on it.
inline rig::BootOutcome boot(const rig::BootRequest& request) {
  auto outcome = must(rig::boot(request, builder::silent_progress()));
  std::cerr << "boot: " << to_text(outcome.end) << " after " << outcome.seconds << " s\n";
  if (outcome.end != rig::BootEnd::evidence) std::cerr << outcome.reason << "\n" << outcome.serial_tail;
  return outcome;
}

}  // namespace ingot::test
