// Signatures of PE files: made and taken away.
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <memory>

#include "cli.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/signer/pe.hpp"
#include "key_options.hpp"

namespace ingot::cli {
namespace {

struct SignArguments {
  std::string file, key, certificate, out, time;
  bool add = false, replace = false, any_checksum = false;
};

constexpr const char* from_environment = "SOURCE_DATE_EPOCH";

Result<std::optional<std::int64_t>> signing_time(const SignArguments& arguments) {
  if (arguments.time.empty()) return std::nullopt;
  std::string text = arguments.time;
  if (text == from_environment) {
    const char* set = std::getenv(from_environment);
    if (set == nullptr)
      return fail(ErrorCode::usage, "--time asks for SOURCE_DATE_EPOCH, which is not set", "set it, or give seconds");
    text = set;
  }
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size())
    return fail(ErrorCode::usage, fmt::format("\"{}\" is no signing time", text),
                "give seconds since 1970, or the word SOURCE_DATE_EPOCH");
  return std::optional<std::int64_t>(seconds);
}

Result<int> sign(const SignArguments& arguments) {
  signer::PeSigning how;
  how.durability = Durability::cached;
  how.signing_time = TRY(signing_time(arguments));
  if (arguments.add) how.signatures = signer::OldSignatures::keep;
  if (arguments.replace) how.signatures = signer::OldSignatures::replace;
  if (arguments.any_checksum) how.checksum = signer::OldChecksum::ignore;
  const auto key = TRY(signer::SigningKey::load(arguments.key, arguments.certificate));
  const auto file = TRY(file_source(arguments.file));
  const auto pe = TRY_IN(arguments.file, codec::decode_pe(*file));
  const auto what = TRY_IN(arguments.file, measure::describe_image(*file, pe));
  auto copy = TRY_IN(arguments.file, signer::PeToSign::copy(file, arguments.out, how));
  say(fmt::format("signing {}: {}; sha256 {}", arguments.file, what, to_hex(copy.digest())));
  const auto signature = TRY(signer::authenticode_signature(copy.digest(), key, what, how.signing_time));
  TRY_IN(arguments.file, copy.finish(signature));
  const auto certificate = TRY(key.certificate());
  say(fmt::format("{} is signed by \"{}\"", arguments.out, certificate.subject()));
  return exit_ok;
}

struct RemoveArguments {
  std::string file, out;
  std::size_t index = 0;
  bool all = false;
};

Result<int> remove(const RemoveArguments& arguments) {
  const auto file = TRY(file_source(arguments.file));
  const auto pe = TRY_IN(arguments.file, codec::decode_pe(*file));
  const auto count = TRY_IN(arguments.file, codec::pe_certificates(*file, pe)).size();
  if (count == 0)
    return fail(ErrorCode::unsupported, fmt::format("{} is not signed", arguments.file), "there is nothing to remove");
  if (arguments.all) {
    TRY_IN(arguments.file, signer::strip_pe(file, arguments.out));
  } else {
    TRY_IN(arguments.file, signer::remove_signature(file, arguments.index, arguments.out));
  }
  say(fmt::format("{} has {} of {} signatures left", arguments.out, arguments.all ? 0 : count - 1, count));
  return exit_ok;
}

void add_remove(CLI::App& sign, Action& action) {
  auto* command = sign.add_subcommand("remove", "Take one signature, or all, from a PE file");
  command->footer("Example: ingot sign remove uki.efi --index 2 --out uki.efi");
  auto arguments = std::make_shared<RemoveArguments>();
  command->add_option("FILE", arguments->file, "Signed PE file")->required();
  command->add_option("--out", arguments->out, "Where the result goes; may be FILE")->required();
  auto* which = command->add_option_group("which")->require_option(1);
  which->add_option("--index", arguments->index, "The one with this number, as `ingot sign list` counts them");
  which->add_flag("--all", arguments->all, "All of them");
  command->callback([=, &action] { action = [arguments] { return remove(*arguments); }; });
}

}  // namespace

void add_sign_pe(CLI::App& sign_app, Action& action) {
  auto* command =
      sign_app.add_subcommand("pe", "Sign a UKI or another PE file for Secure Boot (Authenticode, SHA-256)");
  command->footer(
      "Example: ingot sign pe uki.efi --key db.key --certificate db.crt --out signed.efi\n"
      "Two runs make the same bytes: no time is in the signature, unless --time asks for one.");
  auto arguments = std::make_shared<SignArguments>();
  command->add_option("FILE", arguments->file, "UKI, boot loader or other PE file")->required();
  command->add_option("--key", arguments->key, "Private key, RSA")->required();
  command->add_option("--certificate", arguments->certificate, "Its certificate, PEM")->required();
  command->add_option("--out", arguments->out, "Where the signed file goes; may be FILE")->required();
  auto* add = command->add_flag("--add", arguments->add, "Keep the signatures that the file has, and add one");
  command->add_flag("--replace", arguments->replace, "Take the signatures that the file has away")->excludes(add);
  command->add_option("--time", arguments->time,
                      "Time to claim in the signature: seconds since 1970, or the word SOURCE_DATE_EPOCH");
  command->add_flag("--any-checksum", arguments->any_checksum,
                    "Sign a file whose CheckSum does not fit, as pesign leaves it");
  add_pin_options(*command);
  command->callback([=, &action] { action = [arguments] { return sign(*arguments); }; });
  add_remove(sign_app, action);
}

}  // namespace ingot::cli
