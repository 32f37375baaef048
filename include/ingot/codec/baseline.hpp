// Baselines and platforms as in-toto statements. Predicate types "https://ingot.dev/baseline/v1" and
// ".../platform/v1"; encoding is canonical (sorted keys, no white space), so that equal values are equal bytes.
#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::codec {

std::string encode_baseline_statement(const Baseline& baseline);
Result<Baseline> decode_baseline_statement(Bytes json);
std::string encode_platform_statement(const Platform& platform);
Result<Platform> decode_platform_statement(Bytes json);

}  // namespace ingot::codec
