#include "ingot/builder/cache.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>

#include "ingot/builder/process.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::builder {

StepInputs& StepInputs::add(std::string name, std::string value) {
  inputs_.emplace_back(std::move(name), std::move(value));
  return *this;
}

std::string StepInputs::key() const {
  // Lengths in front make the text unambiguous whatever a value contains.
  std::string text = fmt::format("{}:{}", step_.size(), step_);
  for (const auto& [name, value] : inputs_) text += fmt::format("{}:{}{}:{}", name.size(), name, value.size(), value);
  return crypto::sha256_hex(as_bytes(text));
}

Result<std::string> StepCache::get(const StepInputs& inputs, Progress& progress,
                                   const std::function<Result<void>(const std::string&)>& make) {
  namespace fs = std::filesystem;
  const std::string folder = folder_ + "/steps/" + inputs.step();
  const std::string path = fmt::format("{}/{}", folder, inputs.key());
  std::error_code ec;
  if (fs::exists(path, ec)) {
    progress.cached();
    return path;
  }
  fs::create_directories(folder, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", folder), ec.value()));
  const auto scratch = TRY(TemporaryFolder::create(folder, ".making-"));
  const std::string made = scratch.path() + "/result";
  TRY_IN(inputs.step(), make(made));
  // Another build may have been faster; its result is the same bytes, so replacing it is harmless.
  fs::rename(made, path, ec);
  if (ec) return fail(io_error(fmt::format("keeping {}", path), ec.value()));
  return path;
}

}  // namespace ingot::builder
