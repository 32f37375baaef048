#include <array>

#include "ingot/base/writer.hpp"
#include "ingot/codec/der.hpp"
#include "ingot/signer/sign.hpp"
#include "ingot/signer/variables.hpp"

namespace ingot::signer {

Result<Buffer> sign_root_hash(std::string_view root_hash, const SigningKey& key) {
  // 1.2.840.113549.1.7.2, signedData
  constexpr std::array<std::uint8_t, 11> signed_data = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                                        0xF7, 0x0D, 0x01, 0x07, 0x02};
  const auto digest = parse_hex(root_hash);
  if (!digest) return fail(ErrorCode::internal, "a root hash that is not hexadecimal");
  const auto content = TRY(sign_detached({"root hash " + std::string(root_hash), *digest}, as_bytes(root_hash), key));
  return codec::encode_der(codec::der_sequence,
                           Writer{}.bytes(signed_data).bytes(codec::encode_der(codec::der_context_0, content)).view());
}

}  // namespace ingot::signer
