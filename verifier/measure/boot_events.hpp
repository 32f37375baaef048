// The firmware's own events around a boot. Internal to measure/.
#pragma once

#include "ingot/base/source.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::measure {

/// PCR 4 up to the application itself.
std::vector<ExpectedEvent> boot_attempt_events();
/// PCR 5 behind the GPT event.
std::vector<ExpectedEvent> exit_boot_services_events();

/// What the UKI adds once the firmware has loaded it: PCR 4 (itself), 11 (sections), 9 (load options, initrd).
struct LoadedUki {
  std::uint32_t stub = 0;
  Digests authenticode;
  std::vector<ExpectedEvent> events;
};
Result<LoadedUki> loaded_uki_events(const ByteSource& uki);

}  // namespace ingot::measure
