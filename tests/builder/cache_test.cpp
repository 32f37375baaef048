#include "ingot/builder/cache.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"

using namespace ingot;
using namespace ingot::builder;

TEST_CASE("cache: keys tell apart what a plain concatenation would not") {
  const auto key = [](const char* a, const char* b) { return StepInputs("s").add("n", a).add("m", b).key(); };
  CHECK(key("x", "y") == key("x", "y"));
  CHECK(key("x", "y") != key("xy", ""));
  CHECK(StepInputs("s").add("a", "b").key() != StepInputs("t").add("a", "b").key());
  CHECK(StepInputs("s").add("a", "b").add("c", "d").key() != StepInputs("s").add("c", "d").add("a", "b").key());
}

TEST_CASE("cache: a result is made once; a step that fails leaves nothing") {
  const auto folder = TemporaryFolder::create(std::filesystem::temp_directory_path().string(), "ingot-test-");
  REQUIRE(folder);
  StepCache cache(folder->path());
  int made = 0;
  const auto make = [&](const std::string& path) {
    ++made;
    return write_file(path, as_bytes("result"));
  };
  const auto inputs = StepInputs("step").add("n", "v");
  const auto first = cache.get(inputs, silent_progress(), make);
  const auto second = cache.get(inputs, silent_progress(), make);
  REQUIRE(first);
  CHECK(*first == *second);
  CHECK(made == 1);

  const auto failing = StepInputs("step").add("n", "bad");
  const auto failed = cache.get(failing, silent_progress(), [&](const std::string& path) -> Result<void> {
    std::ofstream(path) << "half";
    return fail(ErrorCode::tool_failed, "no");
  });
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message == "step: no");
  CHECK(std::distance(std::filesystem::directory_iterator(folder->path() + "/steps/step"), {}) == 1);
}
