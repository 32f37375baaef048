#include "../../qemu/channel.hpp"

#include <catch2/catch.hpp>

using namespace ingot;

namespace {

struct Row {
  const char* name;
  std::string received;
  std::optional<std::string> body;
  std::optional<ErrorCode> error;
};

}  // namespace

TEST_CASE("evidence port: messages") {
  const Row row = GENERATE(values<Row>({
      {"nothing", "", std::nullopt, std::nullopt},
      {"half a line", "ingot-evidence/1 1", std::nullopt, std::nullopt},
      {"line without its body", "ingot-evidence/1 4\nabc", std::nullopt, std::nullopt},
      {"whole", "ingot-evidence/1 4\nabcd", "abcd", std::nullopt},
      {"empty body", "ingot-evidence/1 0\n", "", std::nullopt},
      {"bytes behind the body are not part of it", "ingot-evidence/1 2\nabcd", "ab", std::nullopt},
      {"the agent is there", "ingot-ready/1\n", "ready", std::nullopt},
      {"the agent of another version is there", "ingot-ready/2\n", std::nullopt, ErrorCode::malformed},
      {"the agent's error", "ingot-error/1 no TPM\n", std::nullopt, ErrorCode::tool_failed},
      {"another protocol", "hello\n", std::nullopt, ErrorCode::malformed},
      {"another version", "ingot-evidence/2 4\nabcd", std::nullopt, ErrorCode::malformed},
      {"length is no number", "ingot-evidence/1 four\nabcd", std::nullopt, ErrorCode::malformed},
      {"length is negative", "ingot-evidence/1 -1\nabcd", std::nullopt, ErrorCode::malformed},
      {"something behind the length", "ingot-evidence/1 4 \nabcd", std::nullopt, ErrorCode::malformed},
      {"no length", "ingot-evidence/1 \nabcd", std::nullopt, ErrorCode::malformed},
      {"length beyond every evidence", "ingot-evidence/1 99999999999\n", std::nullopt, ErrorCode::malformed},
      {"length beyond 64 bits", "ingot-evidence/1 99999999999999999999999\n", std::nullopt, ErrorCode::malformed},
      {"a line without end", std::string(5000, 'x'), std::nullopt, ErrorCode::malformed},
  }));
  INFO(row.name);
  const auto parsed = rig::parse_agent_message(as_bytes(row.received));
  REQUIRE(parsed.has_value() == !row.error.has_value());
  if (row.error) {
    CHECK(parsed.error().code == *row.error);
    return;
  }
  REQUIRE(parsed->has_value() == row.body.has_value());
  if (!row.body) return;
  CHECK((*parsed)->ready == (*row.body == "ready"));
  if (!(*parsed)->ready) CHECK(as_text((*parsed)->evidence) == *row.body);
}

TEST_CASE("evidence port: every prefix of a message is waited for, never an error") {
  const std::string message = "ingot-evidence/1 11\nhello there";
  for (std::size_t size = 0; size < message.size(); ++size) {
    const auto parsed = rig::parse_agent_message(as_bytes(std::string_view(message).substr(0, size)));
    INFO(size);
    REQUIRE(parsed);
    CHECK_FALSE(parsed->has_value());
  }
}
