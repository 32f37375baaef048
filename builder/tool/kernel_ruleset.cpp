#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/segment.hpp"

namespace ingot::builder {

// One nft in a namespace that ends with it. Its interactive mode takes commands one by one, so the listing comes from
// the kernel; from a file, nft would list what it has just parsed itself.
Result<Buffer> ruleset_json_of_kernel(const std::string& text) {
  const auto folder = TRY(TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-nft-"));
  const auto file = folder.path() + "/ruleset.nft";
  TRY(write_file(file, as_bytes(text)));
  Command command;
  command.argv = {"unshare", "--net"};
  if (::geteuid() != 0) command.argv.insert(command.argv.end(), {"--user", "--map-root-user"});
  command.argv.insert(command.argv.end(), {"nft", "--json", "--interactive"});
  const auto commands = fmt::format("include \"{}\"\nlist ruleset\n", file);
  command.standard_input = [&](const auto& write) { return write(as_bytes(commands)); };
  command.timeout_seconds = 60;
  auto done = TRY(run_checked(command));
  if (!done.error_tail.empty())
    return fail(ErrorCode::malformed, fmt::format("nft does not take the ruleset: {}", done.error_tail));
  return std::move(done.output);
}

Result<codec::NftRuleset> ruleset_of_kernel(const std::string& text) {
  return codec::decode_nft(TRY(ruleset_json_of_kernel(text)));
}

}  // namespace ingot::builder
