// Golden values in the forms that other verifiers read. Only what a form can say is written: optional blocks and events
// by meaning are not in them, so they describe the default path of a boot.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ingot/codec/variable_store.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::codec {

/// systemd's .pcrlock components (systemd-pcrlock(8)): file name to JSON text, names sort as a boot measures.
/// `platform` may be null.
std::map<std::string, std::string> export_pcrlock(const Baseline& baseline, const Platform* platform);

/// Keylime's runtime policy (version 1): path to SHA-256 of every file of the image, for its IMA check.
std::string export_keylime_runtime_policy(const std::vector<FileDigest>& manifest);

/// Keylime's reference state for a policy that looks at PCRs: {"sha256": {"4": "..."}}; `tpm_policy` of the tenant,
/// with the PCRs that baseline and platform cover whole.
std::string export_keylime_tpm_policy(const Baseline& baseline, const Platform* platform);

/// Keylime's measured-boot reference state (mb_refstate), with the members of its policy "example": `scrtm_and_bios`
/// from the platform, one for each way in which machines of the class differ; `pk`, `kek`, `db` and `dbx` from the
/// variable store; no MOK. That policy knows shim and GRUB only: `kernels` says "uki_authcode_sha256", which is what a
/// policy for UKIs compares PCR 4's boot application with. Errors: malformed (a variable that is no signature list),
/// limit (more than 64 ways).
Result<std::string> export_keylime_measured_boot(const Baseline& baseline, const Platform& platform,
                                                 const std::vector<Variable>& variables);

/// CoRIM (draft-ietf-rats-corim): tag 500 around tag 501 with one CoMID, a reference value for each whole PCR of each
/// bank; the measurement key is the PCR's index.
Buffer export_corim(const Baseline& baseline, const Platform* platform);

/// CEL-JSON of the expected events in order, platform first: a log to hold another beside.
std::string export_cel_json(const Baseline& baseline, const Platform* platform);

}  // namespace ingot::codec
