#include "ingot/codec/module_signature.hpp"

#include <fmt/format.h>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::codec {
namespace {

constexpr std::string_view marker = "~Module signature appended~\n";
constexpr std::size_t fields_bytes = 12;
constexpr std::uint8_t id_type_pkcs7 = 2;

}  // namespace

// What lies behind the content: the PKCS#7 message; algo, hash, id_type, signer_len, key_id_len, three bytes of padding
// and the message's size (big-endian); the marker. With PKCS#7 the fields but id_type and size are 0.
Result<std::optional<SignedModuleParts>> decode_module_signature(Bytes file) {
  if (file.size() < marker.size() || as_text(file.last(marker.size())) != marker) return std::nullopt;
  const auto before = file.first(file.size() - marker.size());
  if (before.size() < fields_bytes)
    return fail(ErrorCode::malformed, "the marker of a module's signature, and no signature before it");
  Reader in{before.last(fields_bytes)};
  const auto algorithms = in.u16le();
  const auto id_type = in.u8();
  const auto lengths = in.u16le();
  const auto padding = in.u16le() | in.u8();
  const auto size = in.u32be();
  const auto left = before.size() - fields_bytes;
  if (id_type != id_type_pkcs7)
    return fail(ErrorCode::unsupported, fmt::format("a module's signature of type {}, not PKCS#7 (2)", id_type));
  if (algorithms != 0 || lengths != 0 || padding != 0)
    return fail(ErrorCode::malformed, "the fields of a module's signature are not 0, which the kernel refuses");
  if (size == 0 || size > left)
    return fail(ErrorCode::malformed,
                fmt::format("a module's signature of {} bytes, where {} are before its end", size, left));
  if (size > module_signature_cap_bytes)
    return fail(ErrorCode::limit,
                fmt::format("a module's signature of {} bytes, {} are allowed", size, module_signature_cap_bytes));
  return SignedModuleParts{before.first(left - size), before.subspan(left - size, size)};
}

Buffer append_module_signature(Bytes content, Bytes pkcs7) {
  Writer out;
  out.bytes(content).bytes(pkcs7);
  out.u16le(0).u8(id_type_pkcs7).u16le(0).fill(3).u32be(static_cast<std::uint32_t>(pkcs7.size()));
  return out.text(marker).take();
}

Result<Bytes> without_module_signatures(Bytes file) {
  for (;;) {
    const auto parts = TRY(decode_module_signature(file));
    if (!parts) return file;
    file = parts->content;
  }
}

}  // namespace ingot::codec
