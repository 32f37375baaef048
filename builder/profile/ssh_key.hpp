// OpenSSH public keys as people paste them.
#pragma once

#include "reader.hpp"

namespace ingot::builder::detail {

/// One line "TYPE BASE64 [COMMENT]" (sshd(8), "AUTHORIZED_KEYS FILE FORMAT", without options), given back without its
/// comment. Errors tell a private key, a key of a kind that sshd's settings refuse, RSA below 3072 bits, and what is no
/// key.
Result<std::string> read_public_key(const Located<std::string>& line, std::string_view what);

}  // namespace ingot::builder::detail
