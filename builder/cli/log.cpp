#include <fmt/format.h>

#include <memory>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/source.hpp"
#include "ingot/check/grammar.hpp"
#include "ingot/codec/any_log.hpp"
#include "ingot/codec/event_text.hpp"
#include "render.hpp"

namespace ingot::cli {
namespace {

constexpr std::uint64_t log_cap_bytes = 64u << 20;

struct LogArguments {
  std::vector<std::string> paths;
  std::string export_format;
  std::string out;
  bool json = false;
};

nlohmann::json digests_json(const Digests& digests) {
  auto out = nlohmann::json::object();
  for (const auto& [alg, digest] : digests) out[to_text(alg)] = to_hex(digest);
  return out;
}

nlohmann::json event_json(std::size_t index, const Event& event) {
  return {{"index", index},
          {"pcr", event.pcr},
          {"type", to_text(event.type)},
          {"digests", digests_json(event.digests)},
          {"data", codec::event_data_json(event)}};
}

nlohmann::json ima_json(std::size_t index, const codec::ImaEntry& entry) {
  nlohmann::json data{{"component", entry.template_name},
                      {"text", entry.path},
                      {"vouched", !entry.is_violation()},
                      {"digest", entry.digest_alg + ":" + to_hex(entry.digest)}};
  if (entry.is_violation()) data["invalid"] = "violation: the kernel could not tell what was read";
  if (!entry.signature.empty()) data["signature"] = to_hex(entry.signature);
  if (!entry.buffer.empty()) data["buffer"] = to_hex(entry.buffer);
  if (!entry.modsig.empty()) data["modsig"] = to_hex(entry.modsig);
  Digests digests;
  for (const auto alg : predicted_banks) digests[alg] = codec::ima_extend_value(alg, entry);
  digests[HashAlg::sha1] = codec::ima_extend_value(HashAlg::sha1, entry);
  return {{"index", index}, {"pcr", entry.pcr}, {"type", "ima"}, {"digests", digests_json(digests)}, {"data", data}};
}

std::string ima_line(const codec::ImaEntry& entry) {
  return fmt::format("{}: {} {}", entry.template_name, entry.path,
                     entry.is_violation() ? "violation" : entry.digest_alg + ":" + to_hex(entry.digest));
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

/// All events of the boot in one list: firmware's, userspace's, IMA's.
nlohmann::json events_json(const codec::AnyLog& log) {
  auto events = nlohmann::json::array();
  if (log.firmware)
    for (const auto& event : log.firmware->events) events.push_back(event_json(events.size(), event));
  for (const auto& event : log.userspace) events.push_back(event_json(events.size(), event));
  for (const auto& entry : log.ima) events.push_back(ima_json(events.size(), entry));
  return events;
}

std::string events_text(const codec::AnyLog& log) {
  std::string text;
  std::size_t index = 0;
  const auto line = [&](PcrIndex pcr, const std::string& type, const std::string& what) {
    text += fmt::format("{:>4}  pcr {:<2} {:<34} {}\n", index++, pcr, type, what);
  };
  if (log.firmware)
    for (const auto& event : log.firmware->events) line(event.pcr, to_text(event.type), event_line(event));
  for (const auto& event : log.userspace) line(event.pcr, "userspace", event_line(event));
  for (const auto& entry : log.ima) line(entry.pcr, "ima", ima_line(entry));
  return text;
}

Result<codec::AnyLog> load_logs(const std::vector<std::string>& paths) {
  std::optional<codec::AnyLog> all;
  for (const auto& path : paths) {
    auto log = TRY_IN(path, codec::decode_any_log(TRY(read_file(path, log_cap_bytes))));
    if (all)
      TRY_IN(path, codec::join_log(*all, std::move(log)));
    else
      all = std::move(log);
  }
  return *std::move(all);
}

Result<int> export_log(const codec::AnyLog& log, const LogArguments& arguments) {
  const auto records = codec::cel_records(log.firmware.value_or(codec::EventLog{}), log.userspace, log.ima);
  if (arguments.export_format == "cel-json") {
    TRY(deliver(arguments.out, codec::encode_cel_json(records)));
    return exit_ok;
  }
  const auto bytes = codec::encode_cel_tlv(records);
  TRY(deliver(arguments.out, as_text(bytes)));
  return exit_ok;
}

Result<int> run_log(const LogArguments& arguments) {
  const auto log = TRY(load_logs(arguments.paths));
  if (!arguments.export_format.empty()) return export_log(log, arguments);
  const auto pcrs = codec::replay(log);
  const auto problems = log.firmware ? check::check_grammar(*log.firmware) : std::vector<check::LogProblem>{};
  const auto count = (log.firmware ? log.firmware->events.size() : 0) + log.userspace.size() + log.ima.size();
  if (arguments.json) {
    auto banks = nlohmann::json::array();
    if (log.firmware)
      for (const auto& algorithm : log.firmware->algorithms) banks.push_back(to_text(algorithm.alg));
    else
      for (const auto& [alg, bank] : pcrs) banks.push_back(to_text(alg));
    const nlohmann::json document{{"format", to_text(log.format)}, {"banks", banks},
                                  {"event_count", count},          {"events", events_json(log)},
                                  {"pcrs", to_json(pcrs)},         {"problems", problems_json(problems)}};
    print(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    return exit_ok;
  }
  std::string text = fmt::format("{} log, {} events\n", to_text(log.format), count) + events_text(log);
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
  auto* log = app.add_subcommand("log", "Decode and replay measurement logs");
  log->footer(
      "Formats are told apart by themselves: firmware (crypto-agile, SHA-1), systemd, IMA (binary, ASCII), CEL (TLV,\n"
      "JSON), evidence files. Several files are the logs of one boot.\n"
      "Example: ingot log /sys/kernel/security/tpm0/binary_bios_measurements /run/log/systemd/tpm2-measure.log");
  auto arguments = std::make_shared<LogArguments>();
  log->add_option("FILE", arguments->paths, "Logs of one boot")->required();
  auto* json = log->add_flag("--json", arguments->json, "JSON on standard output");
  log->add_option("--export", arguments->export_format, "Write the logs in another format")
      ->check(CLI::IsMember({"cel-json", "cel-tlv"}))
      ->excludes(json);
  log->add_option("--out", arguments->out, "File to write an export to; default: standard output")
      ->needs(log->get_option("--export"));
  log->callback([=, &action] { action = [arguments] { return run_log(*arguments); }; });
}

}  // namespace ingot::cli
