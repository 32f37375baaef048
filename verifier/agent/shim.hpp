// The variables that are shim's, as firmware shows them to a running system.
#pragma once

#include <string>

#include "efivars.hpp"

namespace ingot::agent {

/// Each variable below shim's GUID, sorted: "NAME<TAB>kept|of this boot<TAB>N bytes<TAB>sha256 HEX"; of MokListRT and
/// MokListXRT each entry, too ("certificate HEX SUBJECT", "digest HEX", or its type's GUID and size), of a variable of
/// one byte its "value". Empty where there is none. Those that boot services alone may see are not seen here.
/// Errors: no EFI variables (missing), more than 256 of shim's (limit), a file that is none (malformed).
Result<std::string> report_shim(const std::string& efivars = default_efivars);

}  // namespace ingot::agent
