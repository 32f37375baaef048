#include "shim.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "expected.hpp"
#include "first_stage.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/codec/pe_names.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/crypto/authenticode.hpp"
#include "secure_boot.hpp"

namespace ingot::measure {
namespace {

constexpr PcrIndex mok_pcr = 14;  // UAPI group, "Linux TPM PCR Registry"
constexpr std::uint64_t section_cap_bytes = 1u << 20;
/// Releases whose source was read and whose boots were seen. Others measure other things: older ones MokListTrusted
/// into PCR 7 as well, say, as the log rhcos.bin shows.
constexpr std::string_view checked_versions[] = {"16.1"};

Result<Buffer> content_of(const ByteSource& file, const codec::Pe& pe, std::string_view name) {
  const auto* section = TRY(codec::find_long_section(file, pe, name));
  if (section == nullptr) return fail(ErrorCode::malformed, fmt::format("shim has no {} section", name));
  return TRY_IN(name, read_part(file, section->raw_offset, std::min(section->virtual_size, section->raw_size),
                                section_cap_bytes));
}

/// "UEFI SHIM\n$Version: 16.1 $\n..." (version.c.in).
Result<std::string> version_of(const ByteSource& file, const codec::Pe& pe) {
  constexpr std::string_view before = "$Version: ";
  const auto ident = TRY(content_of(file, pe, ".data.ident"));
  const auto text = as_text(ident);
  const auto at = text.find(before);
  const auto end = at == std::string_view::npos ? at : text.find(" $", at);
  if (end == std::string_view::npos) return fail(ErrorCode::malformed, "shim's .data.ident names no version");
  return std::string(text.substr(at + before.size(), end - at - before.size()));
}

std::string quoted_versions() {
  std::string out;
  for (const auto version : checked_versions) out += (out.empty() ? "" : ", ") + std::string(version);
  return out;
}

/// cert.S: sizes and places of the vendor's certificate (or list) and of its forbidden ones, relative to the section.
Result<void> read_vendor(const ByteSource& file, const codec::Pe& pe, Shim& shim) {
  const auto content = TRY(content_of(file, pe, ".vendor_cert"));
  Reader in{content};
  const std::uint64_t trusted_size = in.u32le(), forbidden_size = in.u32le();
  const std::uint64_t trusted_at = in.u32le(), forbidden_at = in.u32le();
  if (!in.ok()) return fail(in.error());
  const auto part = [&](std::uint64_t at, std::uint64_t size) -> Result<Bytes> {
    if (at > content.size() || size > content.size() - at)
      return fail(ErrorCode::malformed, "shim's .vendor_cert points outside of itself");
    return Bytes(content).subspan(at, size);
  };
  const Bytes trusted = TRY(part(trusted_at, trusted_size));
  // One certificate becomes a list of shim's own; what is a list already stays as it is (mok.c, VENDOR_ADDEND_DB).
  shim.vendor = crypto::Certificate::from_der(trusted)
                    ? codec::encode_signature_lists({codec::x509_list(shim_lock_guid, trusted)})
                    : to_buffer(trusted);
  shim.vendor_forbidden = to_buffer(TRY(part(forbidden_at, forbidden_size)));
  for (const auto* lists : {&shim.vendor, &shim.vendor_forbidden})
    TRY_IN("shim's .vendor_cert", codec::decode_signature_lists(*lists));
  return {};
}

/// sbat_var.S: format 0, then the places of two texts, relative to behind the format: what shim puts into force by
/// itself, and what only when somebody asks for it.
Result<std::string> sbat_level_of(const ByteSource& file, const codec::Pe& pe) {
  const auto content = TRY(content_of(file, pe, ".sbatlevel"));
  Reader in{content};
  const auto format = in.u32le();
  const std::uint64_t at = 4 + std::uint64_t{in.u32le()};
  if (!in.ok() || format != 0 || at >= content.size())
    return fail(ErrorCode::malformed, "shim's .sbatlevel is not what its format 0 says");
  const auto text = as_text(content).substr(at);
  const auto end = text.find('\0');
  if (end == std::string_view::npos || !text.starts_with("sbat,"))
    return fail(ErrorCode::malformed, "shim's .sbatlevel has no text where it says");
  return std::string(text.substr(0, end));
}

Buffer joined(Bytes first, Bytes second) {
  Buffer out = to_buffer(first);
  out.insert(out.end(), second.begin(), second.end());
  return out;
}

/// "A signature of nothing": what shim puts where it has no entry, so that the variable exists.
Buffer no_entries() {
  return codec::encode_signature_lists({{codec::efi_cert_sha256_guid, {}, {{shim_lock_guid, Buffer(32)}}}});
}

ExpectedEvent expect_mok_lists(std::string_view name, Bytes vendor, Bytes variable) {
  auto content = joined(vendor, variable);
  if (content.empty()) content = no_entries();
  return expect_data(mok_pcr, EventType::EV_IPL, content, std::string(name), codec::describe_signature_lists(content));
}

/// Digests first, then for each signature the certificates; of a list of certificates shim looks at the first alone.
std::optional<ExpectedEvent> entry_for_digest(const std::vector<codec::SignatureList>& lists, const Digest& sha256,
                                              const Guid& guid, std::string_view variable) {
  for (const auto& list : lists) {
    if (list.type != codec::efi_cert_sha256_guid) continue;
    for (const auto& entry : list.signatures)
      if (Digest(entry.data) == sha256) return expect_authority(guid, variable, entry, to_hex(entry.data));
  }
  return std::nullopt;
}

std::optional<ExpectedEvent> entry_for_signature(const std::vector<codec::SignatureList>& lists, Bytes signature,
                                                 const Guid& guid, std::string_view variable) {
  for (const auto& list : lists) {
    if (list.type != codec::efi_cert_x509_guid || list.signatures.empty()) continue;
    const auto& entry = list.signatures.front();
    const auto certificate = crypto::Certificate::from_der(entry.data);
    if (certificate && crypto::verify_authenticode(signature, *certificate))
      return expect_authority(guid, variable, entry, certificate->subject());
  }
  return std::nullopt;
}

}  // namespace

Result<Shim> read_shim(const ByteSource& file, const codec::Pe& pe) {
  Shim shim;
  shim.version = TRY(version_of(file, pe));
  if (std::find(std::begin(checked_versions), std::end(checked_versions), shim.version) == std::end(checked_versions))
    return fail(ErrorCode::unsupported,
                fmt::format("shim {}: nobody has checked what this release measures", shim.version),
                fmt::format("take one of {}", quoted_versions()));
  TRY(read_vendor(file, pe, shim));
  shim.sbat_level = TRY(sbat_level_of(file, pe));
  return shim;
}

// mok.c, mok_state_variable_data and mirror_one_mok_variable(): the vendor's part, then the variable. MokSBState and
// MokPolicy are measured where they are set, and a machine that is to be trusted has neither.
std::vector<ExpectedEvent> shim_state_events(const Shim& shim, Bytes mok_list) {
  constexpr std::uint8_t trusted[] = {1};
  auto level = shim.sbat_level;
  while (level.ends_with('\n')) level.pop_back();
  std::replace(level.begin(), level.end(), '\n', ' ');
  return {
      expect_mok_lists("MokList", shim.vendor, mok_list), expect_mok_lists("MokListX", shim.vendor_forbidden, {}),
      expect_data(7, EventType::EV_EFI_VARIABLE_AUTHORITY,
                  codec::encode_measured_variable({shim_lock_guid, "SbatLevel", to_buffer(as_bytes(shim.sbat_level))}),
                  "SbatLevel", std::move(level)),
      expect_data(mok_pcr, EventType::EV_IPL, trusted, "MokListTrusted", "1")};
}

// verify.c, verify_buffer_authenticode(), check_allowlist().
Result<ExpectedEvent> shim_authority_event(const Shim& shim, const JudgedFile& file, Bytes db, Bytes mok_list) {
  const auto firmware = TRY_IN("db", codec::decode_signature_lists(db));
  const auto own = TRY_IN("MokList", codec::decode_signature_lists(joined(shim.vendor, mok_list)));
  const struct {
    Guid guid;
    std::string_view name;
    const std::vector<codec::SignatureList>& lists;
  } sources[] = {{codec::efi_image_security_database_guid, "db", firmware}, {shim_lock_guid, "MokListRT", own}};
  for (const auto& [guid, name, lists] : sources)
    if (auto event = entry_for_digest(lists, file.authenticode.at(HashAlg::sha256), guid, name)) return *event;
  TRY(check_is_signed(file));
  for (const auto& signature : TRY(codec::pe_signatures(file.file, file.pe))) {
    TRY(check_signed_digest(file, signature));
    for (const auto& [guid, name, lists] : sources)
      if (auto event = entry_for_signature(lists, signature, guid, name)) return *event;
  }
  return fail(ErrorCode::crypto,
              fmt::format("neither db nor MokList has the certificate that signed {}: shim would refuse it", file.name),
              "enrol the certificate as MOK (mokutil --import), or sign with a key that is");
}

}  // namespace ingot::measure
