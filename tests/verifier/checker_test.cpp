// A checker that remembers says what one that never saw the node would say.
#include <catch2/catch.hpp>
#include <random>

#include "check_machine.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

const std::vector<FileDigest> manifest = {{"/usr/bin/ls", std::string(64, '1')},
                                          {"/usr/bin/cat", std::string(64, '2')}};

codec::ImaEntry file_entry(const std::string& path, std::uint8_t fill) {
  return ima_entry("ima-sig", path, Buffer(32, fill));
}

/// The reference machine after these files were used, in this boot of it.
Evidence machine_that_used(const std::vector<codec::ImaEntry>& files, std::uint32_t resets = 1) {
  auto evidence = reference();
  auto list = boot_aggregate_list(evidence.pcrs);
  list.insert(list.end(), files.begin(), files.end());
  measure_files(evidence, list);
  auto quote = quote_of(evidence);
  quote.clock.reset_count = resets;
  sign(evidence, software_tpm(), quote);
  return evidence;
}

/// Sound and hostile, alike enough to be mistaken for each other.
std::vector<Evidence> pieces_of_evidence() {
  const auto ls = file_entry("/usr/bin/ls", 0x11), cat = file_entry("/usr/bin/cat", 0x22);
  std::vector<Evidence> all = {reference(),
                               machine_that_used({ls}),
                               machine_that_used({ls, cat}),
                               machine_that_used({ls, cat, ls, ls}),
                               machine_that_used({ls, cat}, 2),
                               machine_that_used({cat, ls}),
                               machine_that_used({ls, file_entry("/usr/bin/cat", 0x23)}),
                               machine_that_used({ls, cat, file_entry("/tmp/tool", 1)})};
  for (const PcrIndex pcr : {0u, 1u, 2u, 4u, 5u, 7u, 9u, 11u})
    all.push_back(machine_with([&](auto& log) { event_of(log, pcr, 0) = other_digest(event_of(log, pcr, 0)); }));
  all.push_back(machine_with([](auto& log) { log.events.pop_back(); }));
  // Another log that says the same.
  all.push_back(machine_with([](auto& log) {
    log.events.push_back({0, EventType::EV_NO_ACTION, log.events.back().digests, {1, 2, 3}});
  }));
  const auto changed = [&](const std::function<void(Evidence&)>& change) {
    for (const auto& base : {all[1], all[3]}) all.push_back(base), change(all.back());
  };
  changed([](Evidence& one) { one.quote_signature.back() ^= 1; });
  changed([](Evidence& one) { one.quote_attest.clear(); });
  changed([](Evidence& one) { one.nonce = {4, 3, 2, 1}; });
  changed([](Evidence& one) { one.pcrs[HashAlg::sha256][4][0] ^= 1; });
  changed([](Evidence& one) { one.pcrs[HashAlg::sha256].erase(7); });
  changed([](Evidence& one) { one.pcrs.erase(HashAlg::sha384); });
  changed([](Evidence& one) { one.pcrs[HashAlg::sha256][10][0] ^= 1, sign(one, software_tpm()); });
  changed([](Evidence& one) { one.ima_log.pop_back(); });
  changed([](Evidence& one) { one.ima_log.clear(); });
  const auto in_ascii = [](Evidence one) {
    one.ima_log = to_buffer(as_bytes(codec::encode_ima_ascii(codec::decode_ima(one.ima_log).value())));
    sign(one, software_tpm());
    return one;
  };
  for (const std::size_t i : {1u, 2u, 3u}) all.push_back(in_ascii(all[i]));
  changed([](Evidence& one) { one.event_log.pop_back(); });
  changed([](Evidence& one) { one.event_log.clear(); });
  changed([](Evidence& one) { one.ak_public.pop_back(); });
  changed([](Evidence& one) { one.userspace_log = to_buffer(as_bytes("{")); });
  changed([](Evidence& one) {
    static const SoftwareTpm other;
    sign(one, other);
  });
  return all;
}

/// One byte of what a node hands over is another one.
Evidence damaged(Evidence evidence, std::mt19937& random) {
  Buffer* const fields[] = {
      &evidence.event_log, &evidence.ima_log,         &evidence.userspace_log,          &evidence.quote_attest,
      &evidence.ak_public, &evidence.quote_signature, &evidence.pcrs.begin()->second[4]};
  auto& field = *fields[random() % std::size(fields)];
  if (!field.empty()) field[random() % field.size()] ^= static_cast<std::uint8_t>(1u << random() % 8);
  return evidence;
}

}  // namespace

TEST_CASE("a checker that remembers says what one that never saw the node would say") {
  const auto evidence = pieces_of_evidence();
  const auto golden = [] {
    check::GoldenValues values = question();
    values.manifest = &manifest;
    return values;
  }();
  const auto cap = GENERATE(std::size_t{0}, std::size_t{60'000}, std::size_t{1} << 28);
  check::BootChecker checker(golden, cap);
  std::mt19937 random(static_cast<std::uint32_t>(cap));
  const auto one_of = [&](std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
  };
  std::optional<NodeState> last;
  std::size_t trusted = 0, refused = 0, malformed = 0;
  for (int round = 0; round < 600; ++round) {
    // Often the same again, as nodes do; then anything.
    auto one = evidence[one_of(one_of(2) == 0 ? 4 : evidence.size())];
    if (one_of(8) == 0) one = damaged(std::move(one), random);
    check::BootQuestion asked;
    static_cast<check::GoldenValues&>(asked) = golden;
    asked.nonce = Buffer{1, 2, 3, 4};
    asked.with_chain = one_of(2) == 0;
    if (one_of(4) != 0 && last) asked.last = &*last;
    const auto fresh = check::check_boot(asked, one);
    const auto remembered = checker.check(asked, one);
    REQUIRE(fresh.has_value() == remembered.has_value());
    if (!fresh) {
      CHECK(describe(fresh.error()) == describe(remembered.error()));
      ++malformed;
      continue;
    }
    REQUIRE(check::verdict_json(*remembered) == check::verdict_json(*fresh));
    REQUIRE(*remembered == *fresh);
    ++(fresh->trusted() ? trusted : refused);
    if (fresh->trusted()) last = fresh->state;
  }
  CHECK(trusted > 100);
  CHECK(refused > 100);
  CHECK(malformed > 20);
}
