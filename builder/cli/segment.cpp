#include "ingot/builder/segment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/network.hpp"
#include "ingot/builder/profile.hpp"

namespace ingot::cli {
namespace {

constexpr std::uint64_t ruleset_cap_bytes = 256u << 20;
constexpr std::uint64_t profile_cap_bytes = 1u << 20;

struct SegmentArguments {
  std::vector<std::string> profiles;
  std::string rulesets;
  std::string out;
  bool json = false;
};

/// `profiles/*.toml` names the site file, too: the one with planes.
Result<bool> is_site_file(const std::string& path) {
  const auto bytes = TRY(read_file(path, profile_cap_bytes));
  const auto text = as_text(bytes);
  return text.starts_with("[planes.") || text.find("\n[planes.") != std::string_view::npos;
}

/// The one site that all profiles share. A profile without one (the base of others) is left out.
Result<Site> load_sites(const std::vector<std::string>& paths) {
  std::optional<Site> site;
  for (const auto& path : paths) {
    std::optional<Site> found;
    if (TRY(is_site_file(path)))
      found = TRY(builder::load_site(path));
    else
      found = TRY(builder::load_profile(path)).site;
    if (!found) {
      say(fmt::format("{}: no site, left out", path));
      continue;
    }
    std::error_code ignored;
    if (site && !std::filesystem::equivalent(site->path, found->path, ignored))
      return fail(ErrorCode::usage, fmt::format("{} and {} are two sites", site->path, found->path),
                  "prove the profiles of one site at a time");
    site = std::move(found);
  }
  if (site) return *std::move(site);
  return fail(ErrorCode::usage, "none of the profiles has a site",
              "give a profile with site = \"...\", or the site file");
}

Result<builder::Rulesets> load_rulesets(const Site& site, const std::string& folder) {
  builder::Rulesets out;
  for (const auto& role : site.roles) {
    if (folder.empty()) {
      out[role.name] = TRY_IN(role.name, builder::ruleset_of_kernel(builder::nftables_ruleset(site, role)));
      continue;
    }
    const auto path = fmt::format("{}/{}.json", folder, role.name);
    out[role.name] = TRY_IN(path, codec::decode_nft(TRY(read_file(path, ruleset_cap_bytes))));
  }
  return out;
}

nlohmann::json packet_json(const check::Packet& packet) {
  nlohmann::json out{{"source", to_text(packet.source)},
                     {"destination", to_text(packet.destination)},
                     {"protocol", packet.protocol},
                     {"text", to_text(packet)}};
  const bool is_icmp = packet.protocol == 1 || packet.protocol == 58;
  out[is_icmp ? "code" : "source_port"] = packet.source_port;
  out[is_icmp ? "type" : "destination_port"] = packet.destination_port;
  if (packet.vni) out["vni"] = *packet.vni;
  return out;
}

nlohmann::json step_json(const check::Step& step) {
  auto hops = nlohmann::json::array();
  for (const auto& hop : step.hops) {
    auto rules = nlohmann::json::array();
    for (const auto& hit : hop.rules) {
      nlohmann::json rule{{"chain", hit.chain}, {"text", hit.text}};
      if (hit.handle != 0) rule["handle"] = hit.handle;
      rules.push_back(std::move(rule));
    }
    hops.push_back({{"host", hop.host}, {"hook", hop.hook}, {"rules", std::move(rules)}});
  }
  nlohmann::json out{{"from", step.from},
                     {"to", step.to},
                     {"segment", step.segment},
                     {"packet", packet_json(step.packet)},
                     {"hops", std::move(hops)}};
  if (!step.note.empty()) out["note"] = step.note;
  return out;
}

nlohmann::json report_json(const check::SegmentReport& report) {
  auto violations = nlohmann::json::array(), reach = violations, through = violations;
  for (const auto& one : report.violations) {
    auto steps = nlohmann::json::array();
    for (const auto& step : one.steps) steps.push_back(step_json(step));
    violations.push_back(
        {{"kind", to_text(one.kind)}, {"claim", one.claim}, {"text", one.text}, {"steps", std::move(steps)}});
  }
  for (const auto& one : report.reach) {
    auto services = nlohmann::json::array();
    for (const auto& service : one.services) services.push_back(to_text(service));
    reach.push_back({{"from", one.from},
                     {"to", one.to},
                     {"segment", one.segment},
                     {"rogue", one.as_rogue},
                     {"services", std::move(services)}});
  }
  for (const auto& [from, to] : report.through) through.push_back({{"from", from}, {"to", to}});
  return {{"holds", report.violations.empty()},  {"claims", report.claim_count}, {"rules", report.rule_count},
          {"violations", std::move(violations)}, {"direct", std::move(reach)},   {"through_hosts", std::move(through)}};
}

Result<check::SegmentReport> prove(const Site& site, const SegmentArguments& arguments) {
  const auto rulesets = TRY(load_rulesets(site, arguments.rulesets));
  return check::check_segments(TRY(builder::topology_of(site, rulesets)));
}

Result<int> run_check(const SegmentArguments& arguments) {
  const auto site = TRY(load_sites(arguments.profiles));
  const auto report = TRY(prove(site, arguments));
  if (arguments.json)
    print(report_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  else
    print(render_segments(report));
  return report.violations.empty() ? exit_ok : exit_findings;
}

Result<int> run_map(const SegmentArguments& arguments) {
  const auto site = TRY(load_sites(arguments.profiles));
  const auto report = TRY(prove(site, arguments));
  TRY(deliver(arguments.out, builder::render_segment_map(site, report)));
  return exit_ok;
}

}  // namespace

void add_segment(CLI::App& app, Action& action) {
  auto* segment = app.add_subcommand("segment", "Prove the segmentation of a site, or draw it");
  segment->require_subcommand(1);
  auto arguments = std::make_shared<SegmentArguments>();
  const auto add = [&](const char* name, const char* about) {
    auto* command = segment->add_subcommand(name, about);
    command->add_option("PROFILE", arguments->profiles, "Profiles of one site, or the site file")->required();
    command->add_option("--rulesets", arguments->rulesets,
                        "Folder with ROLE.json as `nft -j list ruleset` prints it on running nodes; default: what the "
                        "profiles render, loaded into this kernel and read back");
    return command;
  };
  auto* check = add("check", "From the rulesets that kernels hold: does every flow work, and nothing else?");
  check->add_flag("--json", arguments->json, "JSON on standard output");
  check->footer(
      "Each violated claim comes with a packet and the rules that it passes, host by host.\n"
      "Example: ingot segment check profiles/*.toml");
  check->callback([=, &action] { action = [arguments] { return run_check(*arguments); }; });
  auto* map = add("map", "The planes, who is on them and what flows, as SVG");
  map->add_option("--out", arguments->out, "File to write; default: standard output");
  map->callback([=, &action] { action = [arguments] { return run_map(*arguments); }; });
}

}  // namespace ingot::cli
