// Whose evidence it is, when it was made, and what ran on the node. Numbers are those of the list of threats.
#include <catch2/catch.hpp>

#include "check_machine.hpp"
#include "ingot/codec/state.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

Enrolment enrolment() {
  return {"node-1", std::string(64, 'a'), codec::encode_tpm_public(software_tpm().public_area()), "allow-list", {}};
}

codec::ImaEntry file_entry(const std::string& path, std::uint8_t fill) {
  return ima_entry("ima-sig", path, Buffer(32, fill));
}

const std::vector<FileDigest> manifest = {{"/usr/bin/ls", std::string(64, '1')},
                                          {"/usr/bin/cat", std::string(64, '2')}};

/// The reference machine, after these files were used.
Evidence machine_that_used(const std::vector<codec::ImaEntry>& files) {
  auto evidence = reference();
  auto list = boot_aggregate_list(evidence.pcrs);
  list.insert(list.end(), files.begin(), files.end());
  measure_files(evidence, list);
  sign(evidence, software_tpm());
  return evidence;
}

check::BootQuestion with_manifest() {
  auto asked = question();
  asked.manifest = &manifest;
  return asked;
}

void reclock(Evidence& evidence, const codec::TpmClock& clock) {
  auto quote = quote_of(evidence);
  quote.clock = clock;
  sign(evidence, software_tpm(), quote);
}

/// The reference machine on which systemd measured these texts into PCR 15, and logged `logged`.
Evidence machine_with_ids(const std::vector<std::string>& measured, const std::vector<std::string>& logged) {
  auto evidence = reference();
  for (const auto& text : measured)
    for (auto& [bank, values] : evidence.pcrs)
      values[15] = codec::extend(bank, values[15], crypto::hash(bank, as_bytes(text)));
  std::vector<Event> log;
  for (std::size_t i = 0; i < logged.size(); ++i) {
    const auto& hashed = i < measured.size() ? measured[i] : logged[i];
    log.push_back({15, EventType::EV_IPL, crypto::hash_banks(as_bytes(hashed)), to_buffer(as_bytes(logged[i]))});
  }
  evidence.userspace_log = codec::encode_userspace_log(log);
  sign(evidence, software_tpm());
  return evidence;
}

}  // namespace

TEST_CASE("machine id: PCR 15 holds the enrolled one, once, and its log leads to it") {
  const std::string id(32, 'a'), other(32, 'b');
  auto enrolled = enrolment();
  enrolled.machine_id = id;
  auto asked = question();
  asked.enrolment = &enrolled;
  using Texts = std::vector<std::string>;
  const auto ours = "machine-id:" + id, theirs = "machine-id:" + other, volume = std::string("cryptsetup:data");
  struct Row {
    const char* name;
    Texts measured, logged;
    Texts kinds;
  };
  for (const auto& row : {
           Row{"the enrolled one", {ours}, {ours}, {}},
           Row{"and a volume", {ours, volume}, {ours, volume}, {}},
           Row{"none", {}, {}, {"node-differs"}},
           Row{"a volume alone", {volume}, {volume}, {"node-differs"}},
           Row{"another machine's", {theirs}, {theirs}, {"node-differs"}},
           Row{"both", {ours, theirs}, {ours, theirs}, {"node-differs"}},
           Row{"twice", {ours, ours}, {ours, ours}, {"node-differs"}},
           Row{"another's, logged as ours", {theirs}, {ours}, {"node-differs", "log-problem"}},
           Row{"measured and not logged", {ours}, {}, {"node-differs", "log-replay-differs", "log-replay-differs"}},
           Row{"logged and not measured", {}, {ours}, {"log-replay-differs", "log-replay-differs"}},
       }) {
    INFO(row.name);
    const auto verdict = verdict_on(machine_with_ids(row.measured, row.logged), asked);
    INFO(check::render_verdict(verdict));
    CHECK(kinds(verdict) == row.kinds);
  }
  // Said in a bank that nobody judges: it extends nothing, so the values that the TPM signed do not speak of it.
  auto sideways = machine_with_ids({theirs}, {volume});
  auto log = codec::decode_userspace_log(sideways.userspace_log).value();
  log.push_back({15,
                 EventType::EV_IPL,
                 {{HashAlg::sha1, crypto::hash(HashAlg::sha1, as_bytes(ours))}},
                 to_buffer(as_bytes(ours))});
  sideways.userspace_log = codec::encode_userspace_log(log);
  sign(sideways, software_tpm());
  CHECK(kinds(verdict_on(sideways, asked)) == Texts{"log-problem", "log-problem"});
  // Not enrolled: told, not judged.
  enrolled.machine_id.clear();
  const auto free = verdict_on(machine_with_ids({theirs}, {theirs}), asked);
  CHECK(free.trusted());
  CHECK(std::any_of(free.notes.begin(), free.notes.end(), [&](const auto& note) { return contains(note, other); }));
}

TEST_CASE("threat 13: a nonce that was replayed, is constant or is somebody else's") {
  for (const auto& nonce : {Buffer{1, 2, 3, 5}, Buffer(32, 0), Buffer{1, 2, 3}, Buffer{}}) {
    auto asked = question();
    asked.nonce = nonce;
    CHECK(kinds(verdict_on(reference(), asked)) == std::vector<std::string>{"quote-nonce-differs"});
  }
}

TEST_CASE("threat 17: counters that go back, judged after the signature") {
  const codec::TpmClock now{5000, 7, 2, true};
  struct Row {
    const char* name;
    codec::TpmClock clock;
    bool sound;
  };
  for (const auto& row :
       {Row{"the same moment", now, true}, Row{"later", {5001, 7, 2, true}, true},
        Row{"restarted", {1, 7, 3, true}, true}, Row{"reset", {1, 8, 0, true}, true},
        Row{"clock earlier", {4999, 7, 2, true}, false}, Row{"fewer restarts", {9000, 7, 1, true}, false},
        Row{"fewer resets", {9000, 6, 9, true}, false}}) {
    INFO(row.name);
    const NodeState last{"node-1", now.reset_count, now.restart_count, now.clock_ms, 0, {}};
    auto asked = question();
    asked.last = &last;
    auto evidence = reference();
    reclock(evidence, row.clock);
    const auto verdict = verdict_on(evidence, asked);
    CHECK(verdict.trusted() == row.sound);
    if (!row.sound) CHECK(kinds(verdict) == std::vector<std::string>{"clock-went-back"});
    // What no TPM signed says nothing about time, and leaves nothing to remember.
    evidence.quote_signature.back() ^= 1;
    const auto forged = verdict_on(evidence, asked);
    CHECK_FALSE(forged.state);
    CHECK(kinds(forged) == std::vector<std::string>{"quote-invalid"});
  }
  auto unsafe = reference();
  reclock(unsafe, {1, 1, 0, false});
  CHECK(contains(verdict_on(unsafe).notes.front(), "clock may have gone back"));
}

TEST_CASE("threat 18: an attestation key that is not restricted, not fixed to its TPM, or not the enrolled one") {
  const auto enrolled = enrolment();
  auto asked = question();
  asked.enrolment = &enrolled;
  CHECK(verdict_on(reference(), asked).trusted());
  auto stranger = reference();
  sign(stranger, SoftwareTpm());
  CHECK(verdict_on(stranger).trusted());  // nobody said whose key it should be, and the verdict says so
  CHECK(kinds(verdict_on(stranger, asked)) == std::vector<std::string>{"key-not-enrolled"});
  namespace attribute = codec::object_attribute;
  for (const auto missing : {attribute::restricted, attribute::fixed_tpm, attribute::sign_encrypt}) {
    auto evidence = reference();
    auto key = codec::decode_tpm_public(evidence.ak_public).value();
    key.attributes &= ~missing;
    evidence.ak_public = codec::encode_tpm_public(key);
    const auto found = kinds(verdict_on(evidence, asked));
    CHECK(std::find(found.begin(), found.end(), "quote-invalid") != found.end());
    CHECK(std::find(found.begin(), found.end(), "key-not-enrolled") != found.end());
  }
}

TEST_CASE("threat 19: evidence of another node, or through another channel") {
  const auto enrolled = enrolment();
  auto asked = question();
  asked.enrolment = &enrolled;
  asked.channel_binding = Buffer{};
  CHECK(verdict_on(reference(), asked).trusted());
  auto other = reference();
  other.node = "node-2";
  sign(other, software_tpm());
  CHECK(kinds(verdict_on(other, asked)) == std::vector<std::string>{"node-differs"});
  other.node = "node-1";  // relabelled on the way
  CHECK(kinds(verdict_on(other, asked)) == std::vector<std::string>{"quote-nonce-differs"});
  asked.channel_binding = Buffer(32, 7);
  CHECK(kinds(verdict_on(reference(), asked)) == std::vector<std::string>{"channel-differs"});
  auto relabelled = reference();
  relabelled.channel_binding = Buffer(32, 7);
  CHECK(kinds(verdict_on(relabelled, asked)) == std::vector<std::string>{"quote-nonce-differs"});
  sign(relabelled, software_tpm());
  CHECK(verdict_on(relabelled, asked).trusted());
}

TEST_CASE("threat 25: what the image does not contain, and what is not the image's, is named with its path") {
  CHECK(verdict_on(machine_that_used({file_entry("/usr/bin/ls", 0x11)}), with_manifest()).trusted());
  const auto unknown = verdict_on(machine_that_used({file_entry("/tmp/miner", 9)}), with_manifest());
  CHECK(kinds(unknown) == std::vector<std::string>{"file-unknown"});
  CHECK(unknown.findings.front().subject == "file /tmp/miner");
  const auto changed = verdict_on(machine_that_used({file_entry("/usr/bin/cat", 9)}), with_manifest());
  CHECK(kinds(changed) == std::vector<std::string>{"file-differs"});
  CHECK(changed.findings.front().expected == "sha256:" + std::string(64, '2'));
  auto violation = file_entry("/usr/bin/ls", 0);
  violation.template_hash.assign(20, 0);
  CHECK_FALSE(verdict_on(machine_that_used({violation}), with_manifest()).trusted());
  // A list that hides an entry does not lead to PCR 10.
  auto hidden = machine_that_used({file_entry("/usr/bin/ls", 0x11), file_entry("/tmp/miner", 9)});
  hidden.ima_log = machine_that_used({file_entry("/usr/bin/ls", 0x11)}).ima_log;
  sign(hidden, software_tpm());
  CHECK(kinds(verdict_on(hidden, with_manifest())) == std::vector<std::string>{"ima-replay-differs"});
  hidden.ima_log.clear();
  sign(hidden, software_tpm());
  CHECK(kinds(verdict_on(hidden)) == std::vector<std::string>{"ima-replay-differs"});
}

TEST_CASE("ima: entries behind the quote wait, and a known beginning is not judged again") {
  const auto before = machine_that_used({file_entry("/usr/bin/ls", 0x11)});
  const auto first = verdict_on(before, with_manifest());
  REQUIRE(first.state);
  CHECK(first.state->ima_count == 2);
  CHECK(codec::decode_node_state(as_bytes(codec::encode_node_state(*first.state))).value() == *first.state);
  // The list has grown since the quote.
  auto grown = before;
  grown.ima_log = machine_that_used({file_entry("/usr/bin/ls", 0x11), file_entry("/tmp/miner", 9)}).ima_log;
  sign(grown, software_tpm());
  CHECK(verdict_on(grown, with_manifest()).trusted());
  // The next quote covers it.
  auto asked = with_manifest();
  asked.last = &*first.state;
  const auto next = machine_that_used({file_entry("/usr/bin/ls", 0x11), file_entry("/tmp/miner", 9)});
  const auto second = verdict_on(next, asked);
  CHECK(kinds(second) == std::vector<std::string>{"file-unknown"});
  CHECK(second.state->ima_count == 3);
  // What nobody judged is not remembered as judged.
  const auto unjudged = verdict_on(before);
  CHECK(unjudged.trusted());
  CHECK(unjudged.state->ima_count == 0);
  asked.last = &*unjudged.state;
  CHECK(kinds(verdict_on(next, asked)) == std::vector<std::string>{"file-unknown"});
  CHECK(verdict_on(next, asked).files_judged == 2);
  asked.last = &*first.state;
  CHECK(verdict_on(next, asked).files_judged == 1);
  // In another boot everything is judged.
  auto rebooted = next;
  reclock(rebooted, {1, first.state->reset_count + 1, 0, true});
  CHECK(verdict_on(rebooted, asked).state->ima_count == 3);
}

TEST_CASE("ima: an aggregate of another boot") {
  auto evidence = reference();
  auto pcrs = evidence.pcrs;
  pcrs[HashAlg::sha256][3][0] ^= 1;
  measure_files(evidence, boot_aggregate_list(pcrs));
  sign(evidence, software_tpm());
  CHECK(kinds(verdict_on(evidence)) == std::vector<std::string>{"ima-replay-differs"});
}
