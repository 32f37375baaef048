// What the kernel of this node swaps to.
#pragma once

#include <string>

#include "ingot/base/result.hpp"

namespace ingot::agent {

/// Each row of /proc/swaps: "PATH<TAB>partition<TAB>label NAME<TAB>mapped NAME<TAB>uuid UUID", or "PATH<TAB>file".
/// `mapped` and `uuid` are the device mapper's, by which cryptsetup tells its own ("CRYPT-PLAIN-swap"), and only a
/// mapped device has them; `label` is that of the partition, or of each partition below a mapped device. No cipher: the
/// kernel tells it to nobody without CAP_SYS_ADMIN. `root` is put before all paths that are read. Errors: missing, io;
/// malformed.
Result<std::string> report_swaps(const std::string& root = {});

}  // namespace ingot::agent
