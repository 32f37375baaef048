#include "gather.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "identity.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/evidence.hpp"
#include "tpm_device.hpp"

namespace ingot::agent {
namespace {

constexpr const char* event_log_path = "/sys/kernel/security/tpm0/binary_bios_measurements";
constexpr const char* userspace_log_path = "/run/log/systemd/tpm2-measure.log";
constexpr const char* ima_log_path = "/sys/kernel/security/ima/binary_runtime_measurements";
constexpr int gather_attempts = 20;
constexpr int lock_attempts = 50;
constexpr timespec between_attempts{0, 200'000'000};
constexpr std::uint64_t log_cap_bytes = 32u << 20;

/// While it lives, systemd neither extends a PCR nor writes to its log: it holds this lock exclusively around both
/// (systemd, src/shared/tpm2-util.c, "tpm2_userspace_log_open"). Given up after 10 s: evidence is then only less likely
/// to fit.
class UserspaceLogLock {
 public:
  UserspaceLogLock() : fd_(::open(userspace_log_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) {
    for (int i = 0; fd_ >= 0 && i < lock_attempts && ::flock(fd_, LOCK_SH | LOCK_NB) != 0; ++i)
      ::nanosleep(&between_attempts, nullptr);
  }
  UserspaceLogLock(const UserspaceLogLock&) = delete;
  UserspaceLogLock& operator=(const UserspaceLogLock&) = delete;
  ~UserspaceLogLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  int fd_;
};

Buffer read_optional(const char* path) {
  auto bytes = read_file(path, log_cap_bytes);
  return bytes ? *std::move(bytes) : Buffer{};
}

/// PCR 0 to 15 of every active bank that a baseline predicts.
Result<codec::PcrSelections> quoted_selections(TpmDevice& tpm) {
  codec::PcrSelections selections;
  for (const auto& active : TRY(tpm.active_banks())) {
    if (std::find(std::begin(predicted_banks), std::end(predicted_banks), active.bank) == std::end(predicted_banks))
      continue;
    codec::PcrSelection selection{active.bank, {}};
    for (PcrIndex pcr = 0; pcr < codec::quoted_pcr_count; ++pcr) selection.pcrs.push_back(pcr);
    selections.push_back(std::move(selection));
  }
  if (selections.empty())
    return fail(ErrorCode::unsupported, "the TPM has neither a SHA-256 nor a SHA-384 bank",
                "allocate one: tpm2_pcrallocate sha256:all, then restart");
  return selections;
}

Result<void> read_logs(Evidence& evidence) {
  evidence.event_log = TRY_IN("the firmware's event log", read_file(event_log_path, log_cap_bytes));
  evidence.userspace_log = read_optional(userspace_log_path);
  evidence.ima_log = read_optional(ima_log_path);
  return {};
}

bool same_logs(const Evidence& a, const Evidence& b) {
  return a.event_log == b.event_log && a.userspace_log == b.userspace_log && a.ima_log == b.ima_log;
}

/// Logs, then PCR values, then the quote over both. True when nothing was measured in between: the quote is over the
/// values that were read, and the logs have not grown.
Result<bool> try_quote(TpmDevice& tpm, std::uint32_t key, const codec::PcrSelections& selections, Evidence& evidence) {
  const UserspaceLogLock lock;
  TRY(read_logs(evidence));
  evidence.pcrs.clear();
  for (const auto& selection : selections) evidence.pcrs[selection.bank] = TRY(tpm.read_bank(selection.bank));
  auto quote = TRY(tpm.quote(key, codec::quote_binding(evidence), selections));
  const auto decoded = TRY(codec::decode_tpm_quote(quote.attest));
  const auto signing_hash = codec::attestation_key_template().name_alg;
  if (decoded.pcr_digest != TRY(codec::quoted_pcr_digest(signing_hash, selections, evidence.pcrs))) return false;
  Evidence after;
  TRY(read_logs(after));
  if (!same_logs(evidence, after)) return false;
  evidence.quote_attest = std::move(quote.attest);
  evidence.quote_signature = std::move(quote.signature);
  return true;
}

Result<void> quote_until_stable(TpmDevice& tpm, std::uint32_t key, const codec::PcrSelections& selections,
                                Evidence& evidence) {
  for (int attempt = 0; attempt < gather_attempts; ++attempt) {
    if (TRY(try_quote(tpm, key, selections, evidence))) return {};
    ::nanosleep(&between_attempts, nullptr);
  }
  return fail(ErrorCode::timeout, "PCRs kept changing between reading and quoting them",
              "try again when the node is less busy");
}

}  // namespace

Result<Evidence> gather(const GatherOptions& options) {
  Evidence evidence;
  evidence.nonce = options.nonce;
  evidence.node = options.node;
  evidence.channel_binding = options.channel_binding;
  evidence.agent_version = INGOT_VERSION;
  evidence.kernel_command_line = std::string(as_text(read_optional("/proc/cmdline")));
  while (!evidence.kernel_command_line.empty() && evidence.kernel_command_line.back() == '\n')
    evidence.kernel_command_line.pop_back();
  evidence.os_release = std::string(as_text(read_optional("/etc/os-release")));
  // Before the quote, whose binding says when it was made.
  if (options.report) evidence.report = options.report();
  auto tpm = TRY(TpmDevice::open(options.tpm));
  const auto selections = TRY(quoted_selections(tpm));
  // Evidence is judged by the enrolled attestation key; a certificate that cannot be read is not worth its loss.
  if (auto found = find_endorsement_key(tpm)) evidence.ek_certificate = std::move(found->certificate);
  auto key = TRY_IN("making the attestation key", tpm.create_primary(codec::attestation_key_template(options.key)));
  evidence.ak_public = std::move(key.public_area);
  auto quoted = quote_until_stable(tpm, key.handle, selections, evidence);
  // On /dev/tpm0 nobody else clears up: the key is flushed whether or not it could be used.
  auto flushed = tpm.flush(key.handle);
  TRY(std::move(quoted));
  TRY(std::move(flushed));
  return evidence;
}

}  // namespace ingot::agent
