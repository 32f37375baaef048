#include "ingot/codec/tpm_object.hpp"

#include <fmt/format.h>

#include "ingot/crypto/hash.hpp"
#include "tpm_parts.hpp"

namespace ingot::codec {
namespace {

using detail::digest_cap_bytes;
using detail::name_of;

Buffer size_field(Bytes value) { return Writer{}.u16be(static_cast<std::uint16_t>(value.size())).take(); }

}  // namespace

Buffer encode_tpm_nv_public(const TpmNvPublic& index) {
  Writer out;
  out.u32be(index.index).u16be(static_cast<std::uint16_t>(index.name_alg)).u32be(index.attributes);
  encode_tpm2b(out, index.auth_policy);
  return out.u16be(index.data_size_bytes).take();
}

Result<TpmNvPublic> decode_tpm_nv_public(Bytes data) {
  Reader in{data};
  TpmNvPublic index;
  index.index = in.u32be();
  // Part 2, "TPM_HT": the first octet of an NV index.
  if (in.ok() && index.index >> 24 != 0x01)
    in.fail_with(fmt::format("the handle 0x{:08x} is none of an NV index", index.index));
  index.name_alg = detail::read_hash_alg(in);
  index.attributes = in.u32be();
  index.auth_policy = to_buffer(decode_tpm2b(in, digest_cap_bytes));
  index.data_size_bytes = in.u16be();
  return in.finish(std::move(index));
}

Buffer nv_name(const TpmNvPublic& index) { return name_of(index.name_alg, encode_tpm_nv_public(index)); }

Buffer encode_tpm_sealed_public(const TpmSealedPublic& object) {
  Writer out;
  out.u16be(static_cast<std::uint16_t>(TpmAlg::keyedhash));
  out.u16be(static_cast<std::uint16_t>(object.name_alg)).u32be(object.attributes);
  encode_tpm2b(out, object.auth_policy);
  out.u16be(static_cast<std::uint16_t>(TpmAlg::null));  // TPMT_KEYEDHASH_SCHEME
  encode_tpm2b(out, object.unique);
  return out.take();
}

Result<TpmSealedPublic> decode_tpm_sealed_public(Bytes data) {
  Reader in{data};
  TpmSealedPublic object;
  const auto type = in.u16be();
  if (in.ok() && static_cast<TpmAlg>(type) != TpmAlg::keyedhash)
    in.fail_with(fmt::format("an object of type 0x{:04x}, not sealed data", type));
  object.name_alg = detail::read_hash_alg(in);
  object.attributes = in.u32be();
  object.auth_policy = to_buffer(decode_tpm2b(in, digest_cap_bytes));
  if (static_cast<TpmAlg>(in.u16be()) != TpmAlg::null && in.ok())
    in.fail_with("a keyed hash with a scheme is a key, not sealed data");
  object.unique = to_buffer(decode_tpm2b(in, digest_cap_bytes));
  return in.finish(std::move(object));
}

Buffer sealed_name(const TpmSealedPublic& object) { return name_of(object.name_alg, encode_tpm_sealed_public(object)); }

Buffer sealed_unique(HashAlg name_alg, Bytes seed_value, Bytes data) {
  return crypto::Hasher(name_alg).update(seed_value).update(data).finish();
}

crypto::Secret encode_tpm_sealed_sensitive(Bytes auth_value, Bytes seed_value, Bytes data) {
  const auto type = Writer{}.u16be(static_cast<std::uint16_t>(TpmAlg::keyedhash)).take();
  return crypto::concatenate(
      {type, size_field(auth_value), auth_value, size_field(seed_value), seed_value, size_field(data), data});
}

}  // namespace ingot::codec
