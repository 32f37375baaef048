// What somebody types to a bastion, its ranges and its file of nodes, with a NUL between them.
#include "fuzz.hpp"
#include "ingot/check/target.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto rest = as_text(Bytes(data, size));
  const auto take = [&] {
    const auto part = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    return part;
  };
  const auto name = take(), ranges = take(), nodes = rest;
  const auto found = check::find_target(name, ranges, nodes);
  if (found) {
    // Under its address it is the same, and without ranges it is nothing.
    const auto again = check::find_target(to_text(*found), ranges, "");
    FUZZ_REQUIRE(again && *again == *found);
    FUZZ_REQUIRE(!check::find_target(name, "", nodes));
    for (const char c : name) FUZZ_REQUIRE(c > ' ' && c < 0x7f && c != '%' && c != '/');
  }
  if (check::check_nodes(nodes, ranges))
    FUZZ_REQUIRE(check::find_target("no such node", ranges, nodes).has_value() == false);
  return 0;
}
