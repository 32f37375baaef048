// The rig's channel: a virtio-serial port. The agent writes one line "ingot-ready/1"; the host answers with one line
// "ingot-nonce/1 HEX", or "ingot-nonce/1 HEX NODE" with the id of the node that it asks; the agent ends with one line
// "ingot-evidence/1 LENGTH" and LENGTH bytes, or "ingot-error/1 TEXT". What the host writes before the agent is there is
// lost with the port's last user, hence the first line.
#pragma once

#include <string>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::agent {

inline constexpr const char* evidence_port = "org.ingot.evidence";
/// Around evidence that is shown on a console.
inline constexpr const char* console_begin_mark = "-----BEGIN INGOT EVIDENCE-----";
inline constexpr const char* console_end_mark = "-----END INGOT EVIDENCE-----";

class Port {
 public:
  /// Waits up to `timeout_seconds` for the port to appear.
  static Result<Port> open(const std::string& name, double timeout_seconds);
  Port(Port&& other) noexcept;
  Port& operator=(Port&&) = delete;
  ~Port();

  struct Question {
    Buffer nonce;
    std::string node;  ///< empty: the host does not say
  };
  /// Says that the agent is ready, and waits for the host's question without end.
  Result<Question> read_question();
  Result<void> write_evidence(Bytes evidence);
  void write_error(const std::string& text);
  /// Until the host's end is closed, or the time is over.
  void wait_for_host_to_leave(double timeout_seconds);

 private:
  explicit Port(int fd) : fd_(fd) {}
  Result<void> write_all(Bytes bytes);
  int fd_;
};

}  // namespace ingot::agent
