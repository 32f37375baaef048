// nft's names for numbers, as it prints them.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "bdd.hpp"
#include "ingot/check/segment.hpp"

namespace ingot::check {

enum class SymbolKind { none, address, protocol, nf_family, ether_type, tcp_flag, icmp_type, icmpv6_type, ct_state };

/// The number of a name; nothing for a name that is not in the table.
std::optional<Wide> symbol(SymbolKind kind, std::string_view name);
/// First and last number that a value stands for: a number, a name, a prefix or a range.
std::optional<std::pair<Wide, Wide>> numbers(SymbolKind kind, const codec::NftValue& value);
/// One number, or a list of bits taken together.
std::optional<Wide> bits(SymbolKind kind, const codec::NftValue& value);
std::optional<std::uint32_t> symbol_bits(SymbolKind kind, const codec::NftValue& value);
/// The kernel's bit of a state (NF_CT_STATE_BIT).
std::uint32_t ct_state_bit(PacketState state);

}  // namespace ingot::check
