// Package URLs of Debian packages.
#pragma once

#include <string>
#include <string_view>

namespace ingot::builder {

/// "pkg:deb/debian/NAME@VERSION?arch=ARCH&distro=DISTRO", encoded as the package URL specification wants it.
/// `distribution` may be empty: no distro qualifier.
std::string debian_purl(std::string_view name, std::string_view version, std::string_view architecture,
                        std::string_view distribution);

}  // namespace ingot::builder
