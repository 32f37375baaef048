#include "ingot/model/address.hpp"

#include <catch2/catch.hpp>

using namespace ingot;

namespace {

IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }
IpRange range(std::string_view text) { return IpRange::parse(text).value(); }

}  // namespace

TEST_CASE("addresses are read and written in their canonical text") {
  struct Row {
    const char *text, *canonical;
  };
  const auto row = GENERATE(values<Row>({{"10.0.0.1", "10.0.0.1"},
                                         {"255.255.255.255", "255.255.255.255"},
                                         {"FD00:0:0::0010", "fd00::10"},
                                         {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
                                         {"::", "::"}}));
  CHECK(to_text(address(row.text)) == row.canonical);
  CHECK(address(row.canonical) == address(row.text));
}

TEST_CASE("what is not an address, a network or a range is none") {
  for (const auto* text :
       {"", "10.0.0", "10.0.0.256", "10.0.0.01", " 10.0.0.1", "10.0.0.1\n", "fd00::1%eth0", "fd00:::1", "1"})
    CHECK_FALSE(IpAddress::parse(text));
  CHECK_FALSE(IpAddress::parse(std::string_view("10.0.0.1\0", 9)));
  for (const auto* text : {"10.0.0.0", "10.0.0.1/24", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1",
                           "fd00::/129", "/8", "10.0.0.0/8/8"})
    CHECK_FALSE(IpPrefix::parse(text));
  for (const auto* text :
       {"10.0.0.2-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.1-", "-10.0.0.1", "10.0.0.1-10.0.0.2-10.0.0.3"})
    CHECK_FALSE(IpRange::parse(text));
}

TEST_CASE("networks know their last address and what lies in them") {
  const auto ten = IpPrefix::parse("10.0.0.0/23").value();
  CHECK(to_text(ten.last()) == "10.0.1.255");
  CHECK(ten.contains(address("10.0.1.255")));
  CHECK_FALSE(ten.contains(address("10.0.2.0")));
  CHECK_FALSE(ten.contains(address("a00::")));  // the same leading bytes in the other family
  CHECK(overlap(ten, *IpPrefix::parse("10.0.1.0/24")));
  CHECK(overlap(*IpPrefix::parse("10.0.1.0/24"), ten));
  CHECK_FALSE(overlap(ten, *IpPrefix::parse("10.0.2.0/24")));
  CHECK(IpPrefix::all(IpFamily::v6).contains(address("ffff::")));
  CHECK(to_text(IpPrefix::parse("fd00::/65")->last()) == "fd00::7fff:ffff:ffff:ffff");
}

TEST_CASE("neighbours of an address carry over bytes and stop at the ends") {
  CHECK(to_text(*next(address("10.0.255.255"))) == "10.1.0.0");
  CHECK(to_text(*previous(address("10.1.0.0"))) == "10.0.255.255");
  CHECK(to_text(*next(address("fd00::ffff"))) == "fd00::1:0");
  CHECK_FALSE(next(address("255.255.255.255")));
  CHECK_FALSE(previous(address("::")));
}

TEST_CASE("ranges: taking some out of others") {
  struct Row {
    const char* name;
    std::vector<const char*> from, taken, left;
  };
  const auto row = GENERATE(values<Row>({
      {"nothing", {"10.0.0.0/30"}, {}, {"10.0.0.0-10.0.0.3"}},
      {"the middle", {"10.0.0.0/24"}, {"10.0.0.4-10.0.0.7"}, {"10.0.0.0-10.0.0.3", "10.0.0.8-10.0.0.255"}},
      {"the start", {"10.0.0.0/24"}, {"9.0.0.0-10.0.0.7"}, {"10.0.0.8-10.0.0.255"}},
      {"the very last address", {"0.0.0.0/0"}, {"255.255.255.255"}, {"0.0.0.0-255.255.255.254"}},
      {"all", {"10.0.0.0/24", "10.0.1.0/24"}, {"10.0.0.0/23"}, {}},
      {"of the other family", {"::/0"}, {"0.0.0.0/0"}, {"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}},
      {"two from one", {"::-::9"}, {"::1", "::3-::8"}, {"::", "::2", "::9"}},
  }));
  INFO(row.name);
  std::vector<IpRange> from, taken;
  for (const auto* text : row.from) from.push_back(range(text));
  for (const auto* text : row.taken) taken.push_back(range(text));
  std::vector<std::string> left;
  for (const auto& one : subtract(from, taken)) left.push_back(to_text(one));
  CHECK(left == std::vector<std::string>(row.left.begin(), row.left.end()));
}

TEST_CASE("address: a range is the fewest prefixes") {
  struct Row {
    const char* range;
    std::vector<const char*> prefixes;
  };
  const Row rows[] = {{"10.0.0.8-10.0.0.15", {"10.0.0.8/29"}},
                      {"10.0.0.1-10.0.0.6", {"10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"}},
                      {"0.0.0.0-255.255.255.255", {"0.0.0.0/0"}},
                      {"255.255.255.255", {"255.255.255.255/32"}},
                      {"10.0.0.255-10.0.1.0", {"10.0.0.255/32", "10.0.1.0/32"}},
                      {"fd00::8-fd00::f", {"fd00::8/125"}},
                      {"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", {"::/0"}}};
  for (const auto& row : rows) {
    CAPTURE(row.range);
    std::vector<std::string> found;
    for (const auto& prefix : prefixes_of(IpRange::parse(row.range).value())) found.push_back(to_text(prefix));
    CHECK(found == std::vector<std::string>(row.prefixes.begin(), row.prefixes.end()));
  }
}
