#include "target.hpp"

#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/check/target.hpp"

namespace ingot::agent {
namespace {

constexpr std::uint64_t file_cap_bytes = 4u << 20;

}  // namespace

Result<std::string> run_target(const TargetOptions& options) {
  const auto ranges = TRY(read_file(options.ranges, file_cap_bytes));
  Buffer nodes;
  if (std::error_code ignored; !options.nodes.empty() && std::filesystem::exists(options.nodes, ignored))
    nodes = TRY(read_file(options.nodes, file_cap_bytes));
  if (options.name.empty()) {
    TRY_IN(options.nodes, check::check_nodes(as_text(nodes), as_text(ranges)));
    return std::string{};
  }
  return to_text(TRY(check::find_target(options.name, as_text(ranges), as_text(nodes)))) + "\n";
}

}  // namespace ingot::agent
