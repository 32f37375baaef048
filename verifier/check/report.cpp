// The verdict as a page. Everything in it may come from a hostile node, and is escaped.
#include <fmt/format.h>

#include <algorithm>

#include "advice.hpp"
#include "ingot/check/boot.hpp"

namespace ingot::check {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (byte < 0x20 || byte == 0x7F)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

constexpr std::string_view style = R"(
:root { color-scheme: light dark; --good: #1a7f37; --bad: #cf222e; --odd: #9a6700; --line: #8885; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.word { padding: .1em .5em; border-radius: .3em; color: #fff; }
.trusted .word { background: var(--good); } .untrusted .word { background: var(--bad); }
.finding { border-left: 4px solid var(--bad); padding: .2rem 1rem; margin: 1rem 0; }
.stage { border: 1px solid var(--line); border-left: 6px solid var(--good); border-radius: .4rem; margin: 0; }
.stage.broken { border-left-color: var(--bad); }
.joint { width: 2px; height: 1rem; background: var(--line); margin-left: 1.5rem; }
summary { padding: .4rem 1rem; cursor: pointer; font-weight: 600; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
td, th { padding: .25rem 1rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; font-family: ui-monospace, monospace; font-size: .85em; }
td:first-child, th:first-child { width: 22%; font-family: inherit; }
td:last-child, th:last-child { width: 8rem; }
.matches td:last-child { color: var(--good); } .variant td:last-child { color: var(--odd); }
.differs td, .missing td, .unexpected td { color: var(--bad); }
dt { font-weight: 600; } dd { margin: 0 0 .4rem 0; overflow-wrap: anywhere; }
)";

const char* state_name(Verdict::LinkState state) {
  switch (state) {
    case Verdict::LinkState::matches:
      return "matches";
    case Verdict::LinkState::variant:
      return "variant";
    case Verdict::LinkState::differs:
      return "differs";
    case Verdict::LinkState::missing:
      return "missing";
    case Verdict::LinkState::unexpected:
      return "unexpected";
  }
  return "";
}

struct Stage {
  std::string_view name;
  std::vector<PcrIndex> pcrs;
};
/// In the order in which a boot goes through them.
const std::vector<Stage>& stages() {
  static const std::vector<Stage> all = {{"Firmware", {0}},
                                         {"Firmware settings and tables", {1}},
                                         {"Option ROMs and their settings", {2, 3}},
                                         {"Manufacturer", {6}},
                                         {"Secure Boot policy and authority", {7}},
                                         {"Boot application", {4}},
                                         {"Partition table, end of the firmware's part", {5}},
                                         {"Unified kernel image and boot phases", {11}},
                                         {"Kernel: load options and initrd", {8, 9}},
                                         {"Added at boot: command line, credentials, extensions", {12, 13}},
                                         {"shim", {14}}};
  return all;
}

bool is_good(Verdict::LinkState state) {
  return state == Verdict::LinkState::matches || state == Verdict::LinkState::variant;
}

std::string stage_html(const Stage& stage, const Verdict& verdict) {
  const auto belongs = [&](PcrIndex pcr) {
    return std::find(stage.pcrs.begin(), stage.pcrs.end(), pcr) != stage.pcrs.end();
  };
  std::string rows;
  std::size_t count = 0, bad = 0;
  for (const auto& link : verdict.chain) {
    if (!belongs(link.pcr)) continue;
    ++count;
    bad += is_good(link.state) ? 0 : 1;
    rows += fmt::format("<tr class=\"{0}\"><td>{1}</td><td>{2}</td><td>{3}</td><td>{0}</td></tr>\n",
                        state_name(link.state), escaped(link.cause), escaped(link.expected), escaped(link.observed));
  }
  for (const auto& line : verdict.pcrs) {
    if (!belongs(line.pcr)) continue;
    const bool same = !line.expected.empty() && line.expected == line.observed;
    bad += same ? 0 : 1;
    rows += fmt::format("<tr class=\"{0}\"><td>PCR {1}, {2}</td><td>{3}</td><td>{4}</td><td>{0}</td></tr>\n",
                        same ? "matches" : "differs", line.pcr, to_text(line.bank), escaped(line.expected),
                        escaped(line.observed));
  }
  if (rows.empty()) return {};
  return fmt::format(
      "<details class=\"stage{}\"{}><summary>{}: {}</summary>\n<table><tr><th>event</th><th>expected</th>"
      "<th>observed</th><th></th></tr>\n{}</table></details>\n",
      bad == 0 ? "" : " broken", bad == 0 ? "" : " open", stage.name,
      bad == 0 ? (count == 0 ? std::string("nothing measured, as expected") : fmt::format("{} events match", count))
               : fmt::format("{} differences", bad),
      rows);
}

std::string finding_html(const Finding& finding) {
  return fmt::format(
      "<section class=\"finding\"><h3>{} <code>{}</code>{}</h3>\n<dl><dt>expected</dt><dd>{}</dd><dt>observed</dt>"
      "<dd>{}</dd><dt>cause</dt><dd>{}</dd><dt>do</dt><dd>{}</dd></dl></section>\n",
      escaped(finding.subject), to_text(finding.kind), finding.self_reported() ? " self-reported" : "",
      escaped(finding.expected), escaped(finding.observed), escaped(finding.cause), advice(finding.remedy));
}

/// By area: how many settings were compared, and how many findings there are.
std::string settings_html(const Verdict& verdict) {
  std::string rows;
  for (const auto& [area, count] : verdict.settings_judged) {
    const auto found = std::count_if(verdict.findings.begin(), verdict.findings.end(),
                                     [&, wanted = area](const Finding& finding) { return finding.setting == wanted; });
    rows += fmt::format("<tr class=\"{0}\"><td>{1}</td><td>{2}</td><td>{3}</td><td>{0}</td></tr>\n",
                        found == 0 ? "matches" : "differs", to_text(area), count, found);
  }
  if (rows.empty()) return {};
  return fmt::format(
      "<h2>Settings (self-reported)</h2>\n<p>What the node says of itself. The TPM vouches for when and by whom it was "
      "said, not that it is true.</p>\n<table><tr><th>area</th><th>settings "
      "compared</th><th>findings</th><th></th></tr>"
      "\n{}</table>\n",
      rows);
}

}  // namespace

std::string render_report(const Verdict& verdict) {
  const char* word = verdict.trusted() ? "trusted" : "untrusted";
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}: {1} version {2}</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<style>{3}</style></head>\n"
      "<body class=\"{0}\">\n<h1><span class=\"word\">{0}</span> {1} version {2}</h1>\n",
      word, escaped(verdict.profile), verdict.version, style);
  if (!verdict.findings.empty()) out += fmt::format("<h2>{} findings</h2>\n", verdict.findings.size());
  for (const auto& finding : verdict.findings) out += finding_html(finding);
  out += "<h2>The boot</h2>\n";
  bool first = true;
  for (const auto& stage : stages()) {
    const auto html = stage_html(stage, verdict);
    if (html.empty()) continue;
    if (!first) out += "<div class=\"joint\"></div>\n";
    first = false;
    out += html;
  }
  out += settings_html(verdict);
  if (!verdict.notes.empty()) out += "<h2>Notes</h2>\n<ul>\n";
  for (const auto& note : verdict.notes) out += fmt::format("<li>{}</li>\n", escaped(note));
  if (!verdict.notes.empty()) out += "</ul>\n";
  return out + "</body></html>\n";
}

}  // namespace ingot::check
