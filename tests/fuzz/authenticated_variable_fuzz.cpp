#include "fuzz.hpp"
#include "ingot/codec/authenticated_variable.hpp"
#include "ingot/codec/certificate_names.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto update = codec::decode_authenticated_update(Bytes(data, size));
  if (!update) return 0;
  FUZZ_REQUIRE(codec::decode_authenticated_update(codec::encode_authenticated_update(*update)) == *update);
  const auto parts = codec::decode_signed_data(update->signed_data);
  if (!parts) return 0;
  (void)codec::signer_certificate(*parts);
  for (const auto certificate : parts->certificates) {
    const auto names = codec::decode_certificate_names(certificate);
    if (!names) continue;
    (void)codec::name_text(names->issuer);
    (void)codec::name_text(names->subject);
  }
  return 0;
}
