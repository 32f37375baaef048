// Authenticated updates of Secure Boot's variables: what an .auth file is. UEFI 2.10, "Using the
// EFI_VARIABLE_AUTHENTICATION_2 descriptor" and "SetVariable()".
#pragma once

#include <string_view>
#include <vector>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"
#include "ingot/codec/variable_store.hpp"

namespace ingot::codec {

/// PK, KEK, db or dbx.
struct KeyVariable {
  std::string_view name;
  Guid guid;
  std::string_view signed_by;  ///< variable whose certificates firmware takes updates from: "PK" or "KEK"
};
/// In the order in which a machine in setup mode takes them: PK last, since it ends setup mode.
inline constexpr KeyVariable key_variables[] = {{"dbx", efi_image_security_database_guid, "KEK"},
                                                {"db", efi_image_security_database_guid, "KEK"},
                                                {"KEK", efi_global_variable_guid, "PK"},
                                                {"PK", efi_global_variable_guid, "PK"}};
/// Null for any other name.
const KeyVariable* find_key_variable(std::string_view name);

/// EFI_VARIABLE_NON_VOLATILE, _BOOTSERVICE_ACCESS, _RUNTIME_ACCESS, _TIME_BASED_AUTHENTICATED_WRITE_ACCESS.
inline constexpr std::uint32_t key_variable_attributes = 0x27;
inline constexpr std::uint32_t append_write_attribute = 0x40;
enum class UpdateKind {
  replace,
  append,  ///< to the entries that are there
};
constexpr std::uint32_t attributes_of(UpdateKind kind) {
  return key_variable_attributes | (kind == UpdateKind::append ? append_write_attribute : 0);
}

/// EFI_VARIABLE_AUTHENTICATION_2 and what follows it. A file does not say which variable it is for, nor whether it
/// appends: both are signed, and only the right ones verify.
struct AuthenticatedUpdate {
  EfiTime time;
  Buffer signed_data;  ///< PKCS#7 SignedData, DER; not verified. With or without the ContentInfo around it
  Buffer content;      ///< what the variable is set to: signature lists; empty: it is deleted
  bool operator==(const AuthenticatedUpdate&) const = default;
};
inline constexpr std::uint64_t authenticated_update_cap_bytes = 1u << 20;

/// Errors (malformed) for everything that firmware refuses whatever the keys: another kind of certificate, parts of the
/// time that must be zero, a SignedData that does not fill its certificate.
Result<AuthenticatedUpdate> decode_authenticated_update(Bytes file);
Buffer encode_authenticated_update(const AuthenticatedUpdate& update);

/// What the signature is over: name in UTF-16LE without NUL, GUID, attributes, time, content.
Buffer signed_bytes(const KeyVariable& variable, UpdateKind kind, const EfiTime& time, Bytes content);

/// True for a date of the calendar, 1998 to 9999 (UEFI 2.10, "GetTime()").
bool is_valid(const EfiTime& time);
/// "2024-01-31 23:59:59", as efitools takes it.
std::string to_text(const EfiTime& time);
/// "YYYY-MM-DD HH:MM:SS", or with T and Z as in ISO 8601; nothing for anything else and for no date.
std::optional<EfiTime> parse_efi_time(std::string_view text);
/// UTC; nothing outside the years that EFI_TIME has.
std::optional<EfiTime> efi_time_of(std::int64_t seconds_since_1970);

/// The parts of a SignedData (RFC 2315, "Signed-data content type") that tell who signed.
struct SignedDataParts {
  std::vector<Bytes> certificates;  ///< DER, views into the SignedData
  struct Signer {
    Bytes issuer;         ///< of the signer's certificate, DER
    Bytes serial_number;  ///< of it, DER
  };
  std::vector<Signer> signers;
};
/// Nothing is verified.
Result<SignedDataParts> decode_signed_data(Bytes signed_data);
/// The certificate of the first signer among those that the signature carries; empty when it does not carry it.
Bytes signer_certificate(const SignedDataParts& parts);

}  // namespace ingot::codec
