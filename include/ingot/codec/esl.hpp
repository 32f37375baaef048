// EFI signature lists. UEFI 2.10, "Signature Database".
#pragma once

#include <vector>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

inline constexpr Guid efi_cert_x509_guid = make_guid("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
inline constexpr Guid efi_cert_sha256_guid = make_guid("c1c41626-504c-4092-aca9-41f936934328");

struct SignatureData {
  Guid owner;
  Buffer data;  ///< DER certificate or digest; never empty
  bool operator==(const SignatureData&) const = default;
};
struct SignatureList {
  Guid type;
  Buffer header;
  std::vector<SignatureData> signatures;
  bool operator==(const SignatureList&) const = default;
};

/// A list whose signatures differ in size (certificates do) becomes one list for each run of one size, as the format
/// wants it.
Buffer encode_signature_lists(const std::vector<SignatureList>& lists);
/// Errors: sizes that do not add up, entries without data, SHA-256 entries that are not 32 bytes, X.509 or SHA-256
/// lists with a header, more than 65536 entries. Lists without entries are kept.
Result<std::vector<SignatureList>> decode_signature_lists(Bytes data);
/// One list with one X.509 entry.
SignatureList x509_list(const Guid& owner, Bytes certificate_der);
/// EFI_SIGNATURE_DATA: owner GUID followed by the data; what EV_EFI_VARIABLE_AUTHORITY measures.
Buffer encode_signature_data(const SignatureData& data);

}  // namespace ingot::codec
