#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "advice.hpp"
#include "ingot/check/boot.hpp"

namespace ingot::check {
std::string advice(Remedy remedy) {
  switch (remedy) {
    case Remedy::redeploy:
      return "redeploy the node from the signed image";
    case Remedy::re_enrol:
      return "enrol the node again, after finding out why its identity changed";
    case Remedy::update_platform:
      return "if the firmware or hardware was changed on purpose, learn and sign the platform again; if not, "
             "investigate";
    case Remedy::investigate:
      return "take the node out of service and investigate";
  }
  return {};
}

namespace {

/// Evidence is hostile: nothing of it may steer a terminal.
std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      out += "\\n";
    else if (byte < 0x20 || byte == 0x7F)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string verdict_json(const Verdict& verdict) {
  auto findings = nlohmann::json::array();
  for (const auto& finding : verdict.findings)
    findings.push_back({{"kind", to_text(finding.kind)},
                        {"subject", finding.subject},
                        {"expected", finding.expected},
                        {"observed", finding.observed},
                        {"cause", finding.cause},
                        {"remedy", to_text(finding.remedy)}});
  for (std::size_t i = 0; i < verdict.findings.size(); ++i) {
    const auto& finding = verdict.findings[i];
    if (finding.pcr) findings[i]["pcr"] = *finding.pcr;
    if (finding.setting) findings[i]["setting"] = to_text(*finding.setting);
    if (finding.self_reported()) findings[i]["self_reported"] = true;
  }
  auto pcrs = nlohmann::json::array();
  for (const auto& line : verdict.pcrs)
    pcrs.push_back({{"bank", to_text(line.bank)},
                    {"pcr", line.pcr},
                    {"expected", line.expected},
                    {"observed", line.observed},
                    {"matches", !line.expected.empty() && line.expected == line.observed}});
  auto settings = nlohmann::json::object();
  for (const auto& [area, count] : verdict.settings_judged) settings[to_text(area)] = count;
  const nlohmann::json document{{"verdict", verdict.trusted() ? "trusted" : "untrusted"},
                                {"profile", verdict.profile},
                                {"version", verdict.version},
                                {"findings", findings},
                                {"pcrs", pcrs},
                                {"settings_judged", settings},
                                {"notes", verdict.notes}};
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string render_verdict(const Verdict& verdict) {
  std::size_t matching = 0;
  for (const auto& line : verdict.pcrs) matching += !line.expected.empty() && line.expected == line.observed ? 1 : 0;
  std::string out =
      fmt::format("{}: {} version {}, {} of {} PCR values as predicted", verdict.trusted() ? "trusted" : "untrusted",
                  one_line(verdict.profile), verdict.version, matching, verdict.pcrs.size());
  out += verdict.findings.empty()
             ? "\n"
             : fmt::format(", {} finding{}\n", verdict.findings.size(), verdict.findings.size() == 1 ? "" : "s");
  for (std::size_t i = 0; i < verdict.findings.size(); ++i) {
    const auto& finding = verdict.findings[i];
    out += fmt::format("\n{}. {} [{}]{}\n", i + 1, one_line(finding.subject), to_text(finding.kind),
                       finding.self_reported() ? " self-reported" : "");
    out +=
        fmt::format("     expected  {}\n     observed  {}\n", one_line(finding.expected), one_line(finding.observed));
    out += fmt::format("     cause     {}\n     do        {}\n", one_line(finding.cause), advice(finding.remedy));
  }
  if (!verdict.notes.empty()) out += "\n";
  for (const auto& note : verdict.notes) out += fmt::format("note: {}\n", one_line(note));
  return out;
}

}  // namespace ingot::check
