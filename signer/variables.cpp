#include "ingot/signer/variables.hpp"

#include <fmt/format.h>

#include "ingot/crypto/hash.hpp"
#include "ingot/signer/sign.hpp"
#include "pkcs7.hpp"

namespace ingot::signer {
namespace {

using namespace codec;

std::string entry_text(const SignatureList& list, const SignatureData& entry) {
  const auto owner = fmt::format("owner {}", to_text(entry.owner));
  if (list.type == efi_cert_sha256_guid) return fmt::format("SHA-256 {} ({})", to_hex(entry.data), owner);
  if (list.type != efi_cert_x509_guid)
    return fmt::format("{} bytes of type {} ({})", entry.data.size(), to_text(list.type), owner);
  const auto certificate = crypto::Certificate::from_der(entry.data);
  return fmt::format("certificate \"{}\" ({})", certificate ? certificate->subject() : "that cannot be read", owner);
}

/// What edk2's CheckSignatureListFormat() refuses, and a certificate that no firmware could use.
Result<std::vector<SignatureList>> check_content(const VariableUpdate& update) {
  const auto name = std::string(update.variable->name);
  auto lists = TRY_IN(name, decode_signature_lists(update.content));
  std::size_t entries = 0;
  for (const auto& list : lists)
    for (const auto& entry : list.signatures) {
      ++entries;
      if (list.type == efi_cert_x509_guid) TRY_IN(name, crypto::Certificate::from_der(entry.data));
    }
  const bool is_key = update.variable->name == "PK" || update.variable->name == "KEK";
  for (const auto& list : lists)
    if (is_key && list.type == efi_cert_sha256_guid)
      return fail(ErrorCode::malformed, fmt::format("a digest in {}, which holds certificates only", name),
                  "revoke by dbx and allow by db");
  const bool append = update.kind == UpdateKind::append;
  if (update.variable->name == "PK" && (append || (entries != 1 && !update.content.empty())))
    return fail(ErrorCode::malformed,
                fmt::format("PK is one certificate, and replaced as a whole; not {}{}", entries,
                            append ? " appended" : " of them"),
                "give one certificate, without --append");
  if (entries == 0 && append)
    return fail(ErrorCode::usage, fmt::format("nothing to append to {}", name),
                "add a certificate, a digest or a list");
  return lists;
}

}  // namespace

Result<Buffer> sign_detached(const SigningPurpose& purpose, Bytes message, const SigningKey& key) {
  TRY(key.certificate());
  if (!key.public_key().rsa_public_key_der())
    return fail(ErrorCode::crypto, "firmware takes RSA signatures on its variables, and this key is of another kind",
                "use an RSA-2048 (or larger) key for PK and KEK");
  return sign_pkcs7({.certificate = OwnCertificate::inside, .envelope = Envelope::none}, message, key, purpose);
}

Result<Buffer> sign_update(const VariableUpdate& update, const SigningKey& key) {
  if (!is_valid(update.time))
    return fail(ErrorCode::usage, fmt::format("{} is no date from 1998 to 9999", to_text(update.time)),
                "give --time \"YYYY-MM-DD HH:MM:SS\"");
  TRY(check_content(update));
  AuthenticatedUpdate out{update.time, {}, update.content};
  const SigningPurpose purpose{TRY(describe_update(update)).front(), crypto::sha256(update.content)};
  out.signed_data =
      TRY(sign_detached(purpose, signed_bytes(*update.variable, update.kind, update.time, update.content), key));
  auto file = encode_authenticated_update(out);
  if (file.size() > authenticated_update_cap_bytes)
    return fail(ErrorCode::limit, fmt::format("an update of {} bytes, which no variable takes", file.size()),
                "revoke by certificate or by SBAT instead of so many digests");
  return file;
}

Result<std::vector<std::string>> describe_update(const VariableUpdate& update) {
  const auto lists = TRY(check_content(update));
  std::vector<std::string> lines;
  for (const auto& list : lists)
    for (const auto& entry : list.signatures) lines.push_back("  " + entry_text(list, entry));
  const bool append = update.kind == UpdateKind::append;
  lines.insert(lines.begin(), lines.empty()
                                  ? fmt::format("deletes {}, as of {}", update.variable->name, to_text(update.time))
                                  : fmt::format("{} {}, as of {}", append ? "appends to" : "sets",
                                                update.variable->name, to_text(update.time)));
  return lines;
}

Result<std::vector<EnrolmentUpdate>> enrolment_updates(const KeyFolder& keys, const EfiTime& time) {
  const auto contents = TRY(secure_boot_keys(keys));
  const auto pk = TRY(SigningKey::load(keys.key("PK"), keys.certificate("PK")));
  const auto kek = TRY(SigningKey::load(keys.key("KEK"), keys.certificate("KEK")));
  std::vector<EnrolmentUpdate> out;
  for (const auto& variable : key_variables) {
    const Buffer& content = variable.name == "PK"    ? contents.pk
                            : variable.name == "KEK" ? contents.kek
                            : variable.name == "db"  ? contents.db
                                                     : contents.dbx;
    const VariableUpdate update{&variable, UpdateKind::replace, time, content};
    auto auth = TRY(sign_update(update, variable.signed_by == "PK" ? pk : kek));
    out.push_back({update, std::move(auth)});
  }
  return out;
}

}  // namespace ingot::signer
