#pragma once

#include <string>

#include "ingot/base/result.hpp"
#include "ingot/builder/boot_chain.hpp"

namespace ingot::rig {

/// A small disk (GPT with one ESP) that boots `uki` through the chain: 10 seconds from start to evidence, for what
/// needs firmware and log only.
Result<void> make_probe_disk(const std::string& uki, const std::string& out_path,
                             const builder::ChainFiles& chain = {});

}  // namespace ingot::rig
