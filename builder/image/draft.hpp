// Results that a tool writes: under a name of ours first, then whole under their own.
#pragma once

#include <string>

#include "ingot/builder/process.hpp"

namespace ingot::builder::detail {

/// A private folder beside `out_path` (so that renaming stays within one file system), for publish_draft().
Result<TemporaryFolder> draft_folder(const std::string& out_path);

/// Makes `draft` durable, readable as any output (0644), and gives it its own name.
Result<void> publish_draft(const std::string& draft, const std::string& out_path);

}  // namespace ingot::builder::detail
