#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/signer/lifecycle.hpp"
#include "key_making.hpp"

namespace ingot::signer {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t certificate_cap_bytes = 64u << 10;

const KeyRow& row_of(RotatedKey which) {
  return *std::find_if(key_rows.begin(), key_rows.end(), [&](const KeyRow& row) { return row.name == to_text(which); });
}

/// Private keys stay out of our memory.
Result<void> copy_file(const std::string& from, const std::string& to) {
  std::error_code ec;
  fs::copy_file(from, to, ec);
  if (ec) return fail(io_error(fmt::format("copying {}", from), ec.value()));
  return {};
}

Result<void> copy_all_but(const std::string& left_out, const KeyFolder& from, const KeyFolder& to) {
  std::vector<std::string> names = {"owner.guid", "db.esl", "dbx.esl"};
  for (const auto& row : key_rows)
    if (row.name != left_out)
      for (const char* ending : {".key", ".uri", ".crt", ".pub"}) names.push_back(row.name + std::string(ending));
  std::error_code ec;
  for (const auto& name : names)
    if (fs::exists(from.path + "/" + name, ec)) TRY(copy_file(from.path + "/" + name, to.path + "/" + name));
  return {};
}

/// "Ingot Platform Key" -> "Ingot Platform Key 2" -> "Ingot Platform Key 3": people tell them apart.
std::string next_common_name(const std::string& subject, const std::string& common_name) {
  const auto at = subject.find("CN=" + common_name + " ");
  unsigned number = 1;
  if (at != std::string::npos) {
    const char* digits = subject.data() + at + 3 + common_name.size() + 1;
    std::from_chars(digits, subject.data() + subject.size(), number);
  }
  return fmt::format("{} {}", common_name, number + 1);
}

Result<void> bring(const BroughtKey& brought, const KeyRow& row, const KeyFolder& to) {
  const bool certified = row.use != CertificateUse::none;
  if (certified == brought.certificate_path.empty())
    return fail(ErrorCode::usage,
                certified ? fmt::format("{} has a certificate, and none is given", row.name)
                          : fmt::format("{} has no certificate, and one is given", row.name),
                certified ? "give --certificate" : "leave --certificate out");
  const auto key = TRY(SigningKey::load(brought.reference, brought.certificate_path));
  const auto file = fmt::format("{}/{}", to.path, row.name);
  if (brought.reference.starts_with("pkcs11:"))
    TRY(write_file(file + ".uri", as_bytes(brought.reference + "\n"), 0600));
  else
    TRY(copy_file(brought.reference, file + (brought.reference.ends_with(".uri") ? ".uri" : ".key")));
  if (!certified) return write_file(to.public_key(row.name), as_bytes(key.public_key().pem()));
  return write_file(to.certificate(row.name), TRY(read_file(brought.certificate_path, certificate_cap_bytes)));
}

/// What was in db may come back by an old update; what is in dbx stays there.
Result<void> forbid(const crypto::Certificate& old, const KeyFolder& folder) {
  const auto path = folder.path + "/dbx.esl";
  std::error_code ec;
  auto lists = fs::exists(path, ec) ? TRY(read_file(path, codec::authenticated_update_cap_bytes)) : Buffer{};
  const auto more = codec::encode_signature_lists({codec::x509_list(TRY(owner_guid(folder)), old.der())});
  lists.insert(lists.end(), more.begin(), more.end());
  return write_file(path, lists);
}

}  // namespace

std::string_view to_text(RotatedKey key) {
  switch (key) {
    case RotatedKey::pk:
      return "PK";
    case RotatedKey::kek:
      return "KEK";
    case RotatedKey::db:
      return "db";
    case RotatedKey::pcr:
      return "pcr";
  }
  return "";
}

std::optional<RotatedKey> parse_rotated_key(std::string_view text) {
  for (const auto key : {RotatedKey::pk, RotatedKey::kek, RotatedKey::db, RotatedKey::pcr})
    if (to_text(key) == text) return key;
  return std::nullopt;
}

Result<KeyFolder> next_keys(const KeyFolder& keys, RotatedKey which, const BroughtKey& brought,
                            const std::string& out) {
  const auto& row = row_of(which);
  const auto old = TRY(keys.public_half(row.name));
  return make_folder(out, [&](const KeyFolder& made) -> Result<void> {
    TRY(copy_all_but(row.name, keys, made));
    if (!brought.reference.empty())
      TRY(bring(brought, row, made));
    else if (row.use == CertificateUse::none)
      TRY(write_key(made, row, ""));
    else
      TRY(write_key(made, row, next_common_name(TRY(keys.certificate_of(row.name)).subject(), row.common_name)));
    if (TRY(made.public_half(row.name)).spki_der() == old.spki_der())
      return fail(ErrorCode::usage, fmt::format("this is the {} key that {} has already", row.name, keys.path),
                  "bring another one, or leave --key out and one is made");
    if (which == RotatedKey::db) TRY(forbid(TRY(keys.certificate_of(row.name)), made));
    return {};
  });
}

}  // namespace ingot::signer
