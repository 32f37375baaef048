// Measurements of files as a kernel would list them.
#pragma once

#include <stdexcept>
#include <string>

#include "ingot/codec/ima.hpp"

namespace ingot::test {

inline codec::ImaEntry ima_entry(const std::string& template_name, const std::string& path, Buffer sha256) {
  codec::ImaEntry entry;
  entry.template_name = template_name;
  entry.path = path;
  entry.digest_alg = "sha256";
  entry.digest = std::move(sha256);
  if (!codec::seal_ima_entry(entry)) throw std::runtime_error("sealing an IMA entry");
  return entry;
}

}  // namespace ingot::test
