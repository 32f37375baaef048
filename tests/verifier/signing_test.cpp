#include "ingot/codec/signing.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <nlohmann/json.hpp>

using namespace ingot;
using namespace ingot::codec;

namespace {

RequestHead head() {
  RequestHead out;
  out.draft.profile = "training";
  out.draft.role = "training";
  out.draft.version = 7;
  out.draft.root_hash = std::string(64, 'a');
  out.draft.settings = {{SettingArea::sysctl, "kernel.kptr_restrict", "2", "", "KSPP", ""}};
  out.command_line = "quiet \"x\" roothash=" + out.draft.root_hash;
  out.probe_command_line = "panic=-1";
  out.os_release = "NAME=\"Größe\"\n";
  out.uname = "6.1";
  out.sbat = "a,1\n";
  out.execution_policy = "DEFAULT action=DENY\n";
  out.phases = {"enter-initrd", "ready"};
  out.allowed_partitions = {make_guid("c9521cc9-0ab6-4fc8-98b9-a6ea4e3f0988")};
  out.disk_size_bytes = 1u << 30;
  out.db_key = std::string(64, '1');
  out.pcr_key = std::string(64, '2');
  out.baseline_key = std::string(64, '3');
  for (const auto* name : request_contents) out.contents.push_back({name, 5, std::string(64, '4')});
  return out;
}

bool is_refused(const std::string& good, const std::function<void(nlohmann::json&)>& damage) {
  auto document = nlohmann::json::parse(good);
  damage(document);
  const auto text = document.dump();
  return !decode_request_head(as_bytes(text)) && !decode_signing_answer(as_bytes(text));
}

}  // namespace

TEST_CASE("signing request: its first line is read back as it was written, and is one line") {
  const auto line = encode_request_head(head());
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(decode_request_head(as_bytes(line)).value() == head());
  auto with_system = head();
  with_system.pcr_system_key = std::string(64, '5');
  CHECK(decode_request_head(as_bytes(encode_request_head(with_system))).value() == with_system);
  CHECK(decode_request_head(as_bytes(std::string_view(line).substr(0, line.size() - 1))).value() == head());
}

TEST_CASE("signing request: what nobody could explain is refused") {
  const auto line = encode_request_head(head());
  CHECK_FALSE(is_refused(line, [](auto&) {}));
  CHECK(is_refused(line, [](auto& document) { document["format"] = "ingot signing request v2"; }));
  CHECK(is_refused(line, [](auto& document) { document["note"] = ""; }));
  CHECK(is_refused(line, [](auto& document) { document["keys"]["KEK"] = std::string(64, '1'); }));
  CHECK(is_refused(line, [](auto& document) { document["keys"]["db"] = std::string(64, 'A'); }));
  CHECK(is_refused(line, [](auto& document) { document["keys"]["db"] = "1"; }));
  CHECK(is_refused(line, [](auto& document) { document["contents"].erase(0); }));
  CHECK(is_refused(line, [](auto& document) { document["contents"].push_back(document["contents"][0]); }));
  CHECK(is_refused(line, [](auto& document) { std::swap(document["contents"][0], document["contents"][1]); }));
  CHECK(is_refused(line, [](auto& document) { document["contents"][0]["bytes"] = -1; }));
  CHECK(is_refused(line, [](auto& document) { document["baseline"]["predicate"]["extra"] = 1; }));
  CHECK(is_refused(line, [](auto& document) { document["allowed_partitions"][0]["type"] = "data"; }));
  CHECK(is_refused(line, [](auto& document) { document["phases"][0] = "ready"; }));
  for (const auto* name : {"format", "baseline", "command_line", "os_release", "keys", "contents", "disk_bytes"}) {
    INFO(name);
    CHECK(is_refused(line, [&](auto& document) { document.erase(name); }));
  }
}

TEST_CASE(
    "signing request: a boot chain brings its first stage, shim the certificate it is signed under, and nothing else") {
  for (const auto chain : {BootChain::systemd_boot, BootChain::shim}) {
    INFO(to_text(chain));
    auto asked = head();
    asked.chain = chain;
    if (chain == BootChain::shim) asked.vendor_db = {1, 2, 3};
    asked.contents.push_back({first_stage_content, 5, std::string(64, '5')});
    const auto line = encode_request_head(asked);
    CHECK(decode_request_head(as_bytes(line)).value() == asked);
    CHECK(is_refused(line, [](auto& document) { document.erase("chain"); }));
    CHECK(is_refused(line, [](auto& document) { document["chain"] = "uki"; }));
    CHECK(is_refused(line, [](auto& document) { document["chain"] = "grub"; }));
    CHECK(is_refused(line, [](auto& document) { document["contents"].erase(5); }));
    CHECK(is_refused(line, [](auto& document) {
      document.contains("vendor_db") ? void(document.erase("vendor_db")) : void(document["vendor_db"] = "AAAA");
    }));
  }
}

TEST_CASE("signing answer: is read back as it was written; two signatures of one message by one key are none") {
  SigningAnswer answer{std::string(64, 'a'),
                       {{"one", std::string(64, '1'), std::string(64, '2'), {1, 2, 3}},
                        {"two", std::string(64, '1'), std::string(64, '3'), {4}}}};
  const auto text = encode_signing_answer(answer);
  CHECK(decode_signing_answer(as_bytes(text)).value() == answer);
  CHECK(is_refused(text, [](auto& document) { document["signatures"][1] = document["signatures"][0]; }));
  CHECK(is_refused(text, [](auto& document) { document["signatures"][0].erase("signature"); }));
  CHECK(is_refused(text, [](auto& document) { document["signatures"][0]["signature"] = ""; }));
  CHECK(is_refused(text, [](auto& document) { document["signatures"][0]["by"] = "x"; }));
  CHECK(is_refused(text, [](auto& document) { document["request"] = "x"; }));
  CHECK(is_refused(text, [](auto& document) { document["format"] = "ingot signing request v1"; }));
}
