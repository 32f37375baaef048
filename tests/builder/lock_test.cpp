#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "ingot/builder/base_tree.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

Lock sample() {
  return {"trixie",
          std::string(64, 'a'),
          {{"base-files", "13.8", "amd64", std::string(64, '1'), 73200},
           {"libc6", "1:2.41-12+deb13u4~x", "amd64", std::string(64, '2'), 1}}};
}

}  // namespace

TEST_CASE("a lock comes back as it was written") {
  const auto text = render_lock(sample());
  CHECK(parse_lock("x.lock", text).value() == sample());
  CHECK(render_lock(parse_lock("x.lock", text).value()) == text);
}

TEST_CASE("every truncation of a lock is an error or a lock with fewer packages") {
  const auto text = render_lock(sample());
  for (std::size_t size = 0; size < text.size(); ++size) {
    INFO(size);
    const auto lock = parse_lock("x.lock", std::string_view(text).substr(0, size));
    if (lock) CHECK((lock->packages.size() < 2 || size + 1 == text.size()));
    if (!lock) CHECK(lock.error().at->file == "x.lock");
  }
}

TEST_CASE("a bad lock is told with its place") {
  const std::string a(64, 'a');
  const auto head = "ingot-lock 1\nsuite trixie\nrequest " + a + "\n";
  struct Row {
    std::string name, text;
    std::uint32_t line, column;
  };
  const auto row = GENERATE_COPY(values<Row>({
      {"empty", "", 0, 1},
      {"something else", "[package]\n", 1, 1},
      {"another version", "ingot-lock 2\n", 1, 1},
      {"no suite", "ingot-lock 1\nrequest " + a + "\n", 2, 1},
      {"a short request", "ingot-lock 1\nsuite trixie\nrequest aa\n", 3, 9},
      {"no packages", head, 3, 1},
      {"an unknown line", head + "pakage a 1 all " + a + " 1\n", 4, 1},
      {"a field missing", head + "package a 1 all " + a + "\n", 4, 1},
      {"a field too many", head + "package a 1 all " + a + " 1 2\n", 4, 1},
      {"a path for a name", head + "package ../a 1 all " + a + " 1\n", 4, 9},
      {"an option for a name", head + "package -oX 1 all " + a + " 1\n", 4, 9},
      {"a slash in a version", head + "package a 1/2 all " + a + " 1\n", 4, 11},
      {"a digest in capitals", head + "package a 1 all " + std::string(64, 'A') + " 1\n", 4, 17},
      {"a size that is none", head + "package a 1 all " + a + " 1x\n", 4, 82},
      {"a size that overflows", head + "package a 1 all " + a + " 99999999999999999999\n", 4, 82},
      {"a package twice", head + "package a 1 all " + a + " 1\npackage a 2 all " + a + " 1\n", 5, 9},
      {"packages out of order", head + "package b 1 all " + a + " 1\n# comment\npackage a 2 all " + a + " 1\n", 6, 9},
  }));
  INFO(row.name);
  const auto lock = parse_lock("x.lock", row.text);
  REQUIRE_FALSE(lock);
  INFO(describe(lock.error()));
  CHECK(lock.error().code == ErrorCode::malformed);
  REQUIRE(lock.error().at);
  CHECK(lock.error().at->line == row.line);
  CHECK(lock.error().at->column == row.column);
  CHECK(lock.error().remedy.find("--update-lock") != std::string::npos);
}
