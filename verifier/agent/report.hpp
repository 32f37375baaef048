// What is in force on this node, as the kernel and its tools say. Parts: verifier/codec/report.md.
#pragma once

#include "ingot/model/report.hpp"

namespace ingot::agent {

/// Every part, or the reason why it is not there ("sshd.error"). Never fails as a whole: a node that reports little is
/// a finding for the verifier.
NodeReport make_report();

}  // namespace ingot::agent
