// A site file: refused with a place, or rendered for each role into files of which the text of the site is no part but
// in comments, names and addresses.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "fuzz.hpp"
#include "ingot/base/output.hpp"
#include "ingot/builder/network.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"
#include "ingot/builder/segment.hpp"

using namespace ingot;

namespace {

template <typename Check>
void each_line(std::string_view text, const Check& check) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    for (const char c : line) FUZZ_REQUIRE(static_cast<unsigned char>(c) >= 0x20);
    check(line);
  }
}

/// No line but those that the renderer knows, and each hook closed once.
void check_ruleset(const std::string& ruleset) {
  static constexpr std::string_view words[] = {"flush",   "table",   "chain", "set",    "type",  "elements", "counter",
                                               "iifname", "oifname", "ct",    "meta",   "limit", "ip",       "ip6",
                                               "tcp",     "udp",     "icmp",  "icmpv6", "}"};
  int closed = 0;
  each_line(ruleset, [&](std::string_view line) {
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
    if (line.empty() || line.front() == '#') return;
    const auto word = line.substr(0, line.find(' '));
    FUZZ_REQUIRE(std::find(std::begin(words), std::end(words), word) != std::end(words));
    if (line.ends_with("policy drop;")) ++closed;
    FUZZ_REQUIRE(line.find("policy accept") == std::string_view::npos);
  });
  FUZZ_REQUIRE(closed == 3);
}

void check_units(const std::vector<ExtraFile>& files) {
  for (const auto& file : files) {
    FUZZ_REQUIRE(file.path.starts_with("/etc/systemd/network/") && file.path.find('/', 21) == std::string::npos);
    each_line(as_text(file.content), [](std::string_view line) {
      FUZZ_REQUIRE(line.empty() || line.front() == '#' || line.front() == '[' || line.find('=') != line.npos);
    });
  }
}

/// The site's role with a card for each link.
Profile profile_of(const Site& site, const SiteRole& role) {
  Profile profile;
  profile.role = role.name;
  profile.site = site;
  for (const auto& plane : site.planes) {
    const auto is_same = [&](const auto& link) { return link.name == plane.link; };
    if (plane.link.empty() || std::any_of(profile.links.begin(), profile.links.end(), is_same)) continue;
    auto& link = profile.links.emplace_back();
    link.name = plane.link;
    link.path = "pci-0000:00:02.0";
  }
  return profile;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto folder =
      builder::TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-fuzz-").value();
  static const auto path = folder.path() + "/site.toml";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  FUZZ_REQUIRE(file != nullptr);
  FUZZ_REQUIRE(std::fwrite(data, 1, size, file) == size);
  FUZZ_REQUIRE(std::fclose(file) == 0);
  const auto site = builder::load_site(path);
  if (!site) {
    FUZZ_REQUIRE(!site.error().message.empty() && site.error().at);
    FUZZ_REQUIRE(site.error().at->file == path && site.error().at->line >= 1 && site.error().at->column >= 1);
    return 0;
  }
  for (const auto& role : site->roles) {
    check_ruleset(builder::nftables_ruleset(*site, role));
    check_units(builder::networkd_files(profile_of(*site, role)));
  }
  FUZZ_REQUIRE(builder::render_segment_map(*site, {}).starts_with("<svg"));
  return 0;
}
