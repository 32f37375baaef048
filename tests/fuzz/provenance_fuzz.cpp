#include "fuzz.hpp"
#include "ingot/codec/provenance.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto artifacts = codec::decode_provenance_subjects(Bytes(data, size));
  if (!artifacts) return 0;
  for (const auto& artifact : *artifacts)
    FUZZ_REQUIRE(artifact.sha256.size() == 64 && !artifact.name.empty() &&
                 artifact.name.find('/') == std::string::npos);
  return 0;
}
