#include "gather.hpp"

#include <algorithm>

#include "ingot/base/source.hpp"
#include "ingot/codec/evidence.hpp"
#include "tpm_device.hpp"

namespace ingot::agent {
namespace {

constexpr const char* event_log_path = "/sys/kernel/security/tpm0/binary_bios_measurements";
constexpr const char* userspace_log_path = "/run/log/systemd/tpm2-measure.log";
constexpr const char* ima_log_path = "/sys/kernel/security/ima/binary_runtime_measurements";
// TCG EK Credential Profile 2.5, "NV Index Assignments": RSA 2048, ECC P-256, then the high range.
constexpr std::uint32_t ek_certificate_indices[] = {0x01C0000A, 0x01C00002, 0x01C00014, 0x01C00012};
constexpr int attempts = 8;
constexpr std::uint64_t log_cap_bytes = 32u << 20;

Buffer read_optional(const char* path) {
  auto bytes = read_file(path, log_cap_bytes);
  return bytes ? *std::move(bytes) : Buffer{};
}

/// PCR 0 to 14 of every active bank that a baseline predicts.
Result<codec::PcrSelections> quoted_selections(TpmDevice& tpm) {
  codec::PcrSelections selections;
  for (const auto& active : TRY(tpm.active_banks())) {
    if (std::find(std::begin(predicted_banks), std::end(predicted_banks), active.bank) == std::end(predicted_banks)) continue;
    codec::PcrSelection selection{active.bank, {}};
    for (PcrIndex pcr = 0; pcr < codec::quoted_pcr_count; ++pcr) selection.pcrs.push_back(pcr);
    selections.push_back(std::move(selection));
  }
  if (selections.empty())
    return fail(ErrorCode::unsupported, "the TPM has neither a SHA-256 nor a SHA-384 bank", "allocate one: tpm2_pcrallocate sha256:all, then restart");
  return selections;
}

Result<void> read_logs(Evidence& evidence) {
  evidence.event_log = TRY_IN("the firmware's event log", read_file(event_log_path, log_cap_bytes));
  evidence.userspace_log = read_optional(userspace_log_path);
  evidence.ima_log = read_optional(ima_log_path);
  return {};
}

Buffer first_certificate(TpmDevice& tpm) {
  for (const auto index : ek_certificate_indices)
    if (auto certificate = tpm.read_nv(index)) return *std::move(certificate);
  return {};
}

}  // namespace

Result<Evidence> gather(Buffer nonce, std::string node) {
  Evidence evidence;
  evidence.nonce = std::move(nonce);
  evidence.node = std::move(node);
  evidence.agent_version = INGOT_VERSION;
  evidence.kernel_command_line = std::string(as_text(read_optional("/proc/cmdline")));
  while (!evidence.kernel_command_line.empty() && evidence.kernel_command_line.back() == '\n') evidence.kernel_command_line.pop_back();
  evidence.os_release = std::string(as_text(read_optional("/etc/os-release")));
  auto tpm = TRY(TpmDevice::open());
  const auto selections = TRY(quoted_selections(tpm));
  evidence.ek_certificate = first_certificate(tpm);
  const std::uint32_t key = TRY(tpm.create_attestation_key(evidence.ak_public));
  const auto signing_hash = codec::attestation_key_template().name_alg;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    TRY(read_logs(evidence));
    evidence.pcrs.clear();
    for (const auto& selection : selections) evidence.pcrs[selection.bank] = TRY(tpm.read_bank(selection.bank));
    const auto quote = TRY(tpm.quote(key, codec::quote_binding(evidence), selections));
    const auto decoded = TRY(codec::decode_tpm_quote(quote.attest));
    if (decoded.pcr_digest != TRY(codec::quoted_pcr_digest(signing_hash, selections, evidence.pcrs))) continue;
    evidence.quote_attest = quote.attest;
    evidence.quote_signature = quote.signature;
    TRY(tpm.flush(key));
    return evidence;
  }
  return fail(ErrorCode::timeout, "PCRs kept changing between reading and quoting them", "try again when the node is less busy");
}

}  // namespace ingot::agent
