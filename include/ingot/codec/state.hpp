// What a verifier remembers of nodes and releases between two verdicts: JSON documents of its own.
#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/finding.hpp"
#include "ingot/model/release.hpp"

namespace ingot::codec {

inline constexpr std::uint64_t state_cap_bytes = 1u << 20;

/// File format "ingot-node-state/1".
std::string encode_node_state(const NodeState& state);
Result<NodeState> decode_node_state(Bytes json);

/// File format "ingot-accepted/1".
std::string encode_accepted(const AcceptedVersions& accepted);
Result<AcceptedVersions> decode_accepted(Bytes json);

/// in-toto statement, canonical.
std::string encode_revocations_statement(const std::vector<Revocation>& revoked);
Result<std::vector<Revocation>> decode_revocations_statement(Bytes json);

}  // namespace ingot::codec
