// TPM 2.0 commands over the kernel's device. Raw, because the agent must be one static file that runs on any release,
// and Debian has no static tpm2-tss. Trusted Platform Module Library 2.0, Part 3: Commands, revision 1.59.
#pragma once

#include <string>

#include "ingot/codec/tpm.hpp"

namespace ingot::agent {

struct Quote {
  Buffer attest;     ///< TPMS_ATTEST, raw
  Buffer signature;  ///< TPMT_SIGNATURE, raw
};

class TpmDevice {
 public:
  /// /dev/tpmrm0, else /dev/tpm0.
  static Result<TpmDevice> open();
  TpmDevice(TpmDevice&& other) noexcept;
  TpmDevice& operator=(TpmDevice&&) = delete;
  ~TpmDevice();

  /// Banks that are allocated, with their PCRs (TPM_CAP_PCRS).
  Result<codec::PcrSelections> active_banks();
  /// All 24 values of one bank.
  Result<PcrBank> read_bank(HashAlg bank);
  /// The attestation key of the endorsement hierarchy; `public_area` receives its TPMT_PUBLIC. Flushed by flush().
  Result<std::uint32_t> create_attestation_key(Buffer& public_area);
  Result<Quote> quote(std::uint32_t key, Bytes qualifying_data, const codec::PcrSelections& selections);
  Result<void> flush(std::uint32_t handle);
  /// The whole content of an NV index that its empty password opens; `missing` when it is not defined.
  Result<Buffer> read_nv(std::uint32_t index);

 private:
  explicit TpmDevice(int fd) : fd_(fd) {}
  Result<Buffer> transmit(Bytes command);
  /// Sends a command whose first `authorized` handles carry an empty password, as often as the TPM asks for it. The
  /// answer's handles and parameters, one behind the other.
  Result<Buffer> run(std::uint32_t command_code, const std::vector<std::uint32_t>& handles, std::size_t authorized,
                     Bytes parameters, std::size_t response_handles);

  int fd_;
};

}  // namespace ingot::agent
