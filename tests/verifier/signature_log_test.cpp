#include "ingot/codec/signature_log.hpp"

#include <catch2/catch.hpp>

using namespace ingot;
using namespace ingot::codec;

namespace {

SignatureEntry entry(const std::string& what, const Buffer& previous) {
  return {previous, "2026-11-29T21:40:00Z", "root",        "alice",      "builder-1",
          what,     Buffer(32, 1),          Buffer(32, 2), Buffer(32, 3)};
}

std::string three_lines() {
  std::string text;
  auto previous = empty_signature_log_head();
  for (const auto* what : {"one", "two \u00fc \"quoted\"", "three"}) {
    const auto line = encode_signature_entry(entry(what, previous)).value();
    previous = signature_line_hash(line);
    text += line + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("signature log: an entry comes back as it was, with and without what is optional") {
  auto one = entry("what", Buffer(32, 9));
  CHECK(decode_signature_entry(encode_signature_entry(one).value()).value() == one);
  one.login.clear();
  one.digest.clear();
  CHECK(decode_signature_entry(encode_signature_entry(one).value()).value() == one);
  CHECK(encode_signature_entry(entry(std::string(9000, 'x'), {})).error().code == ErrorCode::limit);
}

TEST_CASE("signature log: any byte that changes breaks the chain at its line, or at the next") {
  const auto text = three_lines();
  const auto whole = read_signature_log(as_bytes(text));
  REQUIRE_FALSE(whole.broken);
  REQUIRE(whole.entries.size() == 3);
  const auto last_line = text.rfind('\n', text.size() - 2) + 1;
  std::size_t line = 1;
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    const auto log = read_signature_log(as_bytes(changed));
    INFO("byte " << at << " of line " << line);
    // The last line's own words hang on no other line: its head is another one instead.
    if (at >= last_line && !log.broken)
      CHECK_FALSE(log.had_head(whole.head()));
    else
      CHECK((log.broken && log.broken->line >= line && log.broken->line <= line + 1));
    if (text[at] == '\n') ++line;
  }
}

TEST_CASE("signature log: lines that are taken away, added or exchanged are seen, at the end by a head of before") {
  const auto text = three_lines();
  const auto whole = read_signature_log(as_bytes(text));
  const auto second = text.find('\n') + 1, third = text.find('\n', second) + 1;
  const auto broken_at = [](const std::string& changed) {
    const auto log = read_signature_log(as_bytes(changed));
    return log.broken ? log.broken->line : 0;
  };
  CHECK(broken_at(text.substr(second)) == 1);
  CHECK(broken_at(text.substr(0, second) + text.substr(third)) == 2);
  CHECK(broken_at(text.substr(0, second) + text) == 2);
  CHECK(broken_at(text.substr(0, second) + text.substr(third) + text.substr(second, third - second)) == 2);
  CHECK(broken_at(text + "\n") == 4);
  CHECK(broken_at(text.substr(0, text.size() - 1)) == 3);
  const auto cut = read_signature_log(as_bytes(text.substr(0, third)));
  CHECK_FALSE(cut.broken);
  CHECK_FALSE(cut.had_head(whole.head()));
  CHECK(whole.had_head(cut.head()));
  CHECK(whole.had_head(empty_signature_log_head()));
  CHECK(read_signature_log({}).head() == empty_signature_log_head());
}

TEST_CASE("signature log: lines that are no entries are told apart") {
  const auto good = encode_signature_entry(entry("what", Buffer(32))).value();
  const auto with = [&](const std::string& what, const std::string& by) {
    auto line = good;
    line.replace(line.find(what), what.size(), by);
    return decode_signature_entry(line);
  };
  REQUIRE(with("what", "what"));
  CHECK_FALSE(with("\"time\"", "\"tine\""));
  CHECK_FALSE(with("\"host\"", "\"hosts\""));
  CHECK_FALSE(with("\"builder-1\"", "7"));
  CHECK_FALSE(with("0202", "02"));
  CHECK_FALSE(with("0303", "03zz"));
  CHECK_FALSE(with("{", "[{"));
  for (std::size_t size = 0; size < good.size(); ++size) CHECK_FALSE(decode_signature_entry(good.substr(0, size)));
}
