// Where a bastion may open a session: the addresses that the image names, and the operator's names for them.
#pragma once

#include <string>
#include <string_view>

#include "ingot/base/result.hpp"
#include "ingot/model/address.hpp"

namespace ingot::check {

/// Bytes of a name of a node (RFC 1123, "Host Names and Numbers").
inline constexpr std::size_t target_name_cap_bytes = 253;

/// The address that `name` stands for. `name` comes from whoever logged in: it is an address, or a name of `nodes`, and
/// the address lies in one of `ranges`.
/// `ranges`: a line each, "ROLE FIRST-LAST" or "ROLE ADDRESS". `nodes`: "NAME ADDRESS", '#' starts a comment; a name
/// that is there twice means nothing.
/// Errors: usage (no such name, not a name at all, an address where nothing may be reached), malformed (`ranges`).
Result<IpAddress> find_target(std::string_view name, std::string_view ranges, std::string_view nodes);

/// Whether all lines of a file of nodes make sense, and where not. Errors: malformed, with the number of the line;
/// usage, when an address is in none of `ranges`.
Result<void> check_nodes(std::string_view nodes, std::string_view ranges);

}  // namespace ingot::check
