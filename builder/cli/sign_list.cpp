// Signatures of PE files: shown, and held against db and dbx.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "ingot/check/signed_image.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/crypto/authenticode.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::cli {
namespace {

constexpr std::uint64_t database_cap_bytes = 16u << 20;
constexpr std::uint64_t certificate_cap_bytes = 64u << 10;

struct ListArguments {
  std::string file;
  bool json = false;
};

struct Listed {
  codec::WinCertificate entry;
  Result<crypto::AuthenticodeSignature> signature;
  bool fits = false;  ///< it is over the file's digest
};

std::string time_text(std::int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

Result<std::vector<Listed>> listed_signatures(const ByteSource& file, const codec::Pe& pe) {
  std::vector<Listed> out;
  std::vector<HashAlg> algs;
  for (auto& entry : TRY(codec::pe_certificates(file, pe))) {
    auto signature = entry.type == codec::WinCertificate::pkcs_signed_data
                         ? crypto::decode_authenticode(entry.content)
                         : fail(ErrorCode::unsupported, fmt::format("type 0x{:04x}, not PKCS#7", entry.type));
    if (signature) algs.push_back(signature->image.alg);
    out.push_back({std::move(entry), std::move(signature)});
  }
  const auto digests = TRY(measure::authenticode_digests(file, pe, algs));
  for (auto& one : out)
    if (one.signature) one.fits = digests.at(one.signature->image.alg) == one.signature->image.digest;
  return out;
}

nlohmann::json to_json(const Listed& one) {
  nlohmann::json out{{"type", one.entry.type}, {"bytes", one.entry.content.size()}};
  if (!one.signature) {
    out["problem"] = describe(one.signature.error());
    return out;
  }
  const auto& signature = *one.signature;
  out["digest"] = {{"alg", to_text(signature.image.alg)}, {"value", to_hex(signature.image.digest)}};
  out["fits"] = one.fits;
  out["signer"] = signature.signer;
  out["issuer"] = signature.issuer;
  out["serial"] = signature.serial;
  out["key"] = signature.key;
  if (signature.signing_time) out["signing_time"] = time_text(*signature.signing_time);
  auto certificates = nlohmann::json::array();
  for (const auto& certificate : signature.certificates) certificates.push_back(certificate.subject());
  out["certificates"] = certificates;
  return out;
}

void print_text(const Listed& one, std::size_t number) {
  if (!one.signature) {
    print(fmt::format("signature {}: {}\n", number, describe(one.signature.error())));
    return;
  }
  const auto& signature = *one.signature;
  print(fmt::format("signature {}: by \"{}\", {}, {}\n", number,
                    signature.signer.empty() ? "a certificate that is not in it" : signature.signer,
                    signature.key.empty() ? "unknown key" : signature.key,
                    signature.signing_time ? "at " + time_text(*signature.signing_time) : "no time"));
  print(fmt::format("  issuer \"{}\", serial {}\n", signature.issuer, signature.serial));
  print(fmt::format("  over {} {}, {}\n", to_text(signature.image.alg), to_hex(signature.image.digest),
                    one.fits ? "the file's" : "which is NOT the file's"));
  for (const auto& certificate : signature.certificates)
    print(fmt::format("  has certificate \"{}\"\n", certificate.subject()));
}

Result<int> list(const ListArguments& arguments) {
  const auto file = TRY(file_source(arguments.file));
  const auto pe = TRY_IN(arguments.file, codec::decode_pe(*file));
  const auto what = TRY_IN(arguments.file, measure::describe_image(*file, pe));
  constexpr HashAlg sha256[] = {HashAlg::sha256};
  const auto digest = TRY_IN(arguments.file, measure::authenticode_digests(*file, pe, sha256)).at(HashAlg::sha256);
  const auto right_checksum = TRY(codec::pe_checksum(*file, pe));
  const auto signatures = TRY_IN(arguments.file, listed_signatures(*file, pe));
  if (arguments.json) {
    auto all = nlohmann::json::array();
    for (const auto& one : signatures) all.push_back(to_json(one));
    print(nlohmann::json{{"image", what},
                         {"sha256", to_hex(digest)},
                         {"checksum", {{"value", pe.checksum}, {"right", right_checksum}}},
                         {"signatures", all}}
              .dump(2) +
          "\n");
    return exit_ok;
  }
  print(fmt::format("{}\nsha256 {}\n", what, to_hex(digest)));
  if (pe.checksum != right_checksum)
    print(pe.checksum == 0
              ? std::string("CheckSum is not set\n")
              : fmt::format("CheckSum 0x{:08x} does not fit: 0x{:08x} would\n", pe.checksum, right_checksum));
  if (signatures.empty()) print("not signed\n");
  for (std::size_t i = 0; i < signatures.size(); ++i) print_text(signatures[i], i + 1);
  return exit_ok;
}

struct VerifyArguments {
  std::string file, db, dbx, certificate;
};

Result<Buffer> database(const VerifyArguments& arguments) {
  if (arguments.certificate.empty()) return read_file(arguments.db, database_cap_bytes);
  const auto pem = TRY(read_file(arguments.certificate, certificate_cap_bytes));
  const auto certificate = TRY_IN(arguments.certificate, crypto::Certificate::from_pem(as_text(pem)));
  return codec::encode_signature_lists({codec::x509_list({}, certificate.der())});
}

Result<int> verify(const VerifyArguments& arguments) {
  const auto db = TRY(database(arguments));
  Buffer dbx;
  if (!arguments.dbx.empty()) dbx = TRY(read_file(arguments.dbx, database_cap_bytes));
  const auto file = TRY(file_source(arguments.file));
  const auto pe = TRY_IN(arguments.file, codec::decode_pe(*file));
  const auto judged = TRY_IN(arguments.file, check::judge_image(*file, pe, {db, dbx}));
  say(fmt::format("{} is {}: {}", arguments.file, judged.accepted ? "accepted" : "NOT accepted", judged.reason));
  return judged.accepted ? exit_ok : exit_findings;
}

void add_verify_pe(CLI::App& sign, Action& action) {
  auto* command = sign.add_subcommand("verify", "Would firmware with this db and dbx start a PE file?");
  command->footer(
      "Example: ingot sign verify uki.efi --db db.esl --dbx dbx.esl\n"
      "db and dbx are signature lists, as cert-to-efi-sig-list makes them. Exit status 1: not accepted.");
  auto arguments = std::make_shared<VerifyArguments>();
  command->add_option("FILE", arguments->file, "PE file")->required();
  auto* against = command->add_option_group("against")->require_option(1);
  against->add_option("--db", arguments->db, "Signature lists that allow");
  against->add_option("--certificate", arguments->certificate, "One certificate, PEM, in place of db");
  command->add_option("--dbx", arguments->dbx, "Signature lists that forbid; they win");
  command->callback([=, &action] { action = [arguments] { return verify(*arguments); }; });
}

}  // namespace

void add_sign_list(CLI::App& sign, Action& action) {
  auto* command = sign.add_subcommand("list", "Show the signatures of a PE file; nothing is verified");
  command->footer("Example: ingot sign list uki.efi --json");
  auto arguments = std::make_shared<ListArguments>();
  command->add_option("FILE", arguments->file, "PE file")->required();
  command->add_flag("--json", arguments->json, "JSON on standard output");
  command->callback([=, &action] { action = [arguments] { return list(*arguments); }; });
  add_verify_pe(sign, action);
}

}  // namespace ingot::cli
