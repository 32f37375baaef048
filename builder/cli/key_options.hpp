#pragma once

#include "cli.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::cli {

/// What every command has that may open a private key: --pin-file, --pin-fd.
void add_pin_options(CLI::App& command);

/// What these said; asks on the terminal where there is one. For signer::set_pin_sources(), once all is parsed.
signer::PinSources pin_sources();

}  // namespace ingot::cli
