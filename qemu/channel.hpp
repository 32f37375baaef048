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
  /// Connects to the socket that QEMU listens on, waiting up to 30 s for it while `is_alive` says that QEMU runs. The
  /// first question is asked with it, as ask() does.
  static Result<EvidenceChannel> connect(const std::string& socket_path, Bytes nonce, const std::string& node_id,
                                         const std::function<bool()>& is_alive);
  EvidenceChannel(EvidenceChannel&& other) noexcept;
  EvidenceChannel& operator=(EvidenceChannel&&) = delete;
  ~EvidenceChannel();

  /// The next question, once the answer to the one before has come: a nonce and, unless it is empty, the id of the node
  /// that is asked. It is handed in when an agent says that it is ready.
  void ask(Bytes nonce, const std::string& node_id);
  /// Waits up to `wait_ms` for more; the evidence once it is complete, nothing before. Errors: the agent reported one,
  /// or wrote something else than the protocol says; the question could not be handed in.
  Result<std::optional<Buffer>> poll(int wait_ms);
  /// False once QEMU closed its end and everything that it wrote has been read.
  [[nodiscard]] bool is_open() const { return open_; }

 private:
  explicit EvidenceChannel(int fd) : fd_(fd) {}
  Result<void> hand_in_question();
  int fd_;
  bool open_ = true;
  std::string question_;  ///< the line that is not handed in yet
  Buffer received_;
};

/// What an agent wrote: that it is ready, or its evidence.
struct AgentMessage {
  bool ready = false;
  Buffer evidence;
  std::size_t size_bytes = 0;  ///< of the whole message; what follows belongs to the next one
};
/// The message at the head of what was received so far; nothing while it is incomplete. Pure.
Result<std::optional<AgentMessage>> parse_agent_message(Bytes received);

}  // namespace ingot::rig
