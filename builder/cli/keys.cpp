#include <fmt/format.h>

#include <memory>

#include "cli.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/signer/issue.hpp"
#include "ingot/signer/key.hpp"
#include "key_options.hpp"

namespace ingot::cli {

namespace {

constexpr std::uint64_t request_cap_bytes = 64u << 10;

struct IssueOptions {
  std::string request, keys, out;
  signer::NodeCertificate wanted;
};

Result<int> issue(const IssueOptions& options) {
  const auto keys = TRY(signer::open_keys(options.keys));
  const auto request = TRY(read_file(options.request, request_cap_bytes));
  const auto pem = TRY_IN(options.request, signer::issue_certificate(keys, as_text(request), options.wanted));
  TRY(write_file(options.out, as_bytes(pem)));
  say(fmt::format("certificate of {} for {} days: {}", options.wanted.node, options.wanted.days, options.out));
  return exit_ok;
}

void add_issue(CLI::App& keys, Action& action) {
  auto* command = keys.add_subcommand("issue", "Certify a node's TLS key, so that its records are taken as its own");
  command->footer(
      "Example: ingot keys issue --csr node.csr --node gpu-7 --keys keys --out node.crt\n"
      "Give --name for each address of the node (sudo's sessions are taken only from these), and for each host name "
      "and\n"
      "address that nodes reach a collector by.");
  auto options = std::make_shared<IssueOptions>();
  command->add_option("--csr", options->request, "The node's /var/lib/ingot/identity/node.csr")->required();
  command->add_option("--node", options->wanted.node, "Who the node is; its records are stored under this name")
      ->required();
  command->add_option("--name", options->wanted.names, "Host name or address of the node; may repeat");
  command->add_flag_callback(
      "--collector", [options] { options->wanted.use = signer::NodeUse::collector; },
      "It is a collector: nodes may trust it with their records");
  command->add_option("--days", options->wanted.days, "Lifetime")->capture_default_str();
  command->add_option("--keys", options->keys, "Key folder with tls-ca")->required();
  command->add_option("--out", options->out, "Where the certificate goes, PEM")->required();
  add_pin_options(*command);
  command->callback([=, &action] { action = [options] { return issue(*options); }; });
}

}  // namespace

void add_keys(CLI::App& app, Action& action) {
  auto* keys = app.add_subcommand("keys", "Keys: made, shown, replaced, revoked");
  keys->require_subcommand(1);
  add_issue(*keys, action);
  add_keys_show(*keys, action);
  add_keys_next(*keys, action);
  add_keys_plan(*keys, action);
  add_keys_revoke(*keys, action);
  auto* init = keys->add_subcommand(
      "init", "Make PK, KEK, db, PCR policies, baseline, verdict, TLS and recovery keys in a folder");
  init->footer(
      "Example: ingot keys init keys\nPrivate keys are readable by their owner alone (0600); the folder is 0700.");
  auto folder = std::make_shared<std::string>();
  init->add_option("DIR", *folder, "Folder to make the keys in")->required();
  init->callback([=, &action] {
    action = [folder]() -> Result<int> {
      const auto made = TRY(signer::init_keys(*folder));
      say(fmt::format(
          "keys: PK, KEK, db, pcr, baseline, verdict, tls-ca and recovery in {}; keep it out of output folders and "
          "backups of images",
          made.path));
      return exit_ok;
    };
  });
}

}  // namespace ingot::cli
