#include <fmt/format.h>

#include <memory>

#include "cli.hpp"
#include "ingot/base/source.hpp"
#include "ingot/check/grammar.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/event_text.hpp"
#include "render.hpp"

namespace ingot::cli {
namespace {

constexpr std::uint64_t log_cap_bytes = 64u << 20;

struct LogArguments {
  std::string path;
  bool json = false;
};

nlohmann::json event_json(std::size_t index, const Event& event) {
  auto digests = nlohmann::json::object();
  for (const auto& [alg, digest] : event.digests) digests[to_text(alg)] = to_hex(digest);
  const auto described = codec::describe_event(event);
  return {{"index", index},
          {"pcr", event.pcr},
          {"type", to_text(event.type)},
          {"digests", digests},
          {"data", {{"component", described.component}, {"text", described.text}, {"vouched", described.vouched}}}};
}

/// A text that the digest does not vouch for is marked: anybody could have written it.
std::string event_line(const Event& event) {
  const auto described = codec::describe_event(event);
  return fmt::format("{}{}{}{}", described.component, described.text.empty() ? "" : ": ", described.text,
                     described.vouched || described.text.empty() ? "" : " (not vouched for)");
}

nlohmann::json problems_json(const std::vector<check::LogProblem>& problems) {
  auto out = nlohmann::json::array();
  for (const auto& problem : problems)
    out.push_back({{"kind", to_text(problem.kind)},
                   {"event", problem.event},
                   {"pcr", problem.pcr},
                   {"detail", problem.detail},
                   {"quirk", problem.quirk}});
  return out;
}

Result<int> run_log(const LogArguments& arguments) {
  const auto bytes = TRY(read_file(arguments.path, log_cap_bytes));
  const auto log = TRY_IN(arguments.path, codec::decode_event_log(bytes));
  const auto pcrs = codec::replay(log);
  const auto problems = check::check_grammar(log);
  const std::string format = log.format == codec::LogFormat::crypto_agile ? "crypto-agile" : "sha1";
  if (arguments.json) {
    auto banks = nlohmann::json::array();
    for (const auto& algorithm : log.algorithms) banks.push_back(to_text(algorithm.alg));
    auto events = nlohmann::json::array();
    for (std::size_t i = 0; i < log.events.size(); ++i) events.push_back(event_json(i, log.events[i]));
    const nlohmann::json document{{"format", format}, {"banks", banks},        {"event_count", log.events.size()},
                                  {"events", events}, {"pcrs", to_json(pcrs)}, {"problems", problems_json(problems)}};
    print(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    return exit_ok;
  }
  std::string text = fmt::format("{} log, {} events\n", format, log.events.size());
  for (std::size_t i = 0; i < log.events.size(); ++i)
    text += fmt::format("{:>4}  pcr {:<2} {:<34} {}\n", i, log.events[i].pcr, to_text(log.events[i].type),
                        event_line(log.events[i]));
  for (const auto& problem : problems)
    text += fmt::format("{}: event {}, pcr {}: {}: {}\n", problem.quirk.empty() ? "problem" : "habit " + problem.quirk,
                        problem.event, problem.pcr, to_text(problem.kind), problem.detail);
  for (const auto& [alg, bank] : pcrs) {
    text += fmt::format("\n{}:\n", to_text(alg));
    for (const auto& [index, value] : bank) text += fmt::format("  {:<2} {}\n", index, to_hex(value));
  }
  print(text);
  return exit_ok;
}

}  // namespace

void add_log(CLI::App& app, Action& action) {
  auto* log = app.add_subcommand("log", "Decode and replay a TCG event log");
  log->footer("Example: ingot log /sys/kernel/security/tpm0/binary_bios_measurements");
  auto arguments = std::make_shared<LogArguments>();
  log->add_option("FILE", arguments->path, "Event log, binary")->required();
  log->add_flag("--json", arguments->json, "JSON on standard output");
  log->callback([=, &action] { action = [arguments] { return run_log(*arguments); }; });
}

}  // namespace ingot::cli
