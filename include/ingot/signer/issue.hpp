// Certificates for nodes: who a node is when it speaks TLS to the collector, and who the collector is to the nodes.
#pragma once

#include <string>
#include <vector>

#include "ingot/signer/key.hpp"

namespace ingot::signer {

/// What the certificate may be used for (RFC 5280, "Extended Key Usage").
enum class NodeUse {
  client,     ///< clientAuth: every node
  collector,  ///< clientAuth and serverAuth
};

/// What a node's certificate says. Nothing of the request but its public key is taken over: who the node is, is for the
/// authority to say.
struct NodeCertificate {
  std::string node;  ///< [a-z0-9][a-z0-9-]{0,62}: the whole subject ("CN=node") and its first name
  std::vector<std::string>
      names;  ///< its host names and addresses; sudo_logsrvd takes a node's session only from these
  NodeUse use = NodeUse::client;
  int days = 90;  ///< 1 to 825: nobody revokes, so certificates are short-lived and made anew
};

/// A certificate for the key of `request` (PKCS#10 in PEM, whose own signature must hold), by tls-ca of the folder, in
/// PEM. Errors: malformed (request), usage
/// (names), missing (no tls-ca), crypto.
Result<std::string> issue_certificate(const KeyFolder& keys, std::string_view request, const NodeCertificate& wanted);

}  // namespace ingot::signer
