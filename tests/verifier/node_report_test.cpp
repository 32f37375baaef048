#include <catch2/catch.hpp>

#include "boot_vectors.hpp"
#include "decoder_checks.hpp"
#include "ingot/codec/report.hpp"
#include "ingot/codec/ruleset.hpp"

using namespace ingot;

namespace {

std::string line_of(const std::vector<codec::RulesetLine>& lines, const std::string& name) {
  for (const auto& line : lines)
    if (line.name == name) return line.text;
  return "none";
}

}  // namespace

TEST_CASE("ruleset: two releases of nft say the same, and what counts is in it") {
  const auto older = codec::canonical_ruleset(test::vector_file("ruleset-nft-1.0.6.json")).value();
  CHECK(older == codec::canonical_ruleset(test::vector_file("ruleset-nft-1.1.3.json")).value());
  CHECK(older.size() > 60);
  CHECK(line_of(older, "inet ingot input") == "chain hook input policy drop prio 0 type filter");
  CHECK(line_of(older, "inet ingot input #1") ==
        "ct state vmap { established : accept, invalid : drop, related : accept }");
  CHECK(line_of(older, "inet ingot input #4") ==
        "meta iifname { a0, b0 } udp dport 4789 ip saddr @vteps counter accept");
  CHECK(line_of(older, "inet ingot input #7") == "(tcp flags & fin,syn,rst,ack) != syn ct state in new drop");
  CHECK(line_of(older, "inet ingot from_mgmt #1") ==
        "ip saddr 10.1.0.5 tcp dport 22 ct state in new counter c_ssh accept comment \"ssh only from the bastion\"");
  CHECK(line_of(older, "inet ingot set vteps") == "set { 10.9.0.1, 10.9.0.2 }");
  CHECK(line_of(older, "inet ingot set dyn") == "set size 1024 timeout 60 flags timeout elements come and go");
  CHECK(line_of(older, "inet ingot map zone") == "map map verdict { mgmt0 : jump from_mgmt, train0 : drop }");
}

TEST_CASE("ruleset: counters, handles and elements that rules add are not compared; all else is") {
  const auto line = [](const std::string& rule) {
    const auto lines = codec::canonical_ruleset(as_bytes(
        R"({"nftables": [{"chain": {"family": "ip", "table": "t", "name": "c", "handle": 1}}, {"rule": {"family": "ip", "table": "t", "chain": "c", )" +
        rule + "}}]}"));
    return lines ? line_of(*lines, "ip t c #1") : describe(lines.error());
  };
  CHECK(line(R"("handle": 1, "expr": [{"counter": {"packets": 1, "bytes": 2}}, {"drop": null}])") == "counter drop");
  CHECK(line(R"("handle": 7, "expr": [{"counter": {"packets": 9, "bytes": 3}}, {"drop": null}])") == "counter drop");
  CHECK(line(R"("expr": [{"xyz": {"a": 1, "b": [1, "2 3"]}}])") == R"(xyz (a 1 b 1,"2 3"))");
  CHECK(line(R"("expr": [{"quota": {"val": 5, "val_unit": "mbytes", "used": 1, "used_unit": "bytes"}}])") ==
        "quota (val 5 val_unit mbytes)");
  CHECK(line(R"("expr": [{"drop": null}], "comment": "\u001b[2J")") == R"(drop comment "\u001b[2J")");
}

TEST_CASE("ruleset: what is not nft's is refused") {
  for (const auto* text : {"", "{}", "[]", R"({"nftables": {}})", R"({"nftables": [1]})",
                           R"({"nftables": [{"table": 1}]})", R"({"nftables": [{"table": {"family": "ip"}}]})",
                           R"({"nftables": [{"rule": {"family": "ip", "table": "t", "chain": "c", "expr": []}}]})"}) {
    INFO(text);
    CHECK_FALSE(codec::canonical_ruleset(as_bytes(text)));
  }
  const auto whole = test::vector_file("ruleset-nft-1.1.3.json");
  for (std::size_t size = 0; size + 2 < whole.size(); size += 97)
    CHECK_FALSE(codec::canonical_ruleset(Bytes(whole).first(size)));
  CHECK_FALSE(codec::canonical_ruleset(as_bytes(R"({"nftables":)" + std::string(1u << 20, '['))));
}

TEST_CASE("audit rules: as written and as auditctl prints them is one form") {
  struct Row {
    const char* written;
    const char* printed;
  };
  const Row rows[] = {
      {"-a exit,always -F arch=b64 -S adjtimex,settimeofday -k time-change",
       "-a always,exit -F arch=b64 -S settimeofday,adjtimex -F key=time-change"},
      {"-a always,exit -F arch=b64 -S open -S openat -F exit=-EACCES -F auid>=1000 -F auid!=unset -k access",
       "-a always,exit -F arch=b64 -S open,openat -F exit=-EACCES -F auid>=1000 -F auid!=-1 -F key=access"},
      {"-w /etc/sudoers.d/ -p aw -k scope", "-w /etc/sudoers.d -p wa -k scope"},
      {"-w /etc/passwd -k x", "-w /etc/passwd -p rwxa -k x"},
      {"-a always,exit -F path=/etc/passwd -F perm=wa -k x", "-w /etc/passwd -p wa -k x"},
      {"-a always,exit -F path=/usr/bin/su -F perm=x -F auid>=1000 -F auid!=4294967295 -k privileged",
       "-a always,exit -S all -F path=/usr/bin/su -F perm=x -F auid>=1000 -F auid!=-1 -F key=privileged"},
      {"-a always,exit -F arch=b64 -S ptrace -F a0=4 -k inject",
       "-a always,exit -F arch=b64 -S ptrace -F a0=0x4 -F key=inject"},
      {"-a never,exclude -F msgtype=CWD", "-a never,exclude -F msgtype=CWD"},
  };
  for (const auto& row : rows) {
    CHECK(codec::canonical_audit_rule(row.written) == codec::canonical_audit_rule(row.printed));
    const auto form = codec::canonical_audit_rule(row.written);
    CHECK(codec::canonical_audit_rule(form) == form);
  }
  CHECK(codec::canonical_audit_rule("-a always,exit -F arch=b64 -S open") !=
        codec::canonical_audit_rule("-a always,exit -F arch=b32 -S open"));
  CHECK(codec::canonical_audit_rule("-w /etc/passwd -p w") != codec::canonical_audit_rule("-w /etc/passwd -p wa"));
  CHECK(codec::decode_audit_rules("No rules\n").value().empty());
  CHECK_FALSE(codec::decode_audit_rules("Operation not permitted\n"));
}

TEST_CASE("sockets: those that listen, in the words of people") {
  const std::string heading =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
  CHECK(codec::decode_listening_sockets("tcp", heading + "   0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 33 0 1\n"
                                                         "   1: 0F02000A:0016 0202000A:C350 01 0:0 0:0 0 0 0 2\n"
                                                         "   2: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 3\n")
            .value() == std::vector<std::string>{"tcp 0.0.0.0:22", "tcp 127.0.0.1:8080"});
  CHECK(codec::decode_listening_sockets("udp", " 7: 00000000:12B5 00000000:0000 07 0:0 0:0 0 0 0 1\n").value() ==
        std::vector<std::string>{"udp 0.0.0.0:4789"});
  CHECK(codec::decode_listening_sockets(
            "tcp6",
            " 0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 1\n"
            " 1: B80D0120000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 1\n"
            " 2: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 1\n")
            .value() == std::vector<std::string>{"tcp [2001:db8::1]:80", "tcp [::]:443", "tcp [::ffff:7f00:1]:81"});
  for (const auto* text : {"0: 0100007F 0 0A\n", "0: 01007F:16 0:0 0A\n", "0: 0100007F:1F901 0:0 0A\n", "x\n"})
    CHECK_FALSE(codec::decode_listening_sockets("tcp", text));
}

TEST_CASE("report parts: small forms") {
  const auto sshd = codec::decode_sshd_settings("permitrootlogin without-password\nhostkey /a\nhostkey /b\n").value();
  CHECK(sshd.at("permitrootlogin") == "prohibit-password");
  CHECK(sshd.at("hostkey") == "/a /b");
  CHECK(codec::decode_sysctls("net.ipv4.tcp_rmem = 4096\t131072\t6291456\nkernel.x = \n")
            .value()
            .at("net.ipv4.tcp_rmem") == "4096 131072 6291456");
  CHECK_FALSE(codec::decode_sysctls("nonsense\n"));
  const auto parameters = codec::decode_kernel_parameters("quiet a=b=c dyndbg=\"file x +p\" ro\n");
  CHECK(parameters ==
        std::vector<codec::KernelParameter>{
            {"quiet", "", false}, {"a", "b=c", true}, {"dyndbg", "\"file x +p\"", true}, {"ro", "", false}});
  CHECK(codec::decode_choice("none [integrity] confidentiality\n").value() == "integrity");
  CHECK_FALSE(codec::decode_choice("none\n"));
  const auto mounts =
      codec::decode_mounts("1 0 0:1 / /run rw,nosuid - tmpfs tmpfs rw,mode=755\n2 1 0:2 / /run ro - tmpfs x rw\n")
          .value();
  REQUIRE(mounts.size() == 1);  // what lies below is not in force
  CHECK(mounts[0].options == std::vector<std::string>{"ro", "rw", "type=tmpfs", "source=x"});
  CHECK(codec::report_text(Buffer{'a', 0x1B, '\n', 0xFF}) == "a\\x1b\n\\xff");
}

TEST_CASE("report digest: as the format says, and every part counts") {
  // (printf 'ingot-report/1\0\0\0\0\1a\0\0\0\2bc') | sha256sum
  const NodeReport report{{{"a", "bc"}}};
  CHECK(to_hex(codec::report_digest(report)) == "84eb252d19ccf8703c7c3ccc85506a1a21fbcac3bf67ab24a5ea97321fe69326");
  CHECK(codec::report_digest(report) != codec::report_digest({{{"ab", "c"}}}));
  Evidence evidence;
  const auto without = codec::quote_binding(evidence);
  evidence.report = NodeReport{};
  CHECK(codec::quote_binding(evidence) != without);  // an empty report is not none
  CHECK(codec::decode_evidence(as_bytes(codec::encode_evidence(evidence))).value() == evidence);
  evidence.report = report;
  CHECK(codec::decode_evidence(as_bytes(codec::encode_evidence(evidence))).value() == evidence);
}
