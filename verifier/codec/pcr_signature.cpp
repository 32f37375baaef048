#include "ingot/codec/pcr_signature.hpp"

#include "json.hpp"

namespace ingot::codec {
namespace {

constexpr const char* member_name = "ingot";
constexpr std::size_t policy_bytes = 32;
constexpr std::uint64_t most_generations = UINT32_MAX;

}  // namespace

std::string encode_release_signature(const ReleaseSignature& release) {
  const json::Value out = {
      {"generation", release.generation}, {"pol", to_hex(release.policy)}, {"sig", to_base64(release.signature)}};
  return fmt::format("\"{}\":{}", member_name, out.dump());
}

Result<ReleaseSignature> decode_release_signature(std::string_view pcrsig) {
  const auto document = TRY(json::parse(as_bytes(pcrsig)));
  const auto* member = json::find(document, member_name);
  if (member == nullptr)
    return fail(ErrorCode::missing, "it says no generation of the release", "build the image with this Ingot");
  TRY_IN(member_name, json::only(*member, {"generation", "pol", "sig"}));
  ReleaseSignature out;
  const auto generation = TRY_IN(member_name, json::number(*member, "generation"));
  out.policy = TRY_IN(member_name, json::hex(*TRY_IN(member_name, json::member(*member, "pol")), "pol"));
  out.signature = TRY_IN(member_name, json::optional_base64(*member, "sig"));
  if (generation == 0 || generation > most_generations || out.policy.size() != policy_bytes || out.signature.empty())
    return fail(ErrorCode::malformed, fmt::format("{}: no generation, policy and signature", member_name));
  out.generation = static_cast<std::uint32_t>(generation);
  return out;
}

}  // namespace ingot::codec
