#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/output.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/check/image.hpp"
#include "ingot/codec/state.hpp"
#include "ingot/signer/sign.hpp"
#include "key_options.hpp"

namespace ingot::cli {
namespace {

struct VerifyArguments {
  std::string baseline;
  std::string evidence;
  std::string platform;
  std::string key;
  std::string nonce;
  std::string enrolment;
  std::string channel;
  std::string state;
  std::string manifest;
  std::string html;
  std::string ear;
  std::string keys;
  std::int64_t lifetime = 300;
  std::string image;
  std::vector<std::string> releases;
  std::string store;
  std::string profile;
  bool json = false;
};

Result<int> deliver_verdict(const Verdict& verdict, bool as_json) {
  if (as_json)
    print(check::verdict_json(verdict) + "\n");
  else
    print(check::render_verdict(verdict));
  return verdict.trusted() ? exit_ok : exit_findings;
}

Result<std::optional<Buffer>> hex_option(const std::string& text, const char* name) {
  if (text.empty()) return std::nullopt;
  auto bytes = parse_hex(text);
  if (!bytes) return fail(ErrorCode::usage, fmt::format("{} is not hexadecimal", name));
  return bytes;
}

/// Absent for a node that is met for the first time. Counters are one TPM's: they mean nothing without the node's.
Result<std::optional<NodeState>> load_state(const std::string& path, const std::optional<Enrolment>& enrolment) {
  if (!path.empty() && !enrolment)
    return fail(ErrorCode::usage, "--state is about an enrolled node", "give its --enrolment, too");
  if (path.empty() || !std::filesystem::exists(path)) return std::nullopt;
  const auto text = TRY(read_file(path, codec::state_cap_bytes));
  auto state = TRY_IN(path, codec::decode_node_state(text));
  if (state.node != enrolment->node)
    return fail(ErrorCode::usage,
                fmt::format("{} is of node \"{}\", the enrolment of \"{}\"", path, state.node, enrolment->node),
                "keep one file for each node");
  return state;
}

/// The release to judge by: the given one, or the newest of the store that is not revoked.
Result<Baseline> wanted_release(const VerifyArguments& arguments, const ReleaseFolder& releases,
                                const crypto::PublicKey& key) {
  if (!arguments.baseline.empty()) return load_baseline(arguments.baseline, key);
  const Baseline* newest = nullptr;
  for (const auto& baseline : releases.baselines) {
    const bool may_run = find_revocation(releases.revoked, baseline.profile, baseline.version) == nullptr;
    if (baseline.profile == arguments.profile && may_run && (newest == nullptr || baseline.version > newest->version))
      newest = &baseline;
  }
  if (newest != nullptr) return *newest;
  return fail(ErrorCode::missing,
              fmt::format("{} has no release of profile \"{}\" that may run", arguments.store, arguments.profile),
              "see `ingot release list`");
}

/// What must not be forgotten: the node's counters, and that this release was accepted.
Result<void> remember(const VerifyArguments& arguments, const Verdict& verdict, AcceptedVersions accepted) {
  if (!verdict.trusted()) return {};
  if (!arguments.state.empty() && verdict.state)
    TRY(write_file(arguments.state, as_bytes(codec::encode_node_state(*verdict.state))));
  auto& newest = accepted[verdict.profile];
  if (arguments.store.empty() || newest >= verdict.version) return {};
  newest = verdict.version;
  return write_file(arguments.store + accepted_file, as_bytes(codec::encode_accepted(accepted)));
}

Result<void> write_ear(const VerifyArguments& arguments, const Verdict& verdict, const check::BootQuestion& question) {
  const auto keys = TRY(signer::open_keys(arguments.keys));
  const auto key = TRY(signer::SigningKey::load(keys.key("verdict")));
  const check::EarTerms terms{question.now, question.now + arguments.lifetime,
                              question.enrolment == nullptr ? "" : question.enrolment->node,
                              question.nonce.value_or(Buffer{})};
  return deliver(arguments.ear, TRY(signer::sign_jwt(check::ear_claims(verdict, terms), key)) + "\n");
}

Result<int> verify_boot(const VerifyArguments& arguments) {
  const bool has_release = !arguments.baseline.empty() || (!arguments.store.empty() && !arguments.profile.empty());
  if (!has_release || arguments.evidence.empty())
    return fail(ErrorCode::usage, "--evidence is needed, and --baseline, or --store with --profile",
                "see `ingot verify --help`");
  const auto key =
      TRY(baseline_key(arguments.key, arguments.baseline.empty() ? arguments.store + "/x" : arguments.baseline));
  check::BootQuestion question;
  ReleaseFolder releases;
  if (!arguments.store.empty()) releases = TRY(load_releases(arguments.store, key));
  const auto baseline = TRY(wanted_release(arguments, releases, key));
  question.baseline = &baseline;
  question.other_releases = releases.baselines;
  question.revoked = releases.revoked;
  question.accepted = releases.accepted;
  question.now = std::time(nullptr);
  Platform platform;
  if (!arguments.platform.empty()) {
    platform = TRY(load_platform(arguments.platform, key));
    question.platform = &platform;
  }
  for (const auto& path : arguments.releases) question.other_releases.push_back(TRY(load_baseline(path, key)));
  question.nonce = TRY(hex_option(arguments.nonce, "--nonce"));
  question.channel_binding = TRY(hex_option(arguments.channel, "--channel"));
  std::optional<Enrolment> enrolment;
  if (!arguments.enrolment.empty()) {
    enrolment = TRY(load_enrolment(arguments.enrolment, key));
    question.enrolment = &*enrolment;
  }
  const auto last = TRY(load_state(arguments.state, enrolment));
  if (last) question.last = &*last;
  std::vector<FileDigest> manifest;
  if (!arguments.manifest.empty()) {
    manifest = TRY(load_manifest(arguments.manifest, baseline));
    question.manifest = &manifest;
  }
  const auto evidence = TRY(load_evidence(arguments.evidence));
  const auto verdict = TRY_IN(arguments.evidence, check::check_boot(question, evidence));
  TRY(remember(arguments, verdict, releases.accepted));
  if (!arguments.html.empty()) TRY(deliver(arguments.html, check::render_report(verdict)));
  if (!arguments.ear.empty()) TRY(write_ear(arguments, verdict, question));
  return deliver_verdict(verdict, arguments.json);
}

/// Who signs the provenance is in the baseline: the folder's key alone is nobody's.
Result<crypto::PublicKey> provenance_key(const std::string& folder, const Baseline& baseline,
                                         const crypto::PublicKey& key) {
  if (baseline.provenance_key.empty()) return key;
  const auto path = folder + builder::output::provenance_key;
  const auto pem = TRY(read_file(path, 64u << 10));
  auto found = TRY_IN(path, crypto::PublicKey::from_pem(as_text(pem)));
  if (found.key_id() == baseline.provenance_key) return found;
  return fail(ErrorCode::crypto,
              fmt::format("{} is the key {}; the baseline names {}", path, found.key_id(), baseline.provenance_key),
              "somebody replaced it: take the image from where it was built");
}

Result<int> verify_image(const VerifyArguments& arguments) {
  const std::string folder = arguments.image + "/";
  const std::string baseline_path =
      arguments.baseline.empty() ? folder + builder::output::baseline : arguments.baseline;
  const auto key = TRY(baseline_key(arguments.key, baseline_path));
  const auto baseline = TRY(load_baseline(baseline_path, key));
  const auto image =
      TRY_IN(folder + builder::output::disk, check::open_image(TRY(file_source(folder + builder::output::disk))));
  const auto keys = TRY(load_start_keys(folder + builder::output::vars));
  auto findings = TRY(check::check_image(image, baseline, keys.db, keys.mok_list));
  const auto artifacts =
      TRY(load_provenance(folder + builder::output::provenance, TRY(provenance_key(folder, baseline, key))));
  const auto changed =
      TRY(check::check_artifacts(artifacts, [&](const std::string& name) { return file_source(folder + name); }));
  findings.insert(findings.end(), changed.begin(), changed.end());
  if (arguments.json) {
    auto list = nlohmann::json::array();
    for (const auto& finding : findings)
      list.push_back({{"kind", to_text(finding.kind)},
                      {"subject", finding.subject},
                      {"expected", finding.expected},
                      {"observed", finding.observed},
                      {"cause", finding.cause},
                      {"remedy", to_text(finding.remedy)}});
    print(nlohmann::json{{"matches", findings.empty()},
                         {"profile", baseline.profile},
                         {"version", baseline.version},
                         {"findings", list}}
              .dump(2) +
          "\n");
  } else {
    print(findings.empty()
              ? fmt::format("matches: {} version {}, {} files, every block of the root file system included\n",
                            baseline.profile, baseline.version, artifacts.size())
              : fmt::format("differs: {} findings\n", findings.size()));
    for (const auto& finding : findings)
      print(fmt::format("- {}\n    expected  {}\n    observed  {}\n    cause     {}\n    do        {}\n",
                        finding.subject, finding.expected, finding.observed, finding.cause, to_text(finding.remedy)));
  }
  return findings.empty() ? exit_ok : exit_findings;
}

}  // namespace

void add_verify(CLI::App& app, Action& action) {
  auto* verify = app.add_subcommand("verify", "Compare a node's evidence, or an image, with its baseline");
  verify->footer(
      "Example: ingot verify --baseline out/inference/baseline.json --evidence node7.json \\\n"
      "             --platform platform.json --key keys/baseline.pub --nonce 0badc0de...");
  auto arguments = std::make_shared<VerifyArguments>();
  verify->add_option("--baseline", arguments->baseline, "Signed baseline of the image that should run");
  verify->add_option("--evidence", arguments->evidence, "What the node handed over");
  verify->add_option("--platform", arguments->platform,
                     "Signed platform of the machine class; without it PCR 0-3 and 6 cannot be judged");
  verify->add_option("--key", arguments->key, "Public key that baselines and platforms are signed with");
  auto* nonce = verify->add_option("--nonce", arguments->nonce, "The nonce that was handed to the node, hexadecimal");
  verify->add_option("--enrolment", arguments->enrolment, "Signed enrolment of the node; without it any TPM will do");
  verify->add_option("--channel", arguments->channel, "Channel binding of the connection, hexadecimal (RFC 9266)");
  verify->add_option("--state", arguments->state,
                     "What to remember of the node: read if it is there, written when the node is trusted");
  verify->add_option("--manifest", arguments->manifest, "manifest.json of the build, to judge IMA's list by");
  verify->add_option("--store", arguments->store,
                     "Folder of releases (`ingot release`); remembers the newest that was accepted");
  verify->add_option("--profile", arguments->profile, "With --store: judge by the newest release of this profile");
  verify->add_option("--release", arguments->releases, "Baselines of other releases, to name one that still runs");
  verify->add_flag("--json", arguments->json, "Verdict as JSON on standard output");
  verify->add_option("--html", arguments->html, "File to write a report to, readable in any browser without a network");
  auto* ear = verify->add_option("--ear", arguments->ear,
                                 "File to write a signed, expiring attestation result to (JWT, ES256)");
  ear->needs(nonce);
  ear->needs(verify->add_option("--keys", arguments->keys, "Key folder with the verdict key, for --ear"));
  add_pin_options(*verify);
  verify->add_option("--lifetime", arguments->lifetime, "Seconds until the attestation result expires")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  auto* image = verify->add_subcommand("image", "Signatures, verity and baseline against the bytes of a built image");
  image->footer("Example: ingot verify image out/inference --key keys/baseline.pub");
  image->add_option("DIR", arguments->image, "Output folder of a build")->required();
  image->add_option("--baseline", arguments->baseline, "Another baseline than the folder's");
  image->add_option("--key", arguments->key, "Public key that the baseline is signed with");
  image->add_flag("--json", arguments->json, "Findings as JSON on standard output");
  image->callback([=, &action] { action = [arguments] { return verify_image(*arguments); }; });
  verify->callback([=, &action] {
    if (!image->parsed()) action = [arguments] { return verify_boot(*arguments); };
  });
}

}  // namespace ingot::cli
