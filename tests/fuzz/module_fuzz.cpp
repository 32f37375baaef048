#include "fuzz.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_info.hpp"
#include "ingot/codec/module_signature.hpp"
#include "ingot/crypto/detached.hpp"

using namespace ingot;

// A file as `ingot sign module` is given one: compressed or not, a module or not, signed or not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t cap_bytes = 1u << 20;
  const Bytes file(data, size);
  const auto unpacked = codec::decompress_module(file, codec::module_compression(file), cap_bytes);
  if (!unpacked) return 0;
  FUZZ_REQUIRE(unpacked->size() <= cap_bytes);
  (void)codec::decode_module_info(*unpacked);
  const auto parts = codec::decode_module_signature(*unpacked);
  if (!parts || !*parts) return 0;
  // One signature has one encoding.
  FUZZ_REQUIRE(codec::append_module_signature((*parts)->content, (*parts)->pkcs7) == *unpacked);
  const auto bare = codec::without_module_signatures(*unpacked);
  FUZZ_REQUIRE(!bare || !codec::decode_module_signature(*bare).value());
  if (const auto signer = crypto::detached_signer((*parts)->pkcs7))
    FUZZ_REQUIRE(signer->signature.size() <= (*parts)->pkcs7.size());
  return 0;
}
