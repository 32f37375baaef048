#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "ingot/base/source.hpp"
#include "ingot/signer/key.hpp"
#include "key_options.hpp"

namespace ingot::cli {
namespace {

constexpr std::uint64_t certificate_cap_bytes = 64u << 10;

struct ShowArguments {
  std::string reference;
  std::string certificate;
  bool json = false;
};

std::string time_text(std::int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

/// The one that was given; else NAME.crt beside NAME.key or NAME.uri, if there is one.
std::string certificate_path(const ShowArguments& arguments) {
  if (!arguments.certificate.empty() || arguments.reference.starts_with("pkcs11:")) return arguments.certificate;
  const auto beside = std::filesystem::path(arguments.reference).replace_extension(".crt");
  std::error_code ec;
  return std::filesystem::exists(beside, ec) ? beside.string() : std::string();
}

Result<nlohmann::json> certificate_json(const std::string& path, const crypto::PublicKey& key) {
  const auto pem = TRY(read_file(path, certificate_cap_bytes));
  const auto certificate = TRY_IN(path, crypto::Certificate::from_pem(as_text(pem)));
  const auto times = TRY_IN(path, signer::certificate_times(certificate));
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  return nlohmann::json{{"file", path},
                        {"subject", certificate.subject()},
                        {"not_before", time_text(times.not_before)},
                        {"not_after", time_text(times.not_after)},
                        {"validity", now < times.not_before  ? "not yet valid"
                                     : now > times.not_after ? "expired"
                                                             : "valid"},
                        {"of_this_key", certificate.public_key().spki_der() == key.spki_der()}};
}

Result<std::pair<std::string, std::size_t>> kind_and_bits(const signer::SigningKey& key) {
  switch (key.kind()) {
    case signer::KeyKind::rsa:
      return std::pair{std::string("RSA"), TRY(key.public_key().rsa_numbers()).modulus.size() * 8};
    case signer::KeyKind::p256:
      return std::pair{std::string("EC P-256"), std::size_t{256}};
    case signer::KeyKind::ed25519:
      return std::pair{std::string("Ed25519"), std::size_t{256}};
  }
  return fail(ErrorCode::internal, "a kind of key without a name");
}

Result<int> show(const ShowArguments& arguments) {
  const auto key = TRY(signer::SigningKey::load(arguments.reference));
  const auto [kind, bits] = TRY(kind_and_bits(key));
  nlohmann::json document{{"key", key.place()},
                          {"kind", kind},
                          {"bits", bits},
                          {"spki_sha256", key.public_key().key_id()},
                          {"certificate", nullptr}};
  if (const auto path = certificate_path(arguments); !path.empty())
    document["certificate"] = TRY(certificate_json(path, key.public_key()));
  if (arguments.json) {
    print(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    return exit_ok;
  }
  std::string text = fmt::format("key          {}\nkind         {}, {} bits\nSPKI SHA-256 {}\n", key.place(), kind,
                                 bits, key.public_key().key_id());
  if (const auto& certificate = document["certificate"]; !certificate.is_null())
    text +=
        fmt::format("certificate  {}: {}\nvalidity     {} to {}: {}\n{}", certificate["file"].get<std::string>(),
                    certificate["subject"].get<std::string>(), certificate["not_before"].get<std::string>(),
                    certificate["not_after"].get<std::string>(), certificate["validity"].get<std::string>(),
                    certificate["of_this_key"].get<bool>() ? "" : "             it is NOT this key's certificate\n");
  print(text);
  return exit_ok;
}

}  // namespace

void add_keys_show(CLI::App& keys, Action& action) {
  auto* command = keys.add_subcommand("show", "What a key reference leads to: kind, size, fingerprint, certificate");
  command->footer(
      "Example: ingot keys show keys/db.key\n"
      "         ingot keys show 'pkcs11:token=site;object=db' --pin-file pin --certificate db.crt\n"
      "A reference is a PEM file, a PKCS#11 URI, or a file NAME.uri that holds one. A PIN is tried once.");
  auto arguments = std::make_shared<ShowArguments>();
  command->add_option("REFERENCE", arguments->reference, "PEM file, PKCS#11 URI, or NAME.uri")->required();
  command->add_option("--certificate", arguments->certificate,
                      "Its certificate, PEM; default: NAME.crt beside the key");
  command->add_flag("--json", arguments->json, "JSON on standard output");
  add_pin_options(*command);
  command->callback([=, &action] { action = [arguments] { return show(*arguments); }; });
}

}  // namespace ingot::cli
