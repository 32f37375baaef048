// Texts and helpers that the node's and the collector's half of shipping share.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "ingot/builder/config.hpp"
#include "sandbox.hpp"

namespace ingot::builder::detail {

inline constexpr std::string_view identity_folder = "/var/lib/ingot/identity";
inline constexpr std::string_view authority_path = "/etc/ingot/tls-ca.crt";
inline constexpr std::string_view unit_folder = "/usr/lib/systemd/system/";

inline void add_file(ConfigPart& part, std::string path, std::string_view text, unsigned mode = 0644) {
  part.files.push_back({std::move(path), to_buffer(as_bytes(text)), mode});
}
/// A unit of the vendor's folder; `wanted_by` pulls it in, empty: something else does.
inline void add_unit(ConfigPart& part, const std::string& name, std::string_view text, std::string_view wanted_by) {
  add_file(part, std::string(unit_folder) + name, text);
  if (!wanted_by.empty())
    part.links.push_back({fmt::format("{}{}.wants/{}", unit_folder, wanted_by, name), fmt::format("../{}", name)});
}

/// The shipping node's files, in shipping_node.cpp; the collector's, in shipping_collector.cpp.
void add_node(ConfigPart& part, const Profile& profile);
void add_collector(ConfigPart& part, const Profile& profile);

}  // namespace ingot::builder::detail
