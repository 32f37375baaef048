// An output folder that is replaced as a whole: made beside, exchanged in one step.
#pragma once

#include <string>

#include "ingot/base/result.hpp"

namespace ingot::builder {

class OutputFolder {
 public:
  /// Locks `path` (made when missing) and makes a work folder beside it; clears away what killed builds left there.
  /// Errors: busy when another build holds the lock; usage when `path` holds something that no build made.
  static Result<OutputFolder> open(const std::string& path);
  OutputFolder(OutputFolder&& other) noexcept;
  OutputFolder& operator=(OutputFolder&&) = delete;
  ~OutputFolder();

  [[nodiscard]] const std::string& work() const { return work_; }
  [[nodiscard]] std::string file(std::string_view name) const { return work_ + "/" + std::string(name); }
  Result<void> commit();

 private:
  OutputFolder(int lock, std::string path, std::string work)
      : lock_(lock), path_(std::move(path)), work_(std::move(work)) {}
  int lock_;
  std::string path_;
  std::string work_;
};

}  // namespace ingot::builder
