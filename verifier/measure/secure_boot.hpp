// Internal to measure/.
#pragma once

#include "first_stage.hpp"

namespace ingot::measure {

/// Whether the signature is over this very file. Error (crypto): it was changed after it was signed.
Result<void> check_signed_digest(const JudgedFile& file, Bytes signature);

/// Error (crypto): no signature.
Result<void> check_is_signed(const JudgedFile& file);

/// EV_EFI_VARIABLE_AUTHORITY of an entry of signature lists.
ExpectedEvent expect_authority(const Guid& guid, std::string_view variable, const codec::SignatureData& entry,
                               std::string text);

/// The entry of db that lets this file start, a certificate.
Result<codec::SignatureData> authority_of(const JudgedFile& file, Bytes db);
/// The same as the firmware measures it, with its owner, once per boot.
Result<ExpectedEvent> authority_event(const JudgedFile& file, Bytes db);

}  // namespace ingot::measure
