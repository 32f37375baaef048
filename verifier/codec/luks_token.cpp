#include "ingot/codec/luks_token.hpp"

#include "ingot/codec/luks_header.hpp"
#include "json.hpp"

namespace ingot::codec {
namespace {

// tpm2-tss, "IESYSC_KEY_RSRC" and "IESYSC_NV_RSRC": what follows the Name.
constexpr std::uint32_t kind_key = 1;
constexpr std::uint32_t kind_nv_index = 2;

Buffer save(std::uint32_t handle, Bytes name, std::uint32_t kind, Bytes area) {
  Writer out;
  out.u32be(handle);
  encode_tpm2b(out, name);
  out.u32be(kind);
  encode_tpm2b(out, area);
  return out.take();
}

std::string blob(const SealedPart& part) {
  return to_base64(Writer{}.bytes(part.object_private).bytes(part.object_public).bytes(part.encrypted_seed).view());
}

/// systemd 257 writes one part as a text and more as a list; older releases read the text alone.
template <typename Render>
json::Value one_or_list(const std::vector<SealedPart>& parts, Render render) {
  if (parts.size() == 1) return render(parts.front());
  auto list = json::Value::array();
  for (const auto& part : parts) list.push_back(render(part));
  return list;
}

}  // namespace

std::string encode_luks_token(const LuksToken& token) {
  json::Value out = {
      {"type", luks_tpm_type},
      {"keyslots", {std::to_string(token.key_slot)}},
      {"tpm2-blob", one_or_list(token.parts, blob)},
      {"tpm2-pcrs", token.pcrs},
      {"tpm2-pcr-bank", to_text(token.bank)},
      {"tpm2-primary-alg", token.storage_key_alg == TpmAlg::rsa ? "rsa" : "ecc"},
      {"tpm2-policy-hash", one_or_list(token.parts, [](const auto& part) { return to_hex(part.policy); })},
      {"tpm2_srk", to_base64(token.storage_key)}};
  if (!token.signed_pcrs.empty()) {
    out["tpm2_pubkey_pcrs"] = token.signed_pcrs;
    out["tpm2_pubkey"] = to_base64(as_bytes(token.policy_key_pem));
  }
  if (!token.policy_index.empty()) {
    out["tpm2_pcrlock"] = true;
    out["tpm2_pcrlock_nv"] = to_base64(token.policy_index);
  }
  return out.dump();
}

Result<Buffer> saved_handle(std::uint32_t persistent_handle, const TpmPublic& key) {
  const auto area = encode_tpm_public(key);
  return save(persistent_handle, TRY(object_name(area)), kind_key, area);
}

Buffer saved_handle(const TpmNvPublic& index) {
  return save(index.index, nv_name(index), kind_nv_index, encode_tpm_nv_public(index));
}

}  // namespace ingot::codec
