#include "ingot/check/target.hpp"

#include <catch2/catch.hpp>

using namespace ingot;
using namespace ingot::check;

namespace {

constexpr std::string_view ranges =
    "training 10.10.1.0-10.10.1.255\ntraining fd00:10::1:0-fd00:10::1:ffff\nstorage 10.10.3.1\n";
constexpr std::string_view nodes =
    "# rack 4\ngpu-1 10.10.1.5\ngpu-1.rack4\tfd00:10::1:5 # the same\nelse 192.0.2.1\ntwice 10.10.1.6\ntwice "
    "10.10.1.7\n";

}  // namespace

TEST_CASE("target: an address or a name, where a flow leads") {
  struct Row {
    std::string name, address;
  };
  const auto row = GENERATE(values<Row>({{"10.10.1.5", "10.10.1.5"},
                                         {"10.10.3.1", "10.10.3.1"},
                                         {"gpu-1", "10.10.1.5"},
                                         {"gpu-1.rack4", "fd00:10::1:5"},
                                         {"FD00:10:0:0:0:0:1:5", "fd00:10::1:5"}}));
  INFO(row.name);
  const auto found = find_target(row.name, ranges, nodes);
  REQUIRE(found);
  CHECK(to_text(*found) == row.address);
}

TEST_CASE("target: everything else is refused") {
  struct Row {
    std::string defect, name;
  };
  const auto row = GENERATE(values<Row>({{"nothing", ""},
                                         {"an option", "-oProxyCommand=id"},
                                         {"a user", "root@10.10.1.5"},
                                         {"a port", "10.10.1.5:2222"},
                                         {"a URI", "ssh://10.10.1.5"},
                                         {"a jump", "gpu-1,gpu-2"},
                                         {"a blank", "gpu-1 id"},
                                         {"a line", "gpu-1\nid"},
                                         {"a metacharacter", "gpu-1;id"},
                                         {"a path", "../../etc/passwd"},
                                         {"capitals", "GPU-1"},
                                         {"an unknown name", "gpu-2"},
                                         {"an address outside", "10.10.4.1"},
                                         {"the bastion itself", "10.10.0.8"},
                                         {"loopback", "127.0.0.1"},
                                         {"loopback by name", "localhost"},
                                         {"loopback of IPv6", "::1"},
                                         {"an IPv4 address as IPv6", "::ffff:10.10.1.5"},
                                         {"a zone", "fd00:10::1:5%eth0"},
                                         {"brackets", "[fd00:10::1:5]"},
                                         {"a number", "168427781"},
                                         {"hexadecimal", "0x0a.0x0a.1.5"},
                                         {"octal", "012.012.01.05"},
                                         {"a short form", "10.10.261"},
                                         {"a prefix", "10.10.1.5/32"},
                                         {"a name whose address is outside", "else"},
                                         {"a name with two addresses", "twice"},
                                         {"a long name", std::string(254, 'a')}}));
  INFO(row.defect);
  const auto found = find_target(row.name, ranges, nodes);
  REQUIRE_FALSE(found);
  CHECK(found.error().code == ErrorCode::usage);
}

TEST_CASE("target: a file of nodes is judged before it is taken") {
  CHECK(check_nodes("gpu-1 10.10.1.5\n\n# no more\n", ranges));
  struct Row {
    std::string defect, text, message;
  };
  const auto row = GENERATE(values<Row>({{"one word", "\ngpu-1\n", "line 2 is not two words"},
                                         {"three words", "gpu-1 10.10.1.5 10.10.1.6\n", "line 1 is not two words"},
                                         {"no address", "gpu-1 ten\n", "line 1 is not a name and an address"},
                                         {"an address as name", "10.10.1.5 10.10.1.6\n", "line 1 is not a name"},
                                         {"an option as name", "-gpu 10.10.1.5\n", "line 1 is not a name"},
                                         {"twice", "a 10.10.1.5\na 10.10.1.6\n", "line 2: a is there twice"},
                                         {"outside", "a 192.0.2.1\n", "line 1: no flow"}}));
  INFO(row.defect);
  const auto judged = check_nodes(row.text, ranges);
  REQUIRE_FALSE(judged);
  CHECK(judged.error().message.starts_with(row.message));
}

TEST_CASE("target: what is wrong with the image's ranges opens nothing") {
  CHECK_FALSE(find_target("10.10.1.5", "training all\n", nodes));
  CHECK_FALSE(find_target("10.10.1.5", "10.10.1.5\n", nodes));
  CHECK_FALSE(find_target("10.10.1.5", "", nodes));
}
