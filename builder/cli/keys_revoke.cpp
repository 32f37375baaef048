// dbx: what firmware starts no more.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>

#include "boot_files.hpp"
#include "cli.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/codec/sbat.hpp"
#include "ingot/measure/uki.hpp"
#include "lifecycle.hpp"

namespace ingot::cli {
namespace {

constexpr std::uint64_t sbat_cap_bytes = 64u << 10;

struct RevokeArguments : LifecycleArguments {
  std::vector<std::string> images, certificates;
  std::string sbat;
};

/// "ingot.training,3": components with a generation below 3.
Result<std::optional<codec::SbatEntry>> parse_sbat(const std::string& text) {
  if (text.empty()) return std::optional<codec::SbatEntry>{};
  codec::SbatEntry entry{text.substr(0, text.find(',')), 0};
  const auto digits = text.substr(std::min(text.size(), entry.component.size() + 1));
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), entry.generation);
  if (entry.component.empty() || code != std::errc{} || end != digits.data() + digits.size() || entry.generation < 2)
    return fail(ErrorCode::usage, fmt::format("--sbat \"{}\" is no component and generation", text),
                "give COMPONENT,GENERATION: the lowest generation that may still start, 2 or more");
  return std::optional(std::move(entry));
}

struct Image {
  std::string path;
  SharedSource file;
  codec::Pe pe;
};

/// A PE file, or the UKI of an output folder.
Result<Image> open_image(const std::string& path) {
  std::error_code ec;
  const auto file = std::filesystem::is_directory(path, ec) ? path + "/" + builder::output::uki : path;
  auto source = TRY(file_source(file));
  auto pe = TRY_IN(file, codec::decode_pe(*source));
  return Image{file, std::move(source), std::move(pe)};
}

/// The generation of that component in the image's .sbat; nothing when it has none.
Result<std::optional<std::uint32_t>> generation_of(const Image& image, const std::string& component) {
  const auto* section = image.pe.find(".sbat");
  if (section == nullptr) return std::optional<std::uint32_t>{};
  const auto size = std::min<std::uint64_t>(section->virtual_size, section->raw_size);
  const auto text = TRY_IN(image.path, read_part(*image.file, section->raw_offset, size, sbat_cap_bytes));
  for (const auto& entry : TRY_IN(image.path, codec::decode_sbat(as_text(text))))
    if (entry.component == component) return std::optional(entry.generation);
  return std::optional<std::uint32_t>{};
}

Result<bool> is_below(const Image& image, const codec::SbatEntry& least) {
  const auto generation = TRY(generation_of(image, least.component));
  return generation && *generation < least.generation;
}

Result<std::vector<Image>> images_to_revoke(const RevokeArguments& arguments,
                                            const std::optional<codec::SbatEntry>& least) {
  std::vector<Image> images;
  for (const auto& path : arguments.images) {
    auto image = TRY(open_image(path));
    if (!least || TRY(is_below(image, *least))) images.push_back(std::move(image));
  }
  if (least && images.empty())
    return fail(
        ErrorCode::usage,
        fmt::format("none of the images has \"{}\" in a generation below {}", least->component, least->generation),
        "give every image that was ever signed as --uki: firmware knows them by their digests alone");
  return images;
}

/// dbx says what firmware refuses; that a generation is revoked is more than that, since its images are known.
Result<void> check_generations(const LifecycleInputs& inputs, const codec::SbatEntry& least) {
  for (const auto& release : inputs.releases)
    if (TRY(is_below(TRY(open_image(release.place)), least)))
      return fail(ErrorCode::usage,
                  fmt::format("{} is needed, and of a generation of \"{}\" below {}", release.place, least.component,
                              least.generation),
                  "deploy a release of a newer generation; then give that one as --release");
  return {};
}

Result<std::vector<codec::SignatureList>> entries_of(const RevokeArguments& arguments, const std::vector<Image>& images,
                                                     const Guid& owner) {
  std::vector<codec::SignatureList> lists;
  for (const auto& path : arguments.certificates)
    lists.push_back(codec::x509_list(owner, TRY(read_certificate(path)).der()));
  codec::SignatureList digests{codec::efi_cert_sha256_guid, {}, {}};
  for (const auto& image : images) digests.signatures.push_back({owner, TRY(image_digest(image.path))});
  if (!digests.signatures.empty()) lists.push_back(std::move(digests));
  return lists;
}

/// For the key folder: machines that are enrolled from now on forbid the same.
Result<Buffer> folder_list(const signer::KeyFolder& keys, Bytes added) {
  const auto path = keys.path + "/dbx.esl";
  std::error_code ec;
  Buffer lists =
      std::filesystem::exists(path, ec) ? TRY(read_file(path, codec::authenticated_update_cap_bytes)) : Buffer{};
  lists.insert(lists.end(), added.begin(), added.end());
  return lists;
}

Result<int> run(const RevokeArguments& arguments) {
  const auto least = TRY(parse_sbat(arguments.sbat));
  if (arguments.images.empty() && arguments.certificates.empty())
    return fail(ErrorCode::usage, "nothing to revoke", "give --uki, --certificate, or --sbat with --uki");
  const auto inputs = TRY(read_lifecycle_inputs(arguments));
  if (least) TRY(check_generations(inputs, *least));
  const auto images = TRY(images_to_revoke(arguments, least));
  for (const auto& image : images)
    say(fmt::format("{}: {}", image.path, TRY(measure::describe_image(*image.file, image.pe))));
  const auto entries = TRY(entries_of(arguments, images, TRY(signer::owner_guid(inputs.keys))));
  const auto step = TRY(signer::plan_revocation(inputs.keys, inputs.variables, entries, inputs.time));
  const auto list = TRY(folder_list(inputs.keys, step.updates.front().update.content));
  TRY(write_steps(inputs, {step}, MustStart::all, {"revoke", arguments.out, {{"dbx.esl", list}}}));
  say(fmt::format("so that machines enrolled from now on forbid the same: cp {0}/dbx.esl {1}/dbx.esl", arguments.out,
                  inputs.keys.path));
  return exit_ok;
}

}  // namespace

void add_keys_revoke(CLI::App& keys, Action& action) {
  auto* command = keys.add_subcommand("revoke", "Forbid images by their digests, or all that a certificate signed");
  command->footer(
      "Example: ingot keys revoke --uki out/bad --release out/current --keys keys --vars out/current/VARS.fd \\\n"
      "             --time \"2026-12-01 00:00:00\" --out revocation\n"
      "         ingot keys revoke --certificate old-db.crt --release out/current --keys keys --evidence node.json ...\n"
      "         ingot keys revoke --sbat ingot.inference,3 --uki out/1 --uki out/2 --release out/3 ...\n"
      "What a release given as --release needs is not revoked. Firmware does not read SBAT (only shim does): --sbat\n"
      "picks from the images given those of an older generation. Volumes have generations of their own: `generation`\n"
      "in the profile.");
  auto arguments = std::make_shared<RevokeArguments>();
  command->add_option("--uki", arguments->images, "Output folder, UKI or other PE file; may repeat");
  command->add_option("--certificate", arguments->certificates, "Certificate, PEM or DER; may repeat");
  command->add_option("--sbat", arguments->sbat, "COMPONENT,GENERATION: only images below that generation");
  command->add_option("--release", arguments->releases, "Output folder of a release that is needed; may repeat")
      ->required();
  add_lifecycle_options(*command, *arguments);
  command->callback([=, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace ingot::cli
