#pragma once

#include "gather.hpp"
#include "ingot/base/result.hpp"
#include "port.hpp"

namespace ingot::agent {

/// Takes the nonce from the port and writes evidence to it; an error is told to the host too.
Result<void> answer(Port& port, GatherOptions options);

}  // namespace ingot::agent
