// `[boot]`: what firmware starts, and what is measured then.
#include <fmt/format.h>

#include <algorithm>

#include "choice.hpp"
#include "layer.hpp"

namespace ingot::builder::detail {
namespace {

using Names = std::vector<std::string_view>;

constexpr Choice<BootChain> chains[] = {
    {"uki", BootChain::uki}, {"systemd-boot", BootChain::systemd_boot}, {"shim", BootChain::shim}};
constexpr std::string_view boot_phases[] = {"enter-initrd", "leave-initrd", "sysinit", "ready", "shutdown", "final"};
/// LUKS2 has 32 key slots, and the plan of a rotation three values.
constexpr std::size_t next_pcr_7_cap = 8;

Result<void> apply_phases(std::vector<std::string>& into, const LocatedTexts& phases, const TextLocation& at) {
  if (phases.empty()) return wrong(at, "phases is empty, expected at least \"enter-initrd\"");
  const Names known(std::begin(boot_phases), std::end(boot_phases));
  into.clear();
  for (const auto& phase : phases) {
    if (into.size() < known.size() && phase.value == known[into.size()]) {
      into.push_back(phase.value);
      continue;
    }
    if (std::find(known.begin(), known.end(), phase.value) != known.end())
      return wrong(phase.at, fmt::format("the phase \"{}\" is out of order", phase.value),
                   fmt::format("every boot goes through {}, in this order: name all up to the last one you want",
                               quoted_list(known)));
    const auto close = nearest(phase.value, known);
    return wrong(phase.at, fmt::format("\"{}\" is no boot phase, expected one of {}", phase.value, quoted_list(known)),
                 close.empty() ? "" : fmt::format("did you mean \"{}\"?", close));
  }
  return {};
}

Result<void> apply_next_values(Draft& draft, const LocatedTexts& values, const TextLocation& at) {
  auto& into = draft.profile.boot.next_pcr_7;
  into.clear();
  draft.next_pcr_7_at = at;
  for (const auto& one : values) {
    const auto value = parse_hex(one.value);
    if (!value || value->size() != digest_size_bytes(HashAlg::sha256))
      return wrong(one.at, fmt::format("\"{}\" is no value of PCR 7, expected 64 hexadecimal digits", one.value),
                   "`ingot keys plan rotate` tells them");
    if (std::find(into.begin(), into.end(), Digest(*value)) != into.end())
      return wrong(one.at, fmt::format("{} is there twice", one.value));
    if (into.size() == next_pcr_7_cap)
      return wrong(one.at, fmt::format("more than {} values: each is a key slot of each volume", next_pcr_7_cap),
                   "a profile for each machine class");
    into.emplace_back(*value);
  }
  return {};
}

}  // namespace

Result<void> apply_boot(Draft& draft, const TableReader& table) {
  TRY(table.only({"stub", "chain", "phases", "secure_boot", "system_policy", "next_pcr7"}));
  auto& boot = draft.profile.boot;
  if (const auto chain = TRY(choose(table, "chain", chains))) boot.chain = chain->value;
  if (const auto stub = TRY(table.text("stub"))) {
    const bool climbs = stub->value.find("..") != std::string::npos || stub->value.find('\0') != std::string::npos;
    if (!stub->value.starts_with('/') || climbs)
      return wrong(stub->at, fmt::format("stub is \"{}\", expected an absolute path in the image", stub->value));
    boot.stub = stub->value;
  }
  if (const auto phases = TRY(table.texts("phases"))) TRY(apply_phases(boot.phases, *phases, table.at("phases")));
  if (const auto secure = TRY(table.boolean("secure_boot"))) boot.secure_boot = secure->value;
  if (const auto system = TRY(table.boolean("system_policy"))) boot.system_policy = system->value;
  if (const auto next = TRY(table.texts("next_pcr7"))) TRY(apply_next_values(draft, *next, table.at("next_pcr7")));
  return {};
}

Result<void> finish_boot(const Draft& draft) {
  const auto& profile = draft.profile;
  if (profile.boot.next_pcr_7.empty()) return {};
  for (const auto& volume : profile.volumes)
    if (volume.key != std::vector{KeyProvider::tpm} && volume.is_held_by(KeyProvider::tpm))
      return wrong(
          draft.next_pcr_7_at,
          fmt::format("the TPM's share of the key of volume \"{}\" is sealed once, to the PCR 7 that made it",
                      volume.name),
          "key = \"tpm\" is bound to next values, and key = \"tang\" needs none; or have recovery keys at hand");
  return {};
}

}  // namespace ingot::builder::detail
