// One entry of a GPT. Internal to codec/.
#pragma once

#include "ingot/codec/gpt.hpp"

namespace ingot::codec {

inline constexpr std::size_t gpt_entry_size_bytes = 128;
/// Precondition: 128 bytes.
GptPartition decode_gpt_entry(Bytes entry);

}  // namespace ingot::codec
