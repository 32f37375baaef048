// A release on machines whose Secure Boot variables are changed: does it start, and what does it measure?
#pragma once

#include <string>

#include "ingot/base/source.hpp"
#include "ingot/measure/variable_update.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::check {

struct ReleaseAfter {
  bool boots = false;
  std::string reason;  ///< by what it starts, or everything that keeps it from it; one line
  Baseline baseline;   ///< with the authority in PCR 7 that lets it start; as it was when it does not
  Digests pcr_7;       ///< value that a boot ends with; none when it does not start
};
/// `uki`: the file that the baseline is of. `platform`: of these variables (measure::with_variables()); null: PCR 7 is
/// taken to have them and nothing else before the separator, as OVMF measures it. Errors: another file than the
/// baseline's (crypto); a baseline whose PCR 7 is not one authority (unsupported); check::judge_image()'s.
Result<ReleaseAfter> release_after(const ByteSource& uki, const Baseline& baseline,
                                   const measure::EnrolledVariables& variables, const Platform* platform);

}  // namespace ingot::check
