#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_signature.hpp"
#include "ingot/crypto/detached.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/signer/module.hpp"
#include "key_options.hpp"

namespace ingot::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t list_cap_bytes = 16u << 20;
constexpr std::uint64_t certificate_cap_bytes = 64u << 10;
/// Files that reach the disk together: a process may have 1,024 open.
constexpr std::size_t batch = 256;

struct ModuleArguments {
  std::vector<std::string> files;
  std::string list, key, certificate, out;
  bool replace = false, check = false, json = false;
};

/// The files of the command line, then those of the list, one a line.
Result<std::vector<std::string>> all_files(const ModuleArguments& arguments) {
  auto files = arguments.files;
  if (!arguments.list.empty()) {
    const auto text = TRY(read_file(arguments.list, list_cap_bytes));
    for (auto left = as_text(text); !left.empty();) {
      const auto line = left.substr(0, left.find('\n'));
      left.remove_prefix(std::min(line.size() + 1, left.size()));
      if (!line.empty()) files.emplace_back(line);
    }
  }
  if (files.empty()) return fail(ErrorCode::usage, "no module is named", "give FILE... or --list FILE");
  return files;
}

/// Where each module goes. Nothing is overwritten, so that a module is never signed in place.
Result<std::vector<std::string>> targets(const std::vector<std::string>& files, const std::string& out) {
  std::vector<std::string> paths;
  std::set<std::string> names;
  std::error_code ec;
  for (const auto& file : files) {
    const auto name = fs::path(file).filename().string();
    if (!names.insert(name).second)
      return fail(ErrorCode::usage, fmt::format("two modules have the name {}", name), "sign them into two folders");
    paths.push_back(out + "/" + name);
    if (fs::exists(fs::symlink_status(paths.back(), ec)))
      return fail(ErrorCode::usage,
                  fmt::format("{} is there already, and modules are not signed in place", paths.back()),
                  "choose another folder for --out");
  }
  fs::create_directories(out, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", out), ec.value()));
  return paths;
}

Result<int> sign(const ModuleArguments& arguments) {
  const auto files = TRY(all_files(arguments));
  const auto key = TRY(signer::SigningKey::load(arguments.key, arguments.certificate));
  const auto signer = TRY(key.certificate()).subject();
  const auto paths = TRY(targets(files, arguments.out));
  // All are signed before the first is written: a bad one leaves nothing behind.
  const auto modules = TRY(signer::sign_modules(
      files, key, arguments.replace ? signer::OldSignature::replaced : signer::OldSignature::refused));
  for (std::size_t at = 0; at < modules.size();) {
    std::vector<OutputFile> drafts;
    for (; at < modules.size() && drafts.size() < batch; ++at) {
      drafts.push_back(TRY(OutputFile::create(paths[at])));
      TRY(drafts.back().write(modules[at].bytes));
    }
    TRY(commit_all_new(std::move(drafts)));
  }
  auto rows = nlohmann::json::array();
  for (std::size_t at = 0; at < modules.size(); ++at) {
    const auto& [info, bytes] = modules[at];
    if (arguments.json)
      rows.push_back({{"file", paths[at]},
                      {"name", info.name},
                      {"vermagic", info.vermagic},
                      {"sha256", crypto::sha256_hex(bytes)}});
    else
      say(fmt::format("signed: {} ({}), for {}", paths[at], info.name, info.vermagic));
  }
  if (arguments.json) print(nlohmann::json{{"signer", signer}, {"modules", rows}}.dump(2) + "\n");
  say(fmt::format("{} modules are signed by \"{}\"", modules.size(), signer));
  return exit_ok;
}

struct Checked {
  std::string name, vermagic, signer, problem;
};

/// `problem` says why the kernel would refuse it with this certificate alone. Error: no module at all.
Result<Checked> check_one(const std::string& path, const crypto::Certificate& certificate) {
  const auto file = TRY(read_file(path, codec::module_cap_bytes));
  const auto module = TRY(codec::decompress_module(file, codec::module_compression(file)));
  const auto info = TRY(codec::decode_module_info(module));
  const auto parts = TRY(codec::decode_module_signature(module));
  if (!parts) return Checked{info.name, info.vermagic, "", "not signed"};
  const auto told = TRY(crypto::detached_signer(parts->pkcs7));
  const auto signer = fmt::format("{}, number {}, {}", told.issuer, to_hex(told.serial), to_text(told.digest));
  const auto good = crypto::verify_detached(parts->pkcs7, parts->content, certificate);
  return Checked{info.name, info.vermagic, signer, good ? "" : describe(good.error())};
}

Result<int> check(const ModuleArguments& arguments) {
  const auto files = TRY(all_files(arguments));
  const auto pem = TRY(read_file(arguments.certificate, certificate_cap_bytes));
  const auto certificate = TRY_IN(arguments.certificate, crypto::Certificate::from_pem(as_text(pem)));
  std::size_t problems = 0;
  auto rows = nlohmann::json::array();
  for (const auto& path : files) {
    const auto one = TRY_IN(path, check_one(path, certificate));
    problems += one.problem.empty() ? 0 : 1;
    if (arguments.json)
      rows.push_back({{"file", path},
                      {"name", one.name},
                      {"vermagic", one.vermagic},
                      {"signer", one.signer},
                      {"problem", one.problem}});
    else
      say(fmt::format("{}: {} ({}): {}", path, one.name, one.vermagic,
                      one.problem.empty() ? fmt::format("signed by \"{}\"", certificate.subject()) : one.problem));
  }
  if (arguments.json) print(nlohmann::json{{"certificate", certificate.subject()}, {"modules", rows}}.dump(2) + "\n");
  return problems == 0 ? exit_ok : exit_findings;
}

Result<int> run(const ModuleArguments& arguments) {
  if (arguments.check && (!arguments.key.empty() || !arguments.out.empty() || arguments.replace))
    return fail(ErrorCode::usage, "--check signs nothing: it goes with --certificate alone");
  if (!arguments.check && (arguments.key.empty() || arguments.out.empty()))
    return fail(ErrorCode::usage, "signing needs --key and --out", "or say --check");
  return arguments.check ? check(arguments) : sign(arguments);
}

}  // namespace

void add_sign_module(CLI::App& sign, Action& action) {
  auto* command = sign.add_subcommand("module", "Append signatures to kernel modules, as the kernel's sign-file does");
  command->footer(
      "Example: ingot sign module nvidia.ko nvidia-uvm.ko --key keys/db.key --certificate keys/db.crt --out signed\n"
      "Compressed modules (.ko.xz, .ko.zst, .ko.gz) are unpacked, signed and compressed again.\n"
      "Debian's kernels load what a certificate of the firmware's db has signed, under Secure Boot; a mainline kernel\n"
      "does not look there. A profile's [modules] signs with db while it builds: builder/image/modules.md.\n"
      "With --check: exit status 1 when one of them is not signed by the certificate.");
  auto arguments = std::make_shared<ModuleArguments>();
  command->add_option("FILE", arguments->files, "Modules");
  command->add_option("--list", arguments->list, "File with further ones, one a line");
  command->add_option("--key", arguments->key, "Private key, RSA");
  command->add_option("--certificate", arguments->certificate, "Its certificate, PEM")->required();
  command->add_option("--out", arguments->out, "Folder that the signed modules go to, under their names");
  command->add_flag("--replace", arguments->replace, "Take signatures away that modules have already");
  command->add_flag("--check", arguments->check, "Only say whether they are signed by the certificate");
  command->add_flag("--json", arguments->json, "One JSON document on standard output");
  add_pin_options(*command);
  command->callback([=, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace ingot::cli
