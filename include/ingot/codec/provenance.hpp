// What a build's provenance says of its files: in-toto statement v1 with the SLSA provenance v1 predicate.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

inline constexpr const char* provenance_predicate_type = "https://slsa.dev/provenance/v1";

/// One file of a build's output folder with its digest.
struct BuildArtifact {
  std::string name;    ///< file name without a folder
  std::string sha256;  ///< hexadecimal
};
/// The subjects of a statement. Errors (malformed): another statement or predicate type, a name with a folder, a
/// subject without a SHA-256 digest.
Result<std::vector<BuildArtifact>> decode_provenance_subjects(Bytes json);

}  // namespace ingot::codec
