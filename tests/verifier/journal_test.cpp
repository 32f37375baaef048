#include "ingot/codec/journal.hpp"

#include <catch2/catch.hpp>

#include "ingot/check/alerts.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

/// A reader that gets its input in pieces of `step` bytes.
JournalExportReader in_pieces(const std::string& text, std::size_t step) {
  return JournalExportReader([text, step, at = std::size_t{0}]() mutable -> Result<Buffer> {
    const auto piece = text.substr(at, step);
    at += piece.size();
    return to_buffer(as_bytes(piece));
  });
}

Result<std::vector<JournalRecord>> read_all_records(const std::string& text, std::size_t step = 1) {
  auto reader = in_pieces(text, step);
  std::vector<JournalRecord> out;
  while (auto record = TRY(reader.next())) out.push_back(*std::move(record));
  return out;
}

std::string binary(const std::string& name, const std::string& value) {
  std::string size(8, '\0');
  size[0] = static_cast<char>(value.size());
  return name + "\n" + size + value + "\n";
}

}  // namespace

TEST_CASE("journal export: records of text and binary fields, in pieces of any size") {
  const auto text = "\n\n__CURSOR=a\nMESSAGE=one=1\n\n" + binary("MESSAGE", std::string("two\nlines\0", 10)) +
                    "PRIORITY=3\nMESSAGE=second value\n\n\nMESSAGE=three\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const auto records = read_all_records(text, step).value();
    REQUIRE(records.size() == 3);
    CHECK(records[0] == JournalRecord{{"__CURSOR", "a"}, {"MESSAGE", "one=1"}});
    CHECK(records[1] == JournalRecord{{"MESSAGE", std::string("two\nlines\0", 10)}, {"PRIORITY", "3"}});
    CHECK(records[2] == JournalRecord{{"MESSAGE", "three"}});
  }
}

TEST_CASE("journal export: what is not of the format is refused where it starts") {
  struct Row {
    const char* name;
    std::string text;
    std::uint64_t offset;
  };
  const Row rows[] = {{"cut off in a line", "MESSAGE=on", 0},
                      {"cut off in a size", "A=1\nMESSAGE\n\1", 13},
                      {"cut off in a value", binary("MESSAGE", "abc").substr(0, 18), 18},
                      {"no line feed behind a value", binary("MESSAGE", "abc").substr(0, 19) + "x", 20},
                      {"small letters", "message=x\n", 0},
                      {"no name", "A=1\n=x\n", 4},
                      {"a size beyond all bounds", "MESSAGE\n" + std::string(8, '\xff') + "abc\n", 16}};
  for (const auto& row : rows) {
    INFO(row.name);
    const auto records = read_all_records(row.text);
    REQUIRE_FALSE(records);
    CHECK(records.error().code == ErrorCode::malformed);
    CHECK(records.error().offset_bytes == row.offset);
  }
  std::string many;
  for (int i = 0; i <= 1024; ++i) many += "F" + std::to_string(i) + "=\n";
  CHECK(read_all_records(many, 4096).error().code == ErrorCode::limit);
  CHECK(read_all_records("A=" + std::string(3u << 20, 'x') + "\n", 65536).error().code == ErrorCode::malformed);
}

TEST_CASE("journal export: what comes behind a record that is none is read") {
  const std::string good = "MESSAGE=good\n\n";
  struct Row {
    const char* name;
    std::string text;
    std::size_t good_records;
  };
  const Row rows[] = {{"no field's name", "message=x\nMESSAGE=of the same record\n\n" + good, 1},
                      {"no field's name, and nothing else of it", "=x\n\n" + good, 1},
                      {"behind a good one", good + "?\n\n" + good, 2},
                      {"no line feed behind a value", binary("MESSAGE", "abc").substr(0, 19) + "x\n\n" + good, 1},
                      {"a size beyond all bounds", "MESSAGE\n" + std::string(8, '\xff') + "abc\n\n" + good, 1},
                      {"a size to the end", "MESSAGE\n" + std::string("\xff\xff\0\0\0\0\0\0", 8) + "\n\n" + good, 0},
                      {"a line without an end", good + "A=" + std::string(3u << 20, 'x'), 1},
                      {"a line that is too long", "A=" + std::string(3u << 20, 'x') + "\nB=1\n\n" + good, 1},
                      {"too many fields",
                       [] {
                         std::string many;
                         for (int i = 0; i <= 1024; ++i) many += "F" + std::to_string(i) + "=\n";
                         return many + "G=1\n\n";
                       }() +
                           good,
                       1}};
  for (const auto& row : rows)
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{65536}}) {
      if (step < 65536 && row.text.size() > 100'000) continue;
      INFO(row.name << ", in pieces of " << step);
      auto reader = in_pieces(row.text, step);
      std::size_t good_records = 0, refused = 0;
      while (true) {
        const auto record = reader.next();
        if (!record) {
          REQUIRE(++refused == 1);
          REQUIRE(reader.skip());
        } else if (*record) {
          CHECK(**record == JournalRecord{{"MESSAGE", "good"}});
          ++good_records;
        } else {
          break;
        }
      }
      CHECK(refused == 1);
      CHECK(good_records == row.good_records);
    }
}

TEST_CASE("journal export: a long value is cut, not kept") {
  const auto records = read_all_records("A=" + std::string(200'000, 'x') + "\nB=1\n", 65536).value();
  REQUIRE(records.size() == 1);
  CHECK(records[0].at("A").size() == journal_value_cap_bytes);
  CHECK(records[0].at("B") == "1");
}

TEST_CASE("journal file: times of a header, and what is none") {
  Buffer header(journal_header_bytes, 0);
  const std::string signature = "LPKSHHRH";
  std::copy(signature.begin(), signature.end(), header.begin());
  header[184] = 5;
  header[192] = 9;
  header[193] = 1;
  const auto times = decode_journal_header(header).value();
  CHECK(times.first_usec == 5);
  CHECK(times.last_usec == 265);
  for (std::size_t size = 0; size < header.size(); ++size)
    CHECK(decode_journal_header(Bytes(header).first(size)).error().code == ErrorCode::malformed);
  header[0] = 'X';
  CHECK_FALSE(decode_journal_header(header));
}

TEST_CASE("upload state: the time of its cursor") {
  // Written by systemd-journal-upload 257.
  const std::string state =
      "# This is private data. Do not parse.\n"
      "LAST_CURSOR=s=1611077074014875a4fe96f04744bb4c;i=7;b=fd701bc4cc8643668e686a11fc899633;m=39314b97;"
      "t=661180a2dd808;x=fab9c9beae95b897\n";
  CHECK(decode_upload_state(state).value() == 0x661180a2dd808);
  for (const auto* text : {"", "# nothing\n", "LAST_CURSOR=\n", "LAST_CURSOR=s=1;i=2\n", "LAST_CURSOR=s=1;t=;x=2\n",
                           "LAST_CURSOR=s=1;t=12z;x=2\n", "OTHER=;t=12\n", "LAST_CURSOR=s=1;t=11112222333344445\n"})
    CHECK(decode_upload_state(text).error().code == ErrorCode::malformed);
}

TEST_CASE("alerts: each kind by a record as systemd and the kernel write them, and none by their neighbours") {
  struct Row {
    const char* kind;
    JournalRecord record;
  };
  const Row rows[] = {
      {"module-load",
       {{"_TRANSPORT", "audit"},
        {"MESSAGE", "SYSCALL arch=c000003e syscall=313 success=yes exit=0 comm=\"insmod\" key=\"module-load\""}}},
      {"module-refused", {{"_TRANSPORT", "kernel"}, {"MESSAGE", "Loading of module with unavailable key is rejected"}}},
      {"execution-refused",
       {{"_TRANSPORT", "audit"},
        {"_AUDIT_TYPE", "1420"},
        {"MESSAGE", "IPE_ACCESS ipe_op=EXECUTE ipe_hook=BPRM_CHECK path=\"/tmp/x\""}}},
      {"module-refused",
       {{"_TRANSPORT", "audit"},
        {"_AUDIT_TYPE", "1420"},
        {"MESSAGE", "IPE_ACCESS ipe_op=KMODULE ipe_hook=KERNEL_READ comm=\"insmod\" path=\"/tmp/x.ko\""}}},
      {"execution-refused",
       {{"_TRANSPORT", "audit"},
        {"MESSAGE", "SYSCALL arch=c000003e syscall=59 success=no exit=-13 comm=\"bash\" key=\"execution-refused\""}}},
      {"session",
       {{"SYSLOG_IDENTIFIER", "sudo"},
        {"MESSAGE",
         "ops : TTY=pts/0 ; USER=ingot-onward ; COMMAND=/usr/lib/ingot/ingot-onward 1f key=x 10.0.0.1 gpu-1"}}},
      {"session-refused", {{"SYSLOG_IDENTIFIER", "ingot-bastion"}, {"PRIORITY", "4"}, {"MESSAGE", "ops is refused"}}},
      {"", {{"SYSLOG_IDENTIFIER", "ingot-bastion"}, {"PRIORITY", "5"}, {"MESSAGE", "ops opens a session on gpu-1"}}},
      {"privilege",
       {{"SYSLOG_IDENTIFIER", "sudo"}, {"MESSAGE", "alice : TTY=pts/0 ; USER=root ; COMMAND=/usr/bin/id"}}},
      {"privilege",
       {{"_TRANSPORT", "audit"}, {"MESSAGE", "SYSCALL syscall=59 success=yes comm=\"sudo\" key=\"privileged\""}}},
      {"outbound", {{"_TRANSPORT", "kernel"}, {"MESSAGE", "ingot-drop-out IN= OUT=eth0 DST=192.0.2.1"}}},
      {"transfer", {{"_TRANSPORT", "kernel"}, {"MESSAGE", "ingot-transfer IN= OUT=eth0 DST=192.0.2.1"}}},
      {"login-refused",
       {{"SYSLOG_IDENTIFIER", "sshd-session"}, {"MESSAGE", "Failed publickey for alice from 192.0.2.1"}}},
      {"records-lost", {{"SYSLOG_IDENTIFIER", "ingot-queue"}, {"PRIORITY", "1"}, {"MESSAGE", "x"}}},
      {"queue-fills", {{"SYSLOG_IDENTIFIER", "ingot-queue"}, {"PRIORITY", "2"}, {"MESSAGE", "x"}}},
      {"", {{"_TRANSPORT", "audit"}, {"MESSAGE", "SYSCALL syscall=59 success=no comm=\"sudo\" key=\"privileged\""}}},
      {"", {{"_TRANSPORT", "journal"}, {"MESSAGE", "ingot-drop-out: a service that says so itself"}}},
      {"", {{"_TRANSPORT", "kernel"}, {"MESSAGE", "ingot-drop-in IN=eth0"}}},
      {"", {{"SYSLOG_IDENTIFIER", "ingot-queue"}, {"PRIORITY", "4"}, {"MESSAGE", "x"}}},
      {"", {{"SYSLOG_IDENTIFIER", "sudo"}, {"INGOT_ALERT", "privilege"}, {"MESSAGE", "COMMAND=/usr/bin/id"}}},
      {"", {}}};
  for (const auto& row : rows) {
    const auto alert = check::judge(row.record);
    INFO(row.kind);
    CHECK((alert ? alert->kind : "") == row.kind);
    if (alert) CHECK_FALSE(alert->reason.empty());
  }
}

TEST_CASE("alerts: 20 of a kind in a minute, and how many more there were") {
  struct Step {
    std::int64_t seconds;
    int alerts;  ///< of one kind; then what is told of them, and the numbers that are told of earlier ones before
    int told;
    std::vector<std::uint64_t> numbers;
    std::vector<std::uint64_t> at_end;  ///< of this delivery
  };
  struct Row {
    const char* name;
    std::vector<Step> steps;
  };
  const Row rows[] = {
      {"as many as are told", {{100, 20, 20, {}, {}}, {159, 0, 0, {}, {}}}},
      {"one more", {{100, 21, 20, {}, {1}}, {160, 0, 0, {}, {}}}},
      {"very many", {{100, 5000, 20, {}, {4980}}}},
      {"over several deliveries", {{100, 15, 15, {}, {}}, {130, 15, 5, {}, {10}}}},
      {"one number a minute, however many deliveries",
       {{100, 21, 20, {}, {1}}, {110, 7, 0, {}, {}}, {120, 8, 0, {}, {}}, {160, 1, 1, {15}, {}}}},
      {"the next minute is a new one", {{100, 20, 20, {}, {}}, {160, 21, 20, {}, {1}}}},
      {"a minute ends after 60 seconds, not before", {{100, 20, 20, {}, {}}, {159, 1, 0, {}, {1}}}},
      {"a number waits for no further alert", {{100, 21, 20, {}, {1}}, {101, 3, 0, {}, {}}, {161, 0, 0, {3}, {}}}},
      {"a clock that was set back", {{5000, 20, 20, {}, {}}, {100, 20, 20, {}, {}}}},
  };
  for (const auto& row : rows) {
    std::string kept;
    for (const auto& step : row.steps) {
      INFO(row.name << ", second " << step.seconds);
      auto limit = check::AlertLimit::parse(kept);
      const auto check_numbers = [](const auto& held, const auto& expected) {
        REQUIRE(held.size() == expected.size());
        for (std::size_t i = 0; i < held.size(); ++i) {
          CHECK(held[i].kind == "privilege");
          CHECK(held[i].count == expected[i]);
        }
      };
      check_numbers(limit.over(step.seconds), step.numbers);
      int told = 0;
      for (int i = 0; i < step.alerts; ++i) told += limit.take("privilege", step.seconds) ? 1 : 0;
      CHECK(told == step.told);
      CHECK(limit.take("login-refused", step.seconds));  // a kind has nothing to do with another one
      check_numbers(limit.at_end(step.seconds), step.at_end);
      kept = limit.render();
    }
  }
}

TEST_CASE("alerts: a limit that cannot be read begins anew") {
  for (const auto* text : {"", "\n", "privilege", "privilege x 20 0\n", "privilege 100 -\n", "privilege -1 20 0\n",
                           "no-such-kind 100 20 0\n", "priv\nINGOT_NODE=x 100 20 0\n", "\xff\xff\xff"}) {
    INFO(text);
    CHECK(check::AlertLimit::parse(text).render().empty());
  }
  const std::string two = "malformed 100 3 0\nprivilege 99 21 7\n";
  CHECK(check::AlertLimit::parse("rubbish\n" + two).render() == two);
}
