// What a boot's logs and PCR values say by themselves, whoever the node is and whenever it is asked. Internal to
// check/.
#pragma once

#include "logs.hpp"
#include "policy.hpp"
#include "volumes.hpp"

namespace ingot::check {

struct LogJudgement {
  struct Part {
    std::vector<Finding> findings;
    std::vector<std::string> notes;
  };
  std::vector<HashAlg> banks;            ///< to judge: SHA-256 always, SHA-384 where it is active
  Part bank;                             ///< about the banks themselves
  Part boot;                             ///< about replay, events, values and the log's grammar
  std::vector<std::string> machine_ids;  ///< that systemd measured into PCR 15, in order
  std::optional<FirstOfNode> first;      ///< of PCR 15
  std::vector<Verdict::PcrLine> pcrs;
  std::vector<Verdict::Link> chain;

  [[nodiscard]] bool is_clean() const { return bank.findings.empty() && boot.findings.empty(); }
};

LogJudgement judge_logs(const Policy& policy, const Evidence& evidence, const Logs& logs, bool with_chain);

}  // namespace ingot::check
