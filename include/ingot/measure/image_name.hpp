// What a boot file is called.
#pragma once

#include <string>

#include "ingot/base/source.hpp"
#include "ingot/codec/pe.hpp"

namespace ingot::measure {

/// Short enough for a log and for a request to sign it: "UKI training 7" by its os-release(5)'s IMAGE_ID and
/// IMAGE_VERSION, else "a UKI" or "a PE file". Printable ASCII of what the file says of itself. describe_image()
/// (uki.hpp) says more, for whoever looks at one file.
std::string image_name(const ByteSource& file, const codec::Pe& pe);

}  // namespace ingot::measure
