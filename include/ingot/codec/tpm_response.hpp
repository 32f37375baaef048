// What a TPM says when it does not do what it was asked. Trusted Platform Module Library 2.0, Part 2: Structures,
// revision 1.59, "TPM_RC (Response Codes)".
#pragma once

#include <cstdint>
#include <string>

namespace ingot::codec {

/// "TPM_RC_HANDLE (handle 1, 0x18b)": the specification's name for a response code and which argument it is about. A
/// code without a name is shown as a number.
std::string tpm_response_text(std::uint32_t code);

/// Warnings that only ask for the command to be sent again: TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_RETRY.
bool tpm_asks_for_retry(std::uint32_t code);
/// TPM_RC_HANDLE about a handle: no such NV index, no such object.
bool tpm_knows_no_such_handle(std::uint32_t code);

}  // namespace ingot::codec
