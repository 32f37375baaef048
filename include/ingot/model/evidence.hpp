// What a node hands over. Everything in it is untrusted until checked; signed bytes are kept as they came.
#pragma once

#include <optional>
#include <string>

#include "ingot/model/digest.hpp"
#include "ingot/model/report.hpp"

namespace ingot {

/// File format "ingot-evidence/1": one JSON document (RFC 8259), binary fields in base64. See
/// verifier/codec/evidence.md for every field.
struct Evidence {
  std::string node;        ///< node id as the node says it; may be empty
  Buffer nonce;            ///< as the verifier handed it in
  Buffer channel_binding;  ///< what ties the evidence to the connection it went through; may be empty
  Buffer event_log;        ///< /sys/kernel/security/tpm0/binary_bios_measurements
  Buffer userspace_log;    ///< /run/log/systemd/tpm2-measure.log, JSON-SEQ; may be empty
  Buffer ima_log;          ///< binary_runtime_measurements; may be empty
  PcrValues pcrs;          ///< as TPM2_PCR_Read said; trusted only when the quote covers them
  Buffer quote_attest;     ///< TPMS_ATTEST, raw
  Buffer quote_signature;  ///< TPMT_SIGNATURE, raw
  Buffer ak_public;        ///< TPMT_PUBLIC, raw
  Buffer ek_certificate;   ///< DER; may be empty
  std::string kernel_command_line;
  std::string os_release;
  std::string agent_version;
  std::optional<NodeReport> report;  ///< what is in force on the node; a probe has nothing to report

  bool operator==(const Evidence&) const = default;
};

}  // namespace ingot
