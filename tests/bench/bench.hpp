// What the parts of the bench have in common.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "ingot/base/result.hpp"

namespace ingot::bench {

struct Bench {
  std::string ingot;   ///< the program under measurement
  std::string source;  ///< the checkout
  std::string work;    ///< scratch, kept: caches make the next run shorter
  std::string peers;   ///< tests/bench/peers

  [[nodiscard]] std::string file(std::string_view name) const { return work + "/" + std::string(name); }
};

/// One line of the table.
void row(std::string_view what, std::string_view ours, std::string_view theirs, std::string_view ratio);

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

/// Verdicts a second on one core, beside what others need for a part of it.
Result<void> bench_verify(const Bench& bench);
/// The proof of segmentation: shipped roles, and 50 roles of 2,000 rules.
Result<void> bench_segment(const Bench& bench);
/// Volume headers a second on one core.
Result<void> bench_seal(const Bench& bench);
/// One signature over a UKI.
Result<void> bench_sign(const Bench& bench);
/// Resident memory over a million verdicts.
Result<void> bench_verify_memory();

}  // namespace ingot::bench
