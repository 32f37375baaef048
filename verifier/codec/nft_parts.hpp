// The parts of a rule: expressions, values, statements. Internal to codec/.
#pragma once

#include "ingot/codec/nft.hpp"
#include "json.hpp"

namespace ingot::codec::detail {

NftExpression decode_nft_expression(const json::Value& value);
NftValue decode_nft_value(const json::Value& value);
/// A statement that is one of accept, drop, continue, return, jump, goto; nothing for any other.
Result<std::optional<NftJudgement>> decode_nft_judgement(const json::Value& value);
Result<NftStatement> decode_nft_statement(const json::Value& value);
/// [key, verdict] pairs of a verdict map.
Result<std::pair<NftValue, NftJudgement>> decode_nft_map_element(const json::Value& value);

/// How deep jumps and gotos may nest (NFT_JUMP_STACK_SIZE of Linux).
inline constexpr std::size_t nft_jump_cap = 16;

}  // namespace ingot::codec::detail
