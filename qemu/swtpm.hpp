// A software TPM beside the machine: its own state folder, its own socket, gone with this object.
#pragma once

#include <string>

#include "ingot/builder/process.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::rig {

class SoftwareTpm {
 public:
  /// Manufactures the TPM in `state` (EK and certificate by a private CA, SHA-256 and SHA-384 banks) unless it already
  /// is one, then starts it. Sockets and logs go to `run`, whose path must be short. `command_log`: where it logs each
  /// command; empty: nowhere.
  static Result<SoftwareTpm> start(const std::string& state, const std::string& run,
                                   const std::string& command_log = {});

  [[nodiscard]] const std::string& socket() const { return socket_; }
  /// PCR 0..23 of SHA-256 and SHA-384, asked from the TPM itself. The machine must have been killed: one that ends by
  /// itself shuts its TPM down. Needs tpm2-tools. A TPM that no
  /// firmware has started answers TPM_RC_INITIALIZE, which is an error here.
  Result<PcrValues> read_pcrs();

 private:
  SoftwareTpm(builder::Background process, std::string run)
      : process_(std::move(process)), run_(std::move(run)), socket_(run_ + "/tpm") {}
  builder::Background process_;
  std::string run_;
  std::string socket_;
};

}  // namespace ingot::rig
