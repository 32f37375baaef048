#pragma once

#include <string>

#include "ingot/base/source.hpp"
#include "ingot/codec/pe.hpp"

namespace ingot::signer {

/// What people call a boot file: "UKI training 7" by its os-release(5), else "a UKI" or "a PE file". It is what the
/// file says of itself, printable characters alone.
std::string image_name(const ByteSource& file, const codec::Pe& pe);

}  // namespace ingot::signer
