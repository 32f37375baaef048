#include <fmt/format.h>

#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/crypto/random.hpp"
#include "key_making.hpp"

namespace ingot::signer {
namespace fs = std::filesystem;

Result<KeyFolder> init_keys(const std::string& folder) {
  return make_folder(folder, [](const KeyFolder& made) -> Result<void> {
    for (const auto& row : key_rows) TRY(write_key(made, row, row.common_name == nullptr ? "" : row.common_name));
    const auto owner = to_text(derive_guid(crypto::random_bytes(16))) + "\n";
    return write_file(made.path + "/owner.guid", as_bytes(owner));
  });
}

std::string KeyFolder::key(std::string_view name) const {
  const auto file = path + "/" + std::string(name);
  std::error_code ec;
  return file + (fs::exists(file + ".uri", ec) ? ".uri" : ".key");
}

Result<KeyFolder> open_keys(const std::string& folder) {
  const KeyFolder keys{folder};
  std::error_code ec;
  if (!fs::is_directory(folder, ec))
    return fail(ErrorCode::missing, fmt::format("no key folder {}", folder),
                fmt::format("make one with `ingot keys init {}`", folder));
  for (const auto& row : key_rows) {
    const auto file = fmt::format("{}/{}.key", folder, row.name);
    if (fs::exists(file, ec) && keys.key(row.name) != file)
      return fail(ErrorCode::usage, fmt::format("both {} and {}", file, keys.key(row.name)),
                  "keep the one that signs; a private key that is in a token has no place in a file");
    // Folders made before there was a TLS authority, and sites whose authority is not ours, have none.
    if (row.use == CertificateUse::authority && !fs::exists(keys.certificate(row.name), ec) &&
        !fs::exists(keys.key(row.name), ec))
      continue;
    // Folders made before the builder had a key of its own.
    if (std::string_view(row.name) == "provenance" && !fs::exists(keys.key(row.name), ec)) continue;
    // Needed by images that ask for it alone; folders made before there was one have none.
    if (std::string_view(row.name) == "pcr-system" && !fs::exists(keys.key(row.name), ec)) continue;
    // The key to all volumes has no place on a machine that builds: its certificate is enough.
    if (row.use == CertificateUse::recovery && !fs::exists(keys.key(row.name), ec)) continue;
    const bool certified = row.use != CertificateUse::none;
    const auto key = TRY(SigningKey::load(keys.key(row.name), certified ? keys.certificate(row.name) : std::string{}));
    if (certified) continue;
    const auto pem = TRY(read_file(keys.public_key(row.name), 64u << 10));
    const auto open = TRY_IN(keys.public_key(row.name), crypto::PublicKey::from_pem(as_text(pem)));
    if (open.spki_der() != key.public_key().spki_der())
      return fail(ErrorCode::crypto,
                  fmt::format("{} does not belong to {}", keys.public_key(row.name), keys.key(row.name)));
  }
  TRY(owner_guid(keys));
  return keys;
}

Result<Guid> owner_guid(const KeyFolder& keys) {
  const std::string path = keys.path + "/owner.guid";
  const auto bytes = TRY(read_file(path, 64));
  auto text = as_text(bytes);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  const auto guid = parse_guid(text);
  if (!guid)
    return fail(ErrorCode::malformed, fmt::format("{} does not hold a GUID", path),
                "put the signature owner's GUID there, one line");
  return *guid;
}

}  // namespace ingot::signer
