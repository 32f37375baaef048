// Parts of the report that the agent writes itself because the files hold more than anybody needs to know.
#pragma once

#include <string>

#include "ingot/base/result.hpp"

namespace ingot::agent {

/// Each user of /etc/passwd: "NAME<TAB>uid N<TAB>gid N<TAB>shell PATH<TAB>password locked|empty|set". The hash itself
/// goes nowhere.
Result<std::string> report_accounts();
/// Each group that has members: "NAME<TAB>member USER...".
Result<std::string> report_groups();
/// Each file and link under /etc: "PATH<TAB>mode 0644<TAB>owner 0:0<TAB>sha256 HEX" or "<TAB>link TARGET". Of passwords
/// and private keys no digest: one could be guessed from it.
Result<std::string> report_files();
/// "enforce<TAB>1", and each policy of IPE (Documentation/admin-guide/LSM/ipe.rst): "policy NAME<TAB>version
/// V<TAB>active 1<TAB>sha256 HEX" of the signed policy.
Result<std::string> report_ipe();

}  // namespace ingot::agent
