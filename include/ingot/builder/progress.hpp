// How long work tells that it is alive. Libraries call it; only cli/ prints.
#pragma once

#include <cstdint>
#include <string_view>

namespace ingot::builder {

class Progress {
 public:
  virtual ~Progress() = default;
  /// A step begins; `detail` says from what.
  virtual void step(std::string_view name, std::string_view detail) = 0;
  /// Of the current step; total 0 when unknown. May be called often.
  virtual void at(std::uint64_t done, std::uint64_t total) = 0;
  /// The current step was answered from the cache.
  virtual void cached() = 0;
};
/// Says nothing.
Progress& silent_progress();

}  // namespace ingot::builder
