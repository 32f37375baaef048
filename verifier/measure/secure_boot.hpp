// Internal to measure/.
#pragma once

#include "ingot/base/source.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::measure {

/// The certificate of db that lets this file start, as the firmware measures it once per boot.
Result<ExpectedEvent> authority_event(const ByteSource& uki, const codec::Pe& pe, const Digests& image_digests,
                                      Bytes db);

}  // namespace ingot::measure
