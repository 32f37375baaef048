// Generations of releases: tests/tool/revocation_test.cpp asks a TPM and systemd.
#include "ingot/measure/revocation.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "ingot/codec/pcr_signature.hpp"
#include "ingot/codec/report.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/tpm_policy.hpp"

using namespace ingot;
using namespace ingot::measure;

namespace {

const Buffer key_name(34, 7), other_name(34, 8);

}  // namespace

TEST_CASE("release policy: each generation's way leads to the index") {
  const ReleasePolicy policy(key_name, 100);
  for (const std::uint32_t generation : {1u, 7u, 8u, 9u, 64u, 65u, 511u, 512u}) {
    INFO(generation);
    CHECK(policy.most(generation) == 100 + generation);
    auto digest =
        policy_nv_at_most(HashAlg::sha256, policy_authorize(HashAlg::sha256, key_name, generation_ref(generation)),
                          codec::nv_name(generation_counter()), 100 + generation);
    for (const auto& branches : policy.branches(generation)) {
      REQUIRE(branches.size() == 8);
      CHECK(std::find(branches.begin(), branches.end(), digest) != branches.end());
      digest = policy_or(HashAlg::sha256, branches);
    }
    CHECK(digest == policy.digest());
  }
}

TEST_CASE("release policy: key and start of the counter are in it; what came before the counter began never fits") {
  CHECK(ReleasePolicy(key_name, 100).digest() != ReleasePolicy(other_name, 100).digest());
  CHECK(ReleasePolicy(key_name, 100).digest() != ReleasePolicy(key_name, 101).digest());
  // Generation 5 was the first that a TPM met whose counter begins at 1. A counter is never 0.
  const ReleasePolicy late(key_name, 1 - 5);
  CHECK(late.most(5) == 1);
  CHECK(late.most(4) == 0);
  CHECK(late.most(1) == 0);
}

TEST_CASE("release policy: the newest generation is found by the counter, near the release") {
  const auto index = ReleasePolicy(key_name, 40).digest();
  CHECK(newest_generation(index, key_name, 43, 3) == 3u);
  CHECK(newest_generation(index, key_name, 43, 1) == 3u);
  CHECK(newest_generation(index, key_name, 43, 9) == 3u);
  CHECK(newest_generation(index, key_name, 43, 3 + generation_reach) == 3u);
  CHECK_FALSE(newest_generation(index, key_name, 43, 4 + generation_reach));
  CHECK_FALSE(newest_generation(index, other_name, 43, 3));
  CHECK_FALSE(newest_generation(index, key_name, 40, 1));  // there is no generation 0
  CHECK_FALSE(newest_generation(Buffer(32, 0), key_name, 43, 3));
  for (const std::uint64_t count : {std::uint64_t{INT64_MAX}, std::uint64_t{UINT64_MAX}})
    CHECK_FALSE(newest_generation(index, key_name, count, 3));
}

TEST_CASE("pcrsig: the release's member is read as it was written, and nothing else is") {
  const codec::ReleaseSignature release{7, Buffer(32, 1), Buffer(256, 2)};
  const auto member = codec::encode_release_signature(release);
  CHECK(codec::decode_release_signature("{\"sha256\":[]," + member + "}").value() == release);
  CHECK(codec::decode_release_signature("{\"sha256\":[]}").error().code == ErrorCode::missing);
  struct Row {
    const char *what, *by;
  };
  for (const auto& [what, by] :
       {Row{"\"generation\":7", "\"generation\":0"}, Row{"\"generation\":7", "\"generation\":4294967296"},
        Row{"\"generation\":7", "\"generation\":-1"}, Row{"\"pol\":\"01", "\"pol\":\""},
        Row{"\"pol\":\"01", "\"pol\":\"xx"}, Row{"\"sig\"", "\"gis\""}}) {
    INFO(by);
    auto changed = member;
    const auto at = changed.find(what);
    REQUIRE(at != std::string::npos);
    changed.replace(at, std::string_view(what).size(), by);
    CHECK_FALSE(codec::decode_release_signature("{" + changed + "}"));
  }
}

TEST_CASE("report: what a node says of its release index") {
  const auto both = codec::decode_revocation("counter 12\nindex 0a0b\n").value();
  CHECK(both.counter == 12u);
  CHECK(both.index == Buffer{0x0a, 0x0b});
  CHECK(codec::decode_revocation("").value() == codec::ReportedRevocation{});
  for (const auto* text : {"counter\n", "counter 1x\n", "counter -1\n", "index 0\n", "index\n", "other 1\n"}) {
    INFO(text);
    CHECK_FALSE(codec::decode_revocation(text));
  }
}
