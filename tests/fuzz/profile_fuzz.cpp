// TOML by tomlplusplus, and our reading of it: a profile in a folder of its own.
#include <cstdio>
#include <filesystem>

#include "fuzz.hpp"
#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto folder =
      builder::TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-fuzz-").value();
  static const auto path = folder.path() + "/profile.toml";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  FUZZ_REQUIRE(file != nullptr);
  FUZZ_REQUIRE(std::fwrite(data, 1, size, file) == size);
  FUZZ_REQUIRE(std::fclose(file) == 0);
  const auto profile = builder::load_profile(path);
  if (!profile) {
    FUZZ_REQUIRE(!profile.error().message.empty());
    return 0;
  }
  FUZZ_REQUIRE(!profile->name.empty() && profile->version >= 1);
  for (const auto& parameter : profile->kernel.command_line)
    for (const char c : parameter) FUZZ_REQUIRE(c > 0x20 && c < 0x7F);
  return 0;
}
