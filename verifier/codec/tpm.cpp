#include "ingot/codec/tpm.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/crypto/hash.hpp"
#include "tpm_parts.hpp"

namespace ingot::codec {
namespace detail {

HashAlg read_hash_alg(Reader& in) {
  const auto alg = static_cast<HashAlg>(in.u16be());
  if (in.ok() && digest_size_bytes(alg) == 0) in.fail_with(fmt::format("unknown hash algorithm {}", to_text(alg)));
  return alg;
}

Buffer name_of(HashAlg alg, Bytes area) {
  return Writer{}.u16be(static_cast<std::uint16_t>(alg)).bytes(crypto::hash(alg, area)).take();
}

}  // namespace detail
namespace {

using detail::digest_cap_bytes;
using detail::read_hash_alg;

constexpr std::size_t pcr_select_octets = 3;  // PC Client: 24 PCRs
constexpr std::size_t name_cap_bytes = 66;    // TPM_ALG_ID and the largest digest
constexpr std::size_t data_cap_bytes = 66;    // TPM2B_DATA holds a TPMT_HA
constexpr std::size_t rsa_cap_bytes = 1024;   // RSA-8192
constexpr std::size_t ecc_cap_bytes = 66;     // P-521

/// Asymmetric schemes whose only detail is a hash: of signatures, of OAEP and of ECDH.
bool has_hash_detail(TpmAlg alg) {
  return alg == TpmAlg::rsassa || alg == TpmAlg::rsapss || alg == TpmAlg::ecdsa || alg == TpmAlg::oaep ||
         alg == TpmAlg::ecdh;
}

void encode_scheme(Writer& out, const TpmScheme& scheme) {
  out.u16be(static_cast<std::uint16_t>(scheme.alg));
  if (scheme.alg != TpmAlg::null) out.u16be(static_cast<std::uint16_t>(scheme.hash));
}

TpmScheme read_scheme(Reader& in) {
  TpmScheme scheme;
  scheme.alg = static_cast<TpmAlg>(in.u16be());
  if (scheme.alg == TpmAlg::null) return scheme;
  if (in.ok() && !has_hash_detail(scheme.alg))
    in.fail_with(fmt::format("scheme 0x{:04x} is not handled", static_cast<std::uint16_t>(scheme.alg)));
  scheme.hash = read_hash_alg(in);
  return scheme;
}

void encode_symmetric(Writer& out, const TpmSymmetric& symmetric) {
  out.u16be(static_cast<std::uint16_t>(symmetric.alg));
  if (symmetric.alg != TpmAlg::null) out.u16be(symmetric.key_bits).u16be(static_cast<std::uint16_t>(symmetric.mode));
}

TpmSymmetric read_symmetric(Reader& in) {
  TpmSymmetric symmetric;
  symmetric.alg = static_cast<TpmAlg>(in.u16be());
  if (symmetric.alg == TpmAlg::null) return symmetric;
  if (in.ok() && symmetric.alg != TpmAlg::aes) in.fail_with("a symmetric algorithm other than AES");
  symmetric.key_bits = in.u16be();
  symmetric.mode = static_cast<TpmAlg>(in.u16be());
  return symmetric;
}

void encode_key(Writer& out, const TpmRsa& key) {
  encode_symmetric(out, key.symmetric);
  encode_scheme(out, key.scheme);
  out.u16be(key.key_bits).u32be(key.exponent);
  encode_tpm2b(out, key.modulus);
}

void encode_key(Writer& out, const TpmEcc& key) {
  encode_symmetric(out, key.symmetric);
  encode_scheme(out, key.scheme);
  out.u16be(static_cast<std::uint16_t>(key.curve));
  out.u16be(static_cast<std::uint16_t>(TpmAlg::null));  // TPMT_KDF_SCHEME, which no TPM uses with an ECC object
  encode_tpm2b(out, key.x);
  encode_tpm2b(out, key.y);
}

TpmRsa read_rsa(Reader& in) {
  TpmRsa key;
  key.symmetric = read_symmetric(in);
  key.scheme = read_scheme(in);
  key.key_bits = in.u16be();
  key.exponent = in.u32be();
  key.modulus = to_buffer(decode_tpm2b(in, rsa_cap_bytes));
  return key;
}

TpmEcc read_ecc(Reader& in) {
  TpmEcc key;
  key.symmetric = read_symmetric(in);
  key.scheme = read_scheme(in);
  key.curve = static_cast<TpmCurve>(in.u16be());
  if (static_cast<TpmAlg>(in.u16be()) != TpmAlg::null && in.ok()) in.fail_with("an ECC key with a KDF scheme");
  key.x = to_buffer(decode_tpm2b(in, ecc_cap_bytes));
  key.y = to_buffer(decode_tpm2b(in, ecc_cap_bytes));
  return key;
}

}  // namespace

void encode_tpm2b(Writer& out, Bytes value) { out.u16be(static_cast<std::uint16_t>(value.size())).bytes(value); }

Buffer encode_tpm2b(Bytes value) {
  Writer out;
  encode_tpm2b(out, value);
  return out.take();
}

Bytes decode_tpm2b(Reader& in, std::size_t cap) {
  const std::size_t size = in.u16be();
  if (in.ok() && size > cap) in.fail_with(fmt::format("a field of {} bytes; at most {} fit", size, cap));
  return in.bytes(size);
}

// --- TPML_PCR_SELECTION

void encode_pcr_selections(Writer& out, const PcrSelections& selections) {
  out.u32be(static_cast<std::uint32_t>(selections.size()));
  for (const auto& selection : selections) {
    Buffer bits(pcr_select_octets, 0);
    for (const auto pcr : selection.pcrs)
      if (pcr < pcr_count) bits[pcr / 8] = static_cast<std::uint8_t>(bits[pcr / 8] | 1u << pcr % 8);
    out.u16be(static_cast<std::uint16_t>(selection.bank)).u8(pcr_select_octets).bytes(bits);
  }
}

Buffer encode_pcr_selections(const PcrSelections& selections) {
  Writer out;
  encode_pcr_selections(out, selections);
  return out.take();
}

PcrSelections decode_pcr_selections(Reader& in) {
  PcrSelections selections;
  const std::uint32_t count = in.u32be();
  if (in.ok() && count > pcr_selection_cap)
    in.fail_with(fmt::format("{} PCR selections; at most {}", count, pcr_selection_cap));
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    PcrSelection selection;
    selection.bank = read_hash_alg(in);
    const std::uint8_t octets = in.u8();
    if (in.ok() && octets != pcr_select_octets)
      in.fail_with(fmt::format("a PCR selection of {} octets instead of 3", octets));
    const Bytes bits = in.bytes(octets);
    for (PcrIndex pcr = 0; pcr < bits.size() * 8; ++pcr)
      if ((bits[pcr / 8] >> pcr % 8 & 1) != 0) selection.pcrs.push_back(pcr);
    selections.push_back(std::move(selection));
  }
  return in.ok() ? selections : PcrSelections{};
}

// --- TPMT_SIGNATURE

Buffer encode_tpm_signature(const TpmSignature& signature) {
  Writer out;
  encode_scheme(out, signature.scheme);
  if (signature.scheme.alg == TpmAlg::ecdsa) {
    encode_tpm2b(out, signature.r);
    encode_tpm2b(out, signature.s);
  } else {
    encode_tpm2b(out, signature.rsa);
  }
  return out.take();
}

Result<TpmSignature> decode_tpm_signature(Bytes data) {
  Reader in{data};
  TpmSignature signature;
  signature.scheme = read_scheme(in);
  if (in.ok() && signature.scheme.alg == TpmAlg::null) in.fail_with("no signature: the scheme is TPM_ALG_NULL");
  if (signature.scheme.alg == TpmAlg::oaep || signature.scheme.alg == TpmAlg::ecdh)
    in.fail_with("no signature: the scheme is one for encryption");
  if (signature.scheme.alg == TpmAlg::ecdsa) {
    signature.r = to_buffer(decode_tpm2b(in, ecc_cap_bytes));
    signature.s = to_buffer(decode_tpm2b(in, ecc_cap_bytes));
  } else {
    signature.rsa = to_buffer(decode_tpm2b(in, rsa_cap_bytes));
  }
  return in.finish(std::move(signature));
}

// --- TPMT_PUBLIC

Buffer encode_tpm_public(const TpmPublic& object) {
  Writer out;
  out.u16be(static_cast<std::uint16_t>(std::holds_alternative<TpmRsa>(object.key) ? TpmAlg::rsa : TpmAlg::ecc));
  out.u16be(static_cast<std::uint16_t>(object.name_alg)).u32be(object.attributes);
  encode_tpm2b(out, object.auth_policy);
  std::visit([&](const auto& key) { encode_key(out, key); }, object.key);
  return out.take();
}

Result<TpmPublic> decode_tpm_public(Bytes data) {
  Reader in{data};
  TpmPublic object;
  const auto type = static_cast<TpmAlg>(in.u16be());
  if (in.ok() && type != TpmAlg::rsa && type != TpmAlg::ecc)
    in.fail_with(
        fmt::format("an object of type 0x{:04x}; RSA and ECC keys are handled", static_cast<std::uint16_t>(type)));
  object.name_alg = read_hash_alg(in);
  object.attributes = in.u32be();
  object.auth_policy = to_buffer(decode_tpm2b(in, digest_cap_bytes));
  if (type == TpmAlg::rsa)
    object.key = read_rsa(in);
  else
    object.key = read_ecc(in);
  return in.finish(std::move(object));
}

Result<Buffer> object_name(Bytes tpmt_public) {
  const auto object = TRY(decode_tpm_public(tpmt_public));
  return detail::name_of(object.name_alg, tpmt_public);
}

TpmPublic attestation_key_template(KeyKind kind) {
  namespace attribute = object_attribute;
  TpmPublic object;
  object.attributes = attribute::fixed_tpm | attribute::fixed_parent | attribute::sensitive_data_origin |
                      attribute::user_with_auth | attribute::no_da | attribute::restricted | attribute::sign_encrypt;
  if (kind == KeyKind::rsa)
    object.key = TpmRsa{{}, {TpmAlg::rsassa, HashAlg::sha256}, 2048, 0, {}};
  else
    object.key = TpmEcc{{}, {TpmAlg::ecdsa, HashAlg::sha256}, TpmCurve::p256, {}, {}};
  return object;
}

std::vector<EndorsementKey> endorsement_keys() {
  namespace attribute = object_attribute;
  constexpr std::uint32_t low = attribute::fixed_tpm | attribute::fixed_parent | attribute::sensitive_data_origin |
                                attribute::admin_with_policy | attribute::restricted | attribute::decrypt;
  constexpr std::uint32_t high = low | attribute::user_with_auth;
  const auto policy = [](std::string_view hex) { return *parse_hex(hex); };
  const auto policy_a = policy("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa");
  const auto policy_b = policy("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0");
  const auto policy_b_384 =
      policy("b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12");
  const TpmSymmetric aes_128{TpmAlg::aes, 128, TpmAlg::cfb}, aes_256{TpmAlg::aes, 256, TpmAlg::cfb};
  // The low range fixes "unique" to zeroes, the high range leaves it empty.
  const TpmEcc low_p256{aes_128, {}, TpmCurve::p256, Buffer(32), Buffer(32)};
  const TpmRsa low_rsa{aes_128, {}, 2048, 0, Buffer(256)};
  return {{0x01C0000A, {HashAlg::sha256, low, policy_a, low_p256}, true},
          {0x01C00002, {HashAlg::sha256, low, policy_a, low_rsa}, true},
          {0x01C00014, {HashAlg::sha256, high, policy_b, TpmEcc{aes_128, {}, TpmCurve::p256, {}, {}}}, false},
          {0x01C00016, {HashAlg::sha384, high, policy_b_384, TpmEcc{aes_256, {}, TpmCurve::p384, {}, {}}}, false},
          {0x01C00012, {HashAlg::sha256, high, policy_b, TpmRsa{aes_128, {}, 2048, 0, {}}}, false}};
}

bool is_made_from(const TpmPublic& object, const TpmPublic& key_template) {
  auto without_key = [](TpmPublic one) {
    if (auto* rsa = std::get_if<TpmRsa>(&one.key)) rsa->modulus.clear();
    if (auto* ecc = std::get_if<TpmEcc>(&one.key)) ecc->x.clear(), ecc->y.clear();
    return one;
  };
  return without_key(object) == without_key(key_template);
}

// --- TPMS_ATTEST

Buffer encode_tpm_quote(const TpmQuote& quote) {
  Writer out;
  out.u32be(tpm_generated_value).u16be(tpm_st_attest_quote);
  encode_tpm2b(out, quote.qualified_signer);
  encode_tpm2b(out, quote.extra_data);
  out.u64be(quote.clock.clock_ms)
      .u32be(quote.clock.reset_count)
      .u32be(quote.clock.restart_count)
      .u8(quote.clock.safe ? 1 : 0);
  out.u64be(quote.firmware_version);
  encode_pcr_selections(out, quote.selections);
  encode_tpm2b(out, quote.pcr_digest);
  return out.take();
}

Result<TpmQuote> decode_tpm_quote(Bytes attest) {
  Reader in{attest};
  const std::uint32_t magic = in.u32be();
  if (in.ok() && magic != tpm_generated_value)
    in.fail_with(fmt::format("the magic is 0x{:08x} instead of TPM_GENERATED_VALUE: no TPM made this", magic));
  const std::uint16_t type = in.u16be();
  if (in.ok() && type != tpm_st_attest_quote)
    in.fail_with(fmt::format("an attestation of type 0x{:04x}, not a quote", type));
  TpmQuote quote;
  quote.qualified_signer = to_buffer(decode_tpm2b(in, name_cap_bytes));
  quote.extra_data = to_buffer(decode_tpm2b(in, data_cap_bytes));
  quote.clock.clock_ms = in.u64be();
  quote.clock.reset_count = in.u32be();
  quote.clock.restart_count = in.u32be();
  const std::uint8_t safe = in.u8();
  if (in.ok() && safe > 1) in.fail_with("TPMI_YES_NO is neither YES nor NO");
  quote.clock.safe = safe == 1;
  quote.firmware_version = in.u64be();
  quote.selections = decode_pcr_selections(in);
  quote.pcr_digest = to_buffer(decode_tpm2b(in, digest_cap_bytes));
  return in.finish(std::move(quote));
}

Result<Buffer> quoted_pcr_digest(HashAlg alg, const PcrSelections& selections, const PcrValues& pcrs) {
  crypto::Hasher hasher(alg);
  for (const auto& selection : selections) {
    const auto bank = pcrs.find(selection.bank);
    for (const auto pcr : selection.pcrs) {
      if (bank == pcrs.end() || !bank->second.contains(pcr))
        return fail(ErrorCode::missing,
                    fmt::format("no value for PCR {} of the {} bank", pcr, to_text(selection.bank)));
      hasher.update(bank->second.at(pcr));
    }
  }
  return hasher.finish();
}

}  // namespace ingot::codec
