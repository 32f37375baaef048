#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

Site must(Result<Site> site) {
  if (!site) FAIL(describe(site.error()));
  return *std::move(site);
}

}  // namespace

TEST_CASE("the shipped site") {
  const auto site = must(load_site(INGOT_SOURCE "/profiles/site.toml"));
  CHECK(site.bastion == "management");
  CHECK(site.planes.size() == 7);
  CHECK(site.roles.size() == 4);
  CHECK(site.flows.back().name == "rdma-training");
  const auto* storage = site.plane("storage");
  REQUIRE(storage != nullptr);
  CHECK(storage->kind == PlaneKind::vxlan);
  CHECK(storage->port == 4789);
  CHECK(storage->vteps.size() == 6);
  CHECK(interface_name(*storage) == "storage");
  CHECK(interface_name(*site.plane("fabric")) == "fabric");
  // Clients are everybody but nodes, other planes and addresses that nobody has.
  const auto clients = addresses_on(site, "clients", "public");
  const auto is_client = [&](const char* text) {
    return std::any_of(clients.begin(), clients.end(),
                       [&](const IpRange& range) { return range.contains(*IpAddress::parse(text)); });
  };
  for (const auto* text : {"198.51.100.7", "10.50.0.1", "10.0.1.0", "2001:db8::1", "fd00:50::1"})
    CHECK(is_client(text));
  for (const auto* text : {"10.50.0.20", "10.40.0.50", "10.10.0.9", "127.0.0.1", "fd00:10::8", "fe80::1", "::1"})
    CHECK_FALSE(is_client(text));
  CHECK(addresses_on(site, "clients", "management").empty());
}
