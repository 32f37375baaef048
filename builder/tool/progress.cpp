#include "ingot/builder/progress.hpp"

namespace ingot::builder {
namespace {

class SilentProgress final : public Progress {
 public:
  void step(std::string_view, std::string_view) override {}
  void at(std::uint64_t, std::uint64_t) override {}
  void cached() override {}
};

}  // namespace

Progress& silent_progress() {
  static SilentProgress progress;
  return progress;
}

}  // namespace ingot::builder
