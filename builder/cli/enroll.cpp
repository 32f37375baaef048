#include <fmt/format.h>

#include <ctime>
#include <filesystem>
#include <memory>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/enrolment.hpp"
#include "ingot/fleet/enrolment.hpp"
#include "key_options.hpp"

namespace ingot::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t roots_cap_bytes = 4u << 20;

struct EnrollArguments {
  std::string node;
  std::string identity;
  std::string roots;
  std::string allow;
  std::string challenge;
  std::string pending;
  std::string activation;
  std::string keys;
  std::string store;
  bool pin_machine_id = false;
};

constexpr std::string_view pem_begin = "-----BEGIN CERTIFICATE-----";

/// A PEM file with any number of certificates, or one certificate in DER.
Result<void> read_roots(const std::string& path, std::vector<crypto::Certificate>& roots) {
  const auto bytes = TRY(read_file(path, roots_cap_bytes));
  auto text = as_text(bytes);
  if (text.find(pem_begin) == text.npos) {
    roots.push_back(TRY_IN(path, crypto::Certificate::from_der(bytes)));
    return {};
  }
  for (auto at = text.find(pem_begin); at != text.npos; at = text.find(pem_begin, at + 1))
    roots.push_back(TRY_IN(path, crypto::Certificate::from_pem(text.substr(at))));
  return {};
}

Result<std::vector<crypto::Certificate>> load_roots(const std::string& path) {
  std::vector<crypto::Certificate> roots;
  if (path.empty()) return roots;
  if (!fs::is_directory(path)) {
    TRY(read_roots(path, roots));
    return roots;
  }
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(path, ec))
    if (entry.is_regular_file()) TRY(read_roots(entry.path().string(), roots));
  if (ec) return fail(io_error(fmt::format("reading {}", path), ec.value()));
  if (roots.empty()) return fail(ErrorCode::missing, fmt::format("{} holds no certificates", path));
  return roots;
}

/// One SHA-256 a line; '#' starts a comment.
Result<std::set<std::string>> load_allow_list(const std::string& path) {
  std::set<std::string> keys;
  if (path.empty()) return keys;
  const auto bytes = TRY(read_file(path, roots_cap_bytes));
  std::istringstream in{std::string(as_text(bytes))};
  std::uint32_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    line.erase(std::min(line.find('#'), line.size()));
    line.erase(std::remove_if(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '\r'; }),
               line.end());
    if (line.empty()) continue;
    const auto digest = parse_hex(line);
    if (!digest || digest->size() != 32)
      return fail(Error{ErrorCode::malformed, "not a SHA-256 in hexadecimal", "one digest a line, comments behind '#'",
                        std::nullopt, TextLocation{path, number, 1}});
    keys.insert(to_hex(*digest));
  }
  return keys;
}

Result<int> run_challenge(const EnrollArguments& arguments) {
  const auto text = TRY(read_file(arguments.identity, codec::enrolment_document_cap_bytes));
  const auto identity = TRY_IN(arguments.identity, codec::decode_identity(text));
  fleet::EnrolmentPolicy policy;
  policy.roots = TRY(load_roots(arguments.roots));
  policy.allowed_ek_sha256 = TRY(load_allow_list(arguments.allow));
  policy.now = std::time(nullptr);
  policy.pin_machine_id = arguments.pin_machine_id;
  const auto started = TRY_IN(arguments.identity, fleet::start_enrolment(arguments.node, identity, policy));
  // The pending record first: a challenge without one could never be finished.
  const auto pending = codec::encode_pending(started.pending);
  TRY(write_file(arguments.pending, as_bytes(pending)));
  TRY(deliver(arguments.challenge, codec::encode_challenge(started.challenge)));
  say(fmt::format("endorsement key {}: trusted by {}", TRY(fleet::endorsement_key_sha256(identity.ek_public)),
                  started.pending.trusted_by));
  for (const auto& note : started.pending.notes) say(fmt::format("note: {}", note));
  say(fmt::format("give {} to the node: ingot-agent activate --challenge {} --out activation.json", arguments.challenge,
                  fs::path(arguments.challenge).filename().string()));
  return exit_ok;
}

Result<std::vector<Enrolment>> load_store(const std::string& folder, const crypto::PublicKey& key) {
  std::vector<Enrolment> known;
  std::error_code ec;
  if (!fs::exists(folder, ec) && !ec) return known;  // the first node of all
  for (const auto& entry : fs::directory_iterator(folder, ec))
    if (entry.path().extension() == ".json") known.push_back(TRY(load_enrolment(entry.path().string(), key)));
  if (ec) return fail(io_error(fmt::format("reading {}", folder), ec.value()));
  return known;
}

Result<int> run_finish(const EnrollArguments& arguments) {
  const auto pending_text = TRY(read_file(arguments.pending, codec::enrolment_document_cap_bytes));
  const auto pending = TRY_IN(arguments.pending, codec::decode_pending(pending_text));
  const auto answer_text = TRY(read_file(arguments.activation, codec::enrolment_document_cap_bytes));
  const auto activation = TRY_IN(arguments.activation, codec::decode_activation(answer_text));
  const auto enrolment = TRY_IN(arguments.activation, fleet::finish_enrolment(pending, activation));
  const auto key = TRY(baseline_key(arguments.keys + "/baseline.pub", {}));
  TRY(fleet::check_bound_once(TRY(load_store(arguments.store, key)), enrolment));
  std::error_code ec;
  fs::create_directories(arguments.store, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", arguments.store), ec.value()));
  const auto path = fmt::format("{}/{}.json", arguments.store, enrolment.node);
  TRY(save_enrolment(enrolment, arguments.keys, path));
  say(fmt::format("node {} is bound to endorsement key {} ({}): {}", enrolment.node, enrolment.ek_sha256,
                  enrolment.trusted_by, path));
  return exit_ok;
}

}  // namespace

void add_enroll(CLI::App& app, Action& action) {
  auto* enroll = app.add_subcommand("enroll", "Bind a node id to a TPM, once and for good");
  enroll->require_subcommand(1);
  auto arguments = std::make_shared<EnrollArguments>();
  auto* challenge = enroll->add_subcommand("challenge", "Make a challenge that only the node's TPM can answer");
  challenge->footer(
      "Example: ingot enroll challenge --node gpu-07 --identity identity.json --roots tpm-roots/ \\\n"
      "             --challenge challenge.json --pending gpu-07.pending\n"
      "The identity is what `ingot-agent identity` wrote on the node.");
  challenge->add_option("--node", arguments->node, "Node id")->required();
  challenge->add_option("--identity", arguments->identity, "What ingot-agent identity wrote")->required();
  challenge->add_option("--roots", arguments->roots, "TPM makers' certificate authorities: file (PEM, DER) or folder");
  challenge->add_option("--allow", arguments->allow,
                        "SHA-256 of endorsement keys that need no certificate, one a line");
  challenge->add_flag("--pin-machine-id", arguments->pin_machine_id,
                      "Bind the machine id, too: PCR 15 must always hold it (images with systemd.machine_id=firmware)");
  challenge->add_option("--challenge", arguments->challenge, "File to write for the node")->required();
  challenge->add_option("--pending", arguments->pending, "File to write and keep for `ingot enroll finish`")
      ->required();
  auto* finish = enroll->add_subcommand("finish", "Check the answer and sign the record");
  finish->footer(
      "Example: ingot enroll finish --pending gpu-07.pending --activation activation.json --keys keys --store nodes");
  finish->add_option("--pending", arguments->pending, "What `ingot enroll challenge` kept")->required();
  finish->add_option("--activation", arguments->activation, "What ingot-agent activate wrote")->required();
  finish->add_option("--keys", arguments->keys, "Key folder to sign with")->required();
  add_pin_options(*finish);
  finish->add_option("--store", arguments->store, "Folder of enrolled nodes, a signed record each")->required();
  challenge->callback([=, &action] { action = [arguments] { return run_challenge(*arguments); }; });
  finish->callback([=, &action] { action = [arguments] { return run_finish(*arguments); }; });
}

}  // namespace ingot::cli
