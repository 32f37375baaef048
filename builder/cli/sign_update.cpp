#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "boot_files.hpp"
#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/output.hpp"
#include "ingot/check/option_roms.hpp"
#include "ingot/signer/variables.hpp"
#include "key_options.hpp"
#include "signing_time.hpp"

namespace ingot::cli {
namespace {

constexpr std::size_t sha256_bytes = 32;

struct UpdateArguments {
  std::string variable;
  std::vector<std::string> certificates, hashes, images, lists;
  std::string option_roms, platform_key;
  std::string owner;
  std::string keys, key, certificate;
  std::string time;
  std::string out, list_out;
  bool append = false;
  bool remove = false;
};

Result<Guid> owner_of(const UpdateArguments& arguments) {
  if (arguments.owner.empty())
    return arguments.keys.empty() ? Guid{} : TRY(signer::owner_guid(signer::KeyFolder{arguments.keys}));
  const auto owner = parse_guid(arguments.owner);
  if (!owner) return fail(ErrorCode::usage, fmt::format("--owner \"{}\" is no GUID", arguments.owner));
  return *owner;
}

/// Digests of ROMs, and one line about each: an entry of db says nothing of its device.
Result<void> add_option_roms(const UpdateArguments& arguments, const Guid& owner, codec::SignatureList& digests) {
  if (arguments.option_roms.empty()) return {};
  const auto key = TRY(baseline_key(arguments.platform_key, arguments.option_roms));
  const auto platform = TRY(load_platform(arguments.option_roms, key));
  for (const auto& rom : TRY_IN(arguments.option_roms, check::option_roms(platform))) {
    say(fmt::format("option ROM {}: {}", to_hex(rom.sha256), fmt::join(rom.devices, "; ")));
    digests.signatures.push_back({owner, rom.sha256});
  }
  return {};
}

/// What is added, in the order certificates, digests, lists: efitools' tools make one list of each kind.
Result<Buffer> content_of(const UpdateArguments& arguments) {
  const auto owner = TRY(owner_of(arguments));
  std::vector<codec::SignatureList> lists;
  for (const auto& path : arguments.certificates)
    lists.push_back(codec::x509_list(owner, TRY(read_certificate(path)).der()));
  codec::SignatureList digests{codec::efi_cert_sha256_guid, {}, {}};
  for (const auto& text : arguments.hashes) {
    const auto digest = parse_hex(text);
    if (!digest || digest->size() != sha256_bytes)
      return fail(ErrorCode::usage, fmt::format("--add-hash \"{}\" is no SHA-256 digest", text),
                  "give 64 hexadecimal digits, or the file itself with --add-image");
    digests.signatures.push_back({owner, *digest});
  }
  for (const auto& path : arguments.images) digests.signatures.push_back({owner, TRY(image_digest(path))});
  TRY(add_option_roms(arguments, owner, digests));
  if (!digests.signatures.empty()) lists.push_back(std::move(digests));
  Buffer content = codec::encode_signature_lists(lists);
  for (const auto& path : arguments.lists) {
    const auto more = TRY(read_file(path, codec::authenticated_update_cap_bytes));
    TRY_IN(path, codec::decode_signature_lists(more));
    content.insert(content.end(), more.begin(), more.end());
  }
  if (content.empty() == arguments.remove) return content;
  return fail(ErrorCode::usage, arguments.remove ? "--delete leaves nothing, and something is added" : "nothing to set",
              "give --add-certificate, --add-hash, --add-image, --option-roms or --list; or --delete alone");
}

Result<signer::SigningKey> signing_key(const UpdateArguments& arguments, const codec::KeyVariable& variable) {
  if (!arguments.keys.empty()) {
    const auto keys = TRY(signer::open_keys(arguments.keys));
    return signer::SigningKey::load(keys.key(variable.signed_by), keys.certificate(variable.signed_by));
  }
  if (arguments.key.empty() || arguments.certificate.empty())
    return fail(ErrorCode::usage, "nobody to sign with",
                fmt::format("give --key and --certificate of {}, or --keys", variable.signed_by));
  return signer::SigningKey::load(arguments.key, arguments.certificate);
}

Result<int> run(const UpdateArguments& arguments) {
  const auto* variable = codec::find_key_variable(arguments.variable);
  if (variable == nullptr)
    return fail(ErrorCode::usage, fmt::format("\"{}\" is no variable of Secure Boot's keys", arguments.variable),
                "give PK, KEK, db or dbx");
  const auto time = TRY(signing_time(arguments.time));
  if (!time)
    return fail(ErrorCode::usage, "an update has a time, which decides what firmware takes for newer",
                "give --time \"YYYY-MM-DD HH:MM:SS\" (UTC), or set SOURCE_DATE_EPOCH");
  const auto kind = arguments.append ? codec::UpdateKind::append : codec::UpdateKind::replace;
  const signer::VariableUpdate update{variable, kind, *time, TRY(content_of(arguments))};
  const auto key = TRY(signing_key(arguments, *variable));
  auto lines = TRY(signer::describe_update(update));
  lines.front() += fmt::format(", signed by \"{}\"", TRY(key.certificate()).subject());
  for (const auto& line : lines) say(line);
  const auto file = TRY(signer::sign_update(update, key));
  if (!arguments.list_out.empty()) TRY(write_file(arguments.list_out, update.content));
  TRY(write_file(arguments.out, file));
  return exit_ok;
}

void add_options(CLI::App& command, UpdateArguments& arguments) {
  command.add_option("VARIABLE", arguments.variable, "PK, KEK, db or dbx")->required();
  command.add_option("--add-certificate", arguments.certificates, "Certificate, PEM or DER; may repeat");
  command.add_option("--add-hash", arguments.hashes, "Authenticode SHA-256 of an image, hexadecimal; may repeat");
  command.add_option("--add-image", arguments.images, "PE file whose Authenticode SHA-256 is meant; may repeat");
  command.add_option("--list", arguments.lists, "Signature lists (.esl); may repeat");
  auto* roms = command.add_option("--option-roms", arguments.option_roms,
                                  "Signed platform: the SHA-256 of every option ROM that it measures");
  command.add_option("--platform-key", arguments.platform_key, "Public key that the platform is signed with")
      ->needs(roms);
  command.add_option("--owner", arguments.owner, "Owner's GUID; default: that of --keys, else zeros");
  command.add_flag("--append", arguments.append, "Add to what is enrolled instead of replacing it");
  command.add_flag("--delete", arguments.remove, "Delete the variable; PK's end is setup mode");
  auto* key = command.add_option("--key", arguments.key, "Private key of KEK for db and dbx, of PK for PK and KEK");
  auto* certificate = command.add_option("--certificate", arguments.certificate, "Its certificate, as it is enrolled");
  command.add_option("--keys", arguments.keys, "Key folder: the right key and the owner's GUID")
      ->excludes(key)
      ->excludes(certificate);
  command.add_option("--time", arguments.time, "UTC, \"YYYY-MM-DD HH:MM:SS\"; default: SOURCE_DATE_EPOCH");
  command.add_option("--out", arguments.out, "Where the update goes (.auth)")->required();
  command.add_option("--list-out", arguments.list_out, "Where its content goes, too (.esl)");
}

}  // namespace

void add_sign_update(CLI::App& sign, Action& action) {
  auto* command = sign.add_subcommand("update", "One authenticated update of PK, KEK, db or dbx");
  command->footer(
      "Example: ingot sign update dbx --add-image old/uki.efi --append --key KEK.key --certificate KEK.crt \\\n"
      "             --time \"2026-05-01 00:00:00\" --out dbx.auth\n"
      "         ingot sign update db --option-roms gpu-node.json --append --keys keys --out db.auth\n"
      "Firmware takes an update that replaces when its time is later than the last one's; one that appends in any\n"
      "order. The bytes are those of efitools' sign-efi-sig-list.");
  auto arguments = std::make_shared<UpdateArguments>();
  add_options(*command, *arguments);
  add_pin_options(*command);
  command->callback([=, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace ingot::cli
