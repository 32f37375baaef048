// Debian binary packages, as far as a package index needs them. deb(5), deb-control(5).
#pragma once

#include <map>
#include <string>

#include "ingot/base/result.hpp"

namespace ingot::builder::detail {

/// The text of a package's control file.
Result<std::string> read_control(const std::string& deb_path);

/// The fields of one paragraph; continuation lines are kept with their line breaks.
std::map<std::string, std::string> control_fields(std::string_view paragraph);

}  // namespace ingot::builder::detail
