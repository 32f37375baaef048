// Of a SubjectPublicKeyInfo in DER (RFC 5280, 4.1) what its writer and the agent's reader share.
#pragma once

#include <cstdint>

namespace ingot::codec {

// ITU-T X.690, "Universal tags".
inline constexpr std::uint8_t der_integer = 0x02;
inline constexpr std::uint8_t der_bit_string = 0x03;
inline constexpr std::uint8_t der_sequence = 0x30;

/// RFC 3279, "Algorithm Identifiers": whole contents of the AlgorithmIdentifier.
inline constexpr std::uint8_t rsa_encryption[] = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7,
                                                  0x0D, 0x01, 0x01, 0x01, 0x05, 0x00};

}  // namespace ingot::codec
