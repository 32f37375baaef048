#include <algorithm>

#include "fuzz.hpp"
#include "ingot/codec/tpm_object.hpp"

using namespace ingot;

// None of these formats has two ways to say one thing, so that what is decoded is encoded to the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  const auto same = [&](const Buffer& encoded) {
    return std::equal(encoded.begin(), encoded.end(), bytes.begin(), bytes.end());
  };
  if (const auto quote = codec::decode_tpm_quote(bytes)) FUZZ_REQUIRE(same(codec::encode_tpm_quote(*quote)));
  if (const auto signature = codec::decode_tpm_signature(bytes))
    FUZZ_REQUIRE(same(codec::encode_tpm_signature(*signature)));
  if (const auto object = codec::decode_tpm_public(bytes)) {
    FUZZ_REQUIRE(same(codec::encode_tpm_public(*object)));
    (void)codec::public_key(*object);
    FUZZ_REQUIRE(codec::object_name(bytes).has_value());
  }
  if (const auto index = codec::decode_tpm_nv_public(bytes)) FUZZ_REQUIRE(same(codec::encode_tpm_nv_public(*index)));
  if (const auto object = codec::decode_tpm_sealed_public(bytes))
    FUZZ_REQUIRE(same(codec::encode_tpm_sealed_public(*object)));
  return 0;
}
