// The picture of a site: a column for each role and zone, a band for each plane with its flows as arrows.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ingot/builder/segment.hpp"

namespace ingot::builder {
namespace {

constexpr int margin = 24, label_width = 190, column_width = 190, head_height = 96, band_padding = 34,
              arrow_height = 26;

constexpr const char* style = R"(<style>
  svg { --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --band: #f3f5f8; --line: #c3cad3; --flow: #0b6bcb; --bad: #c62828; --node: #e7eefb; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --soft: #9aa6b2; --paper: #12161b; --band: #1b2128; --line: #3b4650; --flow: #6cb2ff; --bad: #ff7b72; --node: #1f2d42; }
  }
  text { font: 13px system-ui, sans-serif; fill: var(--ink); }
  .title { font-size: 18px; font-weight: 600; }
  .name { font-weight: 600; }
  .soft { fill: var(--soft); font-size: 11px; }
  .paper { fill: var(--paper); }
  .band { fill: var(--band); }
  .node { fill: var(--node); stroke: var(--line); }
  .zone { fill: none; stroke: var(--line); stroke-dasharray: 4 3; }
  .lane { stroke: var(--line); stroke-dasharray: 2 4; }
  .on { fill: var(--ink); }
  .flow { stroke: var(--flow); stroke-width: 1.6; fill: none; }
  .head { fill: var(--flow); }
  .bad { stroke: var(--bad); stroke-width: 2.4; fill: none; }
  .badhead { fill: var(--bad); }
  .badtext { fill: var(--bad); font-size: 11px; }
</style>
<defs>
  <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker>
  <marker id="badhead" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path class="badhead" d="M0 0 8 4 0 8z"/></marker>
</defs>
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

struct Arrow {
  std::string from;
  std::string to;
  std::string text;
  bool is_bad = false;
};

class MapWriter {
 public:
  MapWriter(const Site& site, const check::SegmentReport& report) : site_(site), report_(report) {
    for (const auto& zone : site.zones) columns_.push_back(zone.name);
    for (const auto& role : site.roles) columns_.push_back(role.name);
    for (const auto& one : report.violations)
      for (const auto& step : one.steps)
        if (one.kind == check::ViolationKind::forbidden || one.steps.size() == 1) add_column(step);
  }
  std::string write();

 private:
  void add_column(const check::Step& step) {
    for (const auto& name : {step.from, step.to})
      if (std::find(columns_.begin(), columns_.end(), name) == columns_.end()) columns_.push_back(name);
  }
  [[nodiscard]] int x(std::string_view name) const {
    const auto found = std::find(columns_.begin(), columns_.end(), name);
    return margin + label_width + column_width / 2 + column_width * static_cast<int>(found - columns_.begin());
  }
  [[nodiscard]] int width() const {
    return 2 * margin + label_width + column_width * static_cast<int>(columns_.size());
  }
  [[nodiscard]] std::vector<Arrow> arrows_on(const SitePlane& plane) const;
  void column(const std::string& name, int bottom);
  void band(const SitePlane& plane, const std::vector<Arrow>& arrows, int top);
  void arrow(const Arrow& one, int y);

  const Site& site_;
  const check::SegmentReport& report_;
  std::vector<std::string> columns_;
  std::string out_;
};

std::vector<Arrow> MapWriter::arrows_on(const SitePlane& plane) const {
  std::vector<Arrow> out;
  for (const auto& flow : site_.flows) {
    if (flow.plane != plane.name) continue;
    std::string text = flow.name + ":";
    for (const auto& port : flow.ports) text += " " + to_text(port);
    for (const auto& from : flow.from)
      for (const auto& to : flow.to) out.push_back({from, to, text, false});
  }
  for (const auto& one : report_.violations)
    for (const auto& step : one.steps)
      if (step.segment == plane.name)
        out.push_back({step.from, step.to, fmt::format("{}: {}", one.claim, to_text(step.packet)), true});
  return out;
}

void MapWriter::column(const std::string& name, int bottom) {
  const auto* role = site_.role(name);
  const int middle = x(name), left = middle - column_width / 2 + 12;
  out_ +=
      fmt::format("<line class=\"lane\" x1=\"{0}\" y1=\"{1}\" x2=\"{0}\" y2=\"{2}\"/>\n", middle, head_height, bottom);
  out_ += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"52\" width=\"{}\" height=\"36\" rx=\"6\"/>\n",
                      role != nullptr ? "node" : "zone", left, column_width - 24);
  out_ +=
      fmt::format("<text class=\"name\" x=\"{}\" y=\"75\" text-anchor=\"middle\">{}</text>\n", middle, escaped(name));
}

void MapWriter::arrow(const Arrow& one, int y) {
  const int from = x(one.from), to = x(one.to);
  const auto* line = one.is_bad ? "bad" : "flow";
  const auto* head = one.is_bad ? "badhead" : "head";
  if (from == to)
    out_ +=
        fmt::format("<path class=\"{}\" marker-end=\"url(#{})\" d=\"M{} {}h-34v10h28\"/>\n", line, head, from, y - 5);
  else
    out_ += fmt::format("<path class=\"{}\" marker-end=\"url(#{})\" d=\"M{} {}H{}\"/>\n", line, head, from, y,
                        to + (from < to ? -6 : 6));
  // Beside a loop, to its left; above an arrow, clear of its head.
  out_ += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n",
                      one.is_bad ? "badtext" : "soft", from == to ? from - 42 : std::min(from, to) + 18,
                      from == to ? y + 4 : y - 5, from == to ? "end" : "start", escaped(one.text));
}

void MapWriter::band(const SitePlane& plane, const std::vector<Arrow>& arrows, int top) {
  constexpr const char* kinds[] = {"plain", "VLAN", "VXLAN"};
  auto kind = std::string(kinds[static_cast<std::size_t>(plane.kind)]);
  if (plane.id != 0) kind += fmt::format(" {}", plane.id);
  if (!plane.underlay.empty()) kind += " over " + plane.underlay;
  out_ += fmt::format("<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>\n", margin + 12, top + 22, escaped(plane.name));
  out_ += fmt::format("<text class=\"soft\" x=\"{}\" y=\"{}\">{}</text>\n", margin + 12, top + 38, escaped(kind));
  int line = top + 52;
  for (const auto& subnet : plane.subnets) {
    out_ += fmt::format("<text class=\"soft\" x=\"{}\" y=\"{}\">{}</text>\n", margin + 12, line, to_text(subnet));
    line += 14;
  }
  for (const auto& role : site_.roles)
    if (role.on(plane.name) != nullptr)
      out_ += fmt::format("<circle class=\"on\" cx=\"{}\" cy=\"{}\" r=\"4\"/>\n", x(role.name), top + 12);
  for (const auto& zone : site_.zones)
    if (zone.plane == plane.name)
      out_ += fmt::format("<circle class=\"on\" cx=\"{}\" cy=\"{}\" r=\"4\"/>\n", x(zone.name), top + 12);
  int y = top + band_padding + 6;
  for (const auto& one : arrows) {
    arrow(one, y);
    y += arrow_height;
  }
}

std::string MapWriter::write() {
  std::vector<std::pair<std::vector<Arrow>, int>> bands;
  int bottom = head_height + 8;
  std::string backgrounds;
  for (const auto& plane : site_.planes) {
    auto arrows = arrows_on(plane);
    const int text = 58 + 14 * static_cast<int>(plane.subnets.size());
    const int height = std::max(text, band_padding + arrow_height * static_cast<int>(arrows.size()) + 8);
    backgrounds += fmt::format("<rect class=\"band\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n", margin,
                               bottom, width() - 2 * margin, height);
    bands.emplace_back(std::move(arrows), bottom);
    bottom += height + 10;
  }
  out_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\">\n"
      "<title>Planes, roles and flows of the site: {2}</title>\n",
      width(), bottom + 14, report_.violations.empty() ? "the segmentation holds" : "the segmentation is broken");
  out_ += style;
  out_ += fmt::format("<rect class=\"paper\" width=\"{}\" height=\"{}\"/>\n", width(), bottom + 14);
  out_ += fmt::format("<text class=\"title\" x=\"{}\" y=\"32\">{}</text>\n", margin,
                      report_.violations.empty()
                          ? fmt::format("Every flow works and nothing else passes: {} claims over {} rules hold",
                                        report_.claim_count, report_.rule_count)
                          : fmt::format("{} violations in red", report_.violations.size()));
  out_ += backgrounds;
  for (const auto& name : columns_) column(name, bottom - 10);
  for (std::size_t i = 0; i < bands.size(); ++i) band(site_.planes[i], bands[i].first, bands[i].second);
  return out_ + "</svg>\n";
}

}  // namespace

std::string render_segment_map(const Site& site, const check::SegmentReport& report) {
  return MapWriter(site, report).write();
}

}  // namespace ingot::builder
