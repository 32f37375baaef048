// The options that describe a machine of the rig.
#pragma once

#include <CLI/CLI.hpp>
#include <vector>

#include "ingot/rig/rig.hpp"

namespace ingot::cli {

inline std::vector<CLI::Option*> add_shape_options(CLI::App& app, rig::MachineShape& shape) {
  return {app.add_option("--memory", shape.memory_mib, "Memory in MiB")
              ->capture_default_str()
              ->check(CLI::Range(512, 1 << 20)),
          app.add_option("--cpus", shape.cpus, "Virtual CPUs")->capture_default_str()->check(CLI::Range(1, 64)),
          app.add_flag("--nic", shape.nic, "A virtio network card with its option ROM"),
          app.add_flag("--second-disk", shape.second_disk, "An empty second disk")};
}

}  // namespace ingot::cli
