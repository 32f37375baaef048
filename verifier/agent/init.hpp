#pragma once

namespace ingot::agent {

/// PID 1 of the probe: mounts the kernel's file systems, loads the modules that its initrd carries, answers on the
/// rig's port, or, where there is no such port, shows evidence on the console; then powers off.
[[noreturn]] void run_as_init();

}  // namespace ingot::agent
