#include "../../builder/pipeline/output_folder.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "ingot/builder/process.hpp"

using namespace ingot;
using namespace ingot::builder;
namespace fs = std::filesystem;

namespace {

TemporaryFolder scratch() { return TemporaryFolder::create(fs::temp_directory_path().string(), "ingot-test-").value(); }

void finish_build(OutputFolder& folder, const char* text) {
  for (const auto* name : {"baseline.json", "manifest.json"}) std::ofstream(folder.file(name)) << text;
  REQUIRE(folder.commit());
}

std::string content(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t count(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("output folder: a commit replaces the whole folder and leaves nothing beside it") {
  const auto top = scratch();
  const std::string out = top.path() + "/out";
  {
    auto folder = OutputFolder::open(out).value();
    CHECK(fs::is_empty(out));
    finish_build(folder, "first");
  }
  {
    auto folder = OutputFolder::open(out + "/").value();
    std::ofstream(folder.file("disk.raw")) << "second";
    finish_build(folder, "second");
  }
  CHECK(content(out + "/baseline.json") == "second");
  CHECK(fs::exists(out + "/disk.raw"));
  CHECK(count(top.path()) == 1);
}

TEST_CASE("output folder: a build that ends before its commit leaves the old result untouched") {
  const auto top = scratch();
  const std::string out = top.path() + "/out";
  {
    auto folder = OutputFolder::open(out).value();
    finish_build(folder, "old");
  }
  {
    auto folder = OutputFolder::open(out).value();
    std::ofstream(folder.file("disk.raw")) << "half";
  }
  CHECK(content(out + "/baseline.json") == "old");
  CHECK_FALSE(fs::exists(out + "/disk.raw"));
  CHECK(count(top.path()) == 1);
}

TEST_CASE("output folder: two builds at once, foreign files and leftovers") {
  const auto top = scratch();
  const std::string out = top.path() + "/out";
  auto first = OutputFolder::open(out).value();
  const auto second = OutputFolder::open(out);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::busy);
  CHECK(exit_status(second.error().code) == 3);

  const std::string foreign = top.path() + "/documents";
  fs::create_directory(foreign);
  std::ofstream(foreign + "/thesis.txt") << "precious";
  const auto refused = OutputFolder::open(foreign);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::usage);
  CHECK(content(foreign + "/thesis.txt") == "precious");

  // What a killed build left is cleared by the next one for the same folder, and only for that.
  fs::create_directory(top.path() + "/.killed.ingot-abcdef");
  fs::create_directory(top.path() + "/.other.ingot-abcdef");
  const auto cleared = OutputFolder::open(top.path() + "/killed").value();
  CHECK_FALSE(fs::exists(top.path() + "/.killed.ingot-abcdef"));
  CHECK(fs::exists(top.path() + "/.other.ingot-abcdef"));
}
