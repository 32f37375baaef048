#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/signature_log.hpp"

namespace ingot::cli {
namespace {

struct SignLogArguments {
  std::string path;
  std::string head;
  bool verify = false;
  bool json = false;
};

/// A log holds what file names and images say of themselves: nothing in it may move the cursor.
std::string shown(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text;
}

std::string entry_line(std::size_t number, const codec::SignatureEntry& entry) {
  const auto who = entry.login.empty() ? entry.user : fmt::format("{} (as {})", entry.login, entry.user);
  return fmt::format("{:>4}  {}  {}@{}  {}{}  signed {}  key {}\n", number, shown(entry.time), shown(who),
                     shown(entry.host), shown(entry.what),
                     entry.digest.empty() ? "" : "  digest " + to_hex(entry.digest), to_hex(entry.signed_sha256),
                     to_hex(entry.key_sha256));
}

nlohmann::json entry_json(const codec::SignatureEntry& entry, const Buffer& head) {
  return {{"time", entry.time},
          {"user", entry.user},
          {"login", entry.login},
          {"host", entry.host},
          {"what", entry.what},
          {"digest", to_hex(entry.digest)},
          {"signed", to_hex(entry.signed_sha256)},
          {"key", to_hex(entry.key_sha256)},
          {"head", to_hex(head)}};
}

Result<std::string> log_file(std::string path) {
  const char* named = std::getenv("INGOT_SIGN_LOG");
  if (path.empty() && named != nullptr) path = named;
  if (path.empty())
    return fail(ErrorCode::usage, "no log is named", "give the file, or the key folder that it lies in");
  std::error_code ec;
  return std::filesystem::is_directory(path, ec) ? path + "/signatures.log" : path;
}

Result<int> run_sign_log(const SignLogArguments& arguments) {
  const auto path = TRY(log_file(arguments.path));
  const auto wanted = parse_hex(arguments.head);
  if (!arguments.head.empty() && (!wanted || wanted->size() != codec::empty_signature_log_head().size()))
    return fail(ErrorCode::usage, "--head is not a SHA-256 in hexadecimal");
  const auto text = TRY(read_file(path, codec::signature_log_cap_bytes));
  const auto log = codec::read_signature_log(text);
  const bool cut = !arguments.head.empty() && !log.had_head(*wanted);
  if (arguments.json) {
    auto entries = nlohmann::json::array();
    for (std::size_t i = 0; i < log.entries.size(); ++i) entries.push_back(entry_json(log.entries[i], log.heads[i]));
    nlohmann::json document{{"file", path}, {"entries", entries}, {"head", to_hex(log.head())}, {"broken", nullptr}};
    if (log.broken) document["broken"] = {{"line", log.broken->line}, {"why", log.broken->why}};
    if (!arguments.head.empty()) document["had_head"] = !cut;
    print(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else if (!arguments.verify && arguments.head.empty()) {
    std::string lines;
    for (std::size_t i = 0; i < log.entries.size(); ++i) lines += entry_line(i + 1, log.entries[i]);
    print(lines);
  }
  if (log.broken)
    say(fmt::format("{}: the chain breaks at line {}: {}", path, log.broken->line, shown(log.broken->why)));
  if (cut)
    say(fmt::format("{}: no line has the hash {}: lines were taken away or changed since that was the head", path,
                    arguments.head));
  if (log.broken || cut) return exit_findings;
  say(fmt::format("{}: the chain holds over {} signatures; its head is {}", path, log.entries.size(),
                  to_hex(log.head())));
  if (arguments.head.empty())
    say("whether lines are missing at its end can't be seen: keep the head elsewhere, and give it as --head next time");
  return exit_ok;
}

}  // namespace

void add_sign_log(CLI::App& sign, Action& action) {
  auto* command =
      sign.add_subcommand("log", "Every signature made: who, what, digest, key, when; and its chain checked");
  command->footer(
      "Example: ingot sign log keys\n"
      "         ingot sign log --verify keys/signatures.log --head 9f86d081884c7d659a2feaa0c55ad015...\n"
      "Each line holds the SHA-256 of the line before. Exit status 1: the chain breaks, and at which line; or no line\n"
      "has the hash that was the head when you looked last.");
  auto arguments = std::make_shared<SignLogArguments>();
  command->add_option("FILE", arguments->path, "Log, or the key folder that it lies in; default: INGOT_SIGN_LOG");
  command->add_flag("--verify", arguments->verify, "Check alone: the signatures are not listed");
  command->add_option("--head", arguments->head, "SHA-256 that was the log's head before: the log must still have it");
  command->add_flag("--json", arguments->json, "JSON on standard output");
  command->callback([=, &action] { action = [arguments] { return run_sign_log(*arguments); }; });
}

}  // namespace ingot::cli
