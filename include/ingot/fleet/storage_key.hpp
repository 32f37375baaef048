// The key of a TPM to which data can be sealed from outside: its storage root key (SRK).
#pragma once

#include "ingot/codec/tpm.hpp"

namespace ingot::fleet {

/// The public area in a file: TPM2B_PUBLIC, as `tpm2_readpublic -o` and systemd-tpm2-setup write it, or TPMT_PUBLIC
/// (`-f tpmt`). They cannot be confused: no public area is as short as a type would be for a size.
Result<codec::TpmPublic> decode_public_file(Bytes file);

/// That data sealed to the key is held by one TPM, and that TPMs and systemd take it as a parent: an SRK of the default
/// templates (TCG TPM v2.0 Provisioning Guidance 1.0, "Storage Root Key"): ECC P-256 or RSA 2048, nameAlg SHA-256,
/// AES-128-CFB; fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, decrypt; not sign, stClear or
/// adminWithPolicy (an endorsement key has that); noDA may be set or not. A public area proves nothing about where it
/// comes from: that is enrolment's to say. Error (crypto): the first thing that is not so, what was expected, and how
/// to read the right key.
Result<void> check_storage_key(const codec::TpmPublic& key);

}  // namespace ingot::fleet
