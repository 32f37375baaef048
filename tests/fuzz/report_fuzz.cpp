// A node's report: the first byte chooses the part that the rest is the text of.
#include <algorithm>

#include "fuzz.hpp"
#include "ingot/check/settings.hpp"
#include "ingot/codec/report.hpp"
#include "ingot/codec/ruleset.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::pair<SettingArea, const char*> parts[] = {{SettingArea::sshd, "sshd"},
                                                              {SettingArea::sysctl, "sysctl"},
                                                              {SettingArea::kernel_parameter, "cmdline"},
                                                              {SettingArea::module, "modules"},
                                                              {SettingArea::module, "modprobe"},
                                                              {SettingArea::audit_status, "audit_status"},
                                                              {SettingArea::firewall, "nft"},
                                                              {SettingArea::unit, "units"},
                                                              {SettingArea::unit, "unit_files"},
                                                              {SettingArea::account, "accounts"},
                                                              {SettingArea::account, "groups"},
                                                              {SettingArea::socket, "tcp"},
                                                              {SettingArea::socket, "udp6"},
                                                              {SettingArea::mount, "mounts"},
                                                              {SettingArea::security_module, "lockdown"},
                                                              {SettingArea::security_module, "ipe"},
                                                              {SettingArea::file, "files"},
                                                              {SettingArea::audit_rule, "audit_rules"},
                                                              {SettingArea::volume, "volumes"},
                                                              {SettingArea::mount, "swaps"},
                                                              {SettingArea::security_module, "shim"}};
  if (size == 0) return 0;
  const auto& chosen = parts[data[0] % std::size(parts)];
  const auto area = chosen.first;
  const auto* part = chosen.second;
  const Bytes raw(data + 1, size - 1);
  NodeReport report;
  for (const auto& [of, name] : parts) report.parts[name] = "";
  report.parts["tcp6"] = report.parts["udp"] = "";
  report.parts[part] = std::string(as_text(raw));
  // Whatever it says: something that no node has is always found missing.
  const std::vector<Setting> wanted = {{area, "ipe no such thing", "-w /no/such/thing -p w", "", "", ""}};
  const auto findings = check::check_settings(wanted, report);
  FUZZ_REQUIRE(std::any_of(findings.begin(), findings.end(), [&](const auto& one) { return one.setting == area; }));
  const auto rule = codec::canonical_audit_rule(as_text(raw));
  FUZZ_REQUIRE(codec::canonical_audit_rule(rule) == rule);
  const auto text = codec::report_text(raw);
  FUZZ_REQUIRE(codec::report_text(as_bytes(text)) == text);
  FUZZ_REQUIRE(text.find('\x1B') == std::string::npos);
  if (const auto output = codec::decode_tool_answer(raw)) {
    FUZZ_REQUIRE(output->size() < raw.size() && raw[output->size()] == 0);
    FUZZ_REQUIRE(std::find(output->begin(), output->end(), 0) == output->end());
  }
  return 0;
}
