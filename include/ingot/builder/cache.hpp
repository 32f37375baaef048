// Results of steps, kept by the digest of their inputs. An entry is a file that appears whole or not at all.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/builder/progress.hpp"

namespace ingot::builder {

/// Named inputs of one step; the key is a digest over all of them, in the order in which they were added.
class StepInputs {
 public:
  explicit StepInputs(std::string step) : step_(std::move(step)) {}
  StepInputs& add(std::string name, std::string value);
  [[nodiscard]] const std::string& step() const { return step_; }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const { return inputs_; }
  /// Hexadecimal SHA-256.
  [[nodiscard]] std::string key() const;

 private:
  std::string step_;
  std::vector<std::pair<std::string, std::string>> inputs_;
};

class StepCache {
 public:
  explicit StepCache(std::string folder) : folder_(std::move(folder)) {}
  /// The path of the step's result; `make` writes it to the path it is given when the cache does not have it yet.
  Result<std::string> get(const StepInputs& inputs, Progress& progress,
                          const std::function<Result<void>(const std::string&)>& make);

 private:
  std::string folder_;
};

}  // namespace ingot::builder
