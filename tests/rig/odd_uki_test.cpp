// UKIs of odd shapes under real firmware with Secure Boot on: each starts, by our signature, and PCR 4 and 11 are what
// was predicted. One shape for each oddity that a loader and a measurement could trip over; tests/tool/odd_uki_test.cpp
// has a hundred of the same generator.
#include "odd_uki.hpp"

#include "ingot/base/output.hpp"
#include "ingot/builder/boot_uki.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/rig/probe_disk.hpp"
#include "ingot/signer/sign.hpp"
#include "small.hpp"

using namespace ingot;
using namespace ingot::test;
using rig::BootEnd;

TEST_CASE("odd UKIs: firmware starts them by our signature, and measures what was predicted") {
  struct Row {
    const char* name;
    bool (*wanted)(const OddShape&);
  };
  const Row rows[] = {
      {"gaps between sections, bytes behind, no multiple of 8",
       [](const OddShape& s) { return s.gaps && !s.out_of_order && s.trailing % 8 != 0; }},
      {"sections in another order, in file and table",
       [](const OddShape& s) { return s.out_of_order && s.table_shuffled && !s.gaps; }},
      {"sizes that fit no alignment", [](const OddShape& s) { return s.odd_sizes && s.extra_sections > 5 && !s.gaps; }},
      {"an alignment of 4096, slack behind the headers, 15 sections more",
       [](const OddShape& s) { return s.file_alignment == 4096 && s.extra_sections > 14; }},
      {"everything at once",
       [](const OddShape& s) {
         return s.gaps && s.out_of_order && s.table_shuffled && s.odd_sizes && s.trailing % 8 != 0;
       }},
  };
  const SmallFixture fixture;
  const auto out = fixture.cast("small");
  const auto keys = must(signer::open_keys(fixture.image.keys));
  const auto db = must(signer::SigningKey::load(keys.key("db"), keys.certificate("db")));
  const std::string plain = fixture.folder.path() + "/plain.efi", uki = fixture.folder.path() + "/odd.efi";
  must(signer::strip_pe(must(file_source(out + "/" + builder::output::uki)), plain));
  const auto base = must(read_file(plain, 256u << 20));
  for (const auto& row : rows) {
    const OddUki odd(base, OddUki::find(row.wanted));
    INFO(row.name << ": " << odd.shape.text());
    must(signer::sign_pe(memory_source(odd.bytes), db, uki));
    auto request = SmallFixture::request(out);
    request.disk = fixture.folder.path() + "/odd.raw";
    must(rig::make_probe_disk(uki, request.disk));
    const auto outcome = boot(request);
    REQUIRE(outcome.end == BootEnd::evidence);
    // The initrd is no systemd: no phase is measured.
    const auto events = must(measure::uki_events(*must(file_source(uki)), {}));
    constexpr PcrIndex whole[] = {4, 9, 11};
    const auto predicted = measure::replay_expected(events, whole);
    for (const auto bank : predicted_banks)
      for (const auto pcr : whole) {
        INFO(to_text(bank) << " PCR " << pcr);
        CHECK(to_hex(predicted.at(bank).at(pcr)) == to_hex(outcome.evidence.pcrs.at(bank).at(pcr)));
      }
  }
}
