// The host's end of the evidence port: nonce in, evidence out. The words are in verifier/agent/port.hpp.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::rig {

class EvidenceChannel {
 public:
  /// Connects to the socket that QEMU listens on, waiting up to 30 s for it while `is_alive` says that QEMU runs, and
  /// writes the nonce and, unless it is empty, the id of the node that is asked.
  static Result<EvidenceChannel> connect(const std::string& socket_path, Bytes nonce, const std::string& node_id,
                                         const std::function<bool()>& is_alive);
  EvidenceChannel(EvidenceChannel&& other) noexcept;
  EvidenceChannel& operator=(EvidenceChannel&&) = delete;
  ~EvidenceChannel();

  /// Asks again, once an answer has come: the agent that answers is one that was started since.
  Result<void> ask(Bytes nonce, const std::string& node_id);
  /// Waits up to `wait_ms` for more; the evidence once it is complete, nothing before. Errors: the agent reported one,
  /// or wrote something else than the protocol says.
  Result<std::optional<Buffer>> poll(int wait_ms);
  /// False once QEMU closed its end and everything that it wrote has been read.
  [[nodiscard]] bool is_open() const { return open_; }

 private:
  explicit EvidenceChannel(int fd) : fd_(fd) {}
  int fd_;
  bool open_ = true;
  Buffer received_;
};

/// The message in what was received so far; nothing while it is incomplete. Pure.
Result<std::optional<Buffer>> parse_evidence_message(Bytes received);

}  // namespace ingot::rig
