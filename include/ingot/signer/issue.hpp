// Certificates for nodes: who a node is when it speaks TLS to the collector, and who the collector is to the nodes.
#pragma once

#include <string>
#include <vector>

#include "ingot/signer/key.hpp"

namespace ingot::signer {

/// What a node's certificate says. Nothing of the request but its public key is taken over: who the node is, is for the
/// authority to say.
struct NodeCertificate {
  std::string node;                ///< [a-z0-9][a-z0-9-]{0,62}: the whole subject ("CN=node") and its first name
  std::vector<std::string> names;  ///< host names and addresses that it serves under; none: it is no server
  int days = 90;                   ///< 1 to 825: nobody revokes, so certificates are short-lived and made anew
};

/// A certificate for the key of `request` (PKCS#10 in PEM, whose own signature must hold), by tls-ca of the folder, in
/// PEM. Extended key usage: clientAuth, and serverAuth where there are names. Errors: malformed (request), usage
/// (names), missing (no tls-ca), crypto.
Result<std::string> issue_certificate(const KeyFolder& keys, std::string_view request, const NodeCertificate& wanted);

}  // namespace ingot::signer
