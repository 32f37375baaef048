// The map of a site before a reader of its own.
#include "ingot/base/output.hpp"
#include "ingot/builder/profile.hpp"
#include "ingot/builder/segment.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

/// The document after Chromium has read it.
std::string read_by_chromium(const std::string& svg) {
  const auto folder = scratch();
  const auto path = folder.path() + "/map.svg";
  REQUIRE(write_file(path, as_bytes(svg)));
  const auto done = run_tool({"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                              "--user-data-dir=" + folder.path() + "/profile", "--dump-dom", "file://" + path});
  REQUIRE(done.exit_code == 0);
  return std::string(as_text(done.output));
}

}  // namespace

TEST_CASE("segment map: Chromium reads every plane, role and flow, and nothing from elsewhere") {
  const auto site = builder::load_site(std::string(INGOT_SOURCE) + "/profiles/site.toml").value();
  const auto page = read_by_chromium(builder::render_segment_map(site, {}));
  std::size_t arrows = 0;
  for (const auto& flow : site.flows) arrows += flow.from.size() * flow.to.size();
  CHECK(count(page, "class=\"band\"") == site.planes.size());
  CHECK(count(page, "class=\"node\"") == site.roles.size());
  CHECK(count(page, "class=\"zone\"") == site.zones.size());
  CHECK(count(page, "class=\"flow\"") == arrows);
  CHECK(count(page, "class=\"bad\"") == 0);
  CHECK(count(page, "http") == 1);  // the name of the SVG namespace
  CHECK(count(page, "prefers-color-scheme: dark") == 1);

  check::SegmentReport report;
  check::Step step{"clients", "storage", "public", {}, {}, {}};
  report.violations.push_back({check::ViolationKind::forbidden, "<script>", "clients reaches storage", {step}});
  const auto bad = read_by_chromium(builder::render_segment_map(site, report));
  CHECK(count(bad, "class=\"bad\"") == 1);
  CHECK(count(bad, "<script") == 0);
}
