// TPM 2.0 commands over the kernel's device. Raw, because the agent must be one static file that runs on any release,
// and Debian has no static tpm2-tss. Trusted Platform Module Library 2.0, Part 3: Commands, revision 1.59.
#pragma once

#include <string>

#include "ingot/codec/tpm_object.hpp"

namespace ingot::agent {

struct Quote {
  Buffer attest;     ///< TPMS_ATTEST, raw
  Buffer signature;  ///< TPMT_SIGNATURE, raw
};

/// An object in the TPM, and its TPMT_PUBLIC.
struct LoadedKey {
  std::uint32_t handle = 0;
  Buffer public_area;
};

class TpmDevice {
 public:
  /// `path`: a device, or the UNIX socket of a swtpm; empty: /dev/tpmrm0, else /dev/tpm0.
  static Result<TpmDevice> open(const std::string& path);
  TpmDevice(TpmDevice&& other) noexcept;
  TpmDevice& operator=(TpmDevice&&) = delete;
  ~TpmDevice();

  /// Banks that are allocated, with their PCRs (TPM_CAP_PCRS).
  Result<codec::PcrSelections> active_banks();
  /// All 24 values of one bank.
  Result<PcrBank> read_bank(HashAlg bank);
  /// A primary key of the endorsement hierarchy. Flushed by flush().
  Result<LoadedKey> create_primary(const codec::TpmPublic& key_template);
  Result<Quote> quote(std::uint32_t key, Bytes qualifying_data, const codec::PcrSelections& selections);
  /// TPM2_ActivateCredential: the secret, when `endorsement_key` can open it and it is bound to `key`.
  Result<Buffer> activate(std::uint32_t key, std::uint32_t endorsement_key, bool by_policy, Bytes id_object,
                          Bytes encrypted_secret);
  Result<void> flush(std::uint32_t handle);
  /// The whole content of an NV index that its empty password opens; `missing` when it is not defined.
  Result<Buffer> read_nv(std::uint32_t index);

  // --- NV indices and policies (tpm_policy.cpp) ---------------------------------------------------------------
  // The owner hierarchy has an empty password, as systemd wants it, too.

  /// Error (missing): it is not defined.
  Result<codec::TpmNvPublic> nv_public(std::uint32_t index);
  Result<void> define_nv(const codec::TpmNvPublic& index);
  Result<void> undefine_nv(std::uint32_t index);
  /// An NV counter that its empty password writes.
  Result<void> increment_nv(std::uint32_t index);
  /// As the session's policy allows; the session has ended when it does.
  Result<void> write_nv(std::uint32_t index, std::uint32_t session, Bytes content);

  /// SHA-256, without HMAC. Flushed by flush().
  Result<std::uint32_t> policy_session();
  Result<void> policy_pcr(std::uint32_t session, const codec::PcrSelections& selections);
  /// What was approved, by a signature (RSASSA, SHA-256) of the key over H(approved || policy_ref).
  Result<void> policy_authorize(std::uint32_t session, const codec::TpmPublic& key, Bytes approved, Bytes policy_ref,
                                Bytes signature);
  /// The content of the index is at most this number of 8 bytes.
  Result<void> policy_nv_at_most(std::uint32_t session, std::uint32_t index, std::uint64_t most);
  Result<void> policy_or(std::uint32_t session, const std::vector<Buffer>& branches);

 private:
  explicit TpmDevice(int fd) : fd_(fd) {}
  Result<Buffer> transmit(Bytes command);
  /// Sends a command as often as the TPM asks for it. `sessions` authorize its first handles, in order. The answer's
  /// handles and parameters, one behind the other.
  Result<Buffer> run(std::uint32_t command_code, const std::vector<std::uint32_t>& handles,
                     const std::vector<std::uint32_t>& sessions, Bytes parameters, std::size_t response_handles);
  /// A policy session that TPM2_PolicySecret of the endorsement hierarchy has satisfied.
  Result<std::uint32_t> endorsement_session();
  Result<std::uint32_t> load_public(const codec::TpmPublic& key);

  int fd_;
};

}  // namespace ingot::agent
