#include "ingot/check/option_roms.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ingot::check {
namespace {

constexpr PcrIndex option_rom_pcr = 2;

bool is_driver(const ExpectedEvent& event) {
  return event.pcr == option_rom_pcr && (event.type == EventType::EV_EFI_BOOT_SERVICES_DRIVER ||
                                         event.type == EventType::EV_EFI_RUNTIME_SERVICES_DRIVER);
}

void add(std::vector<OptionRom>& roms, const Buffer& sha256, const std::string& device) {
  auto known = std::find_if(roms.begin(), roms.end(), [&](const OptionRom& rom) { return rom.sha256 == sha256; });
  if (known == roms.end()) known = roms.insert(roms.end(), {sha256, {}});
  if (std::find(known->devices.begin(), known->devices.end(), device) == known->devices.end())
    known->devices.push_back(device);
}

}  // namespace

Result<std::vector<OptionRom>> option_roms(const Platform& platform) {
  std::vector<OptionRom> roms;
  for (const auto& event : platform.events) {
    if (!is_driver(event)) continue;
    std::vector<Digests> all = event.alternatives;
    all.insert(all.begin(), event.digests);
    for (const auto& digests : all) {
      const auto sha256 = digests.find(HashAlg::sha256);
      if (sha256 == digests.end())
        return fail(ErrorCode::unsupported,
                    fmt::format("the option ROM of {} has no SHA-256 digest in the platform", event.text),
                    "learn the platform from a machine whose TPM has a SHA-256 bank");
      add(roms, sha256->second, event.text);
    }
  }
  if (roms.empty())
    return fail(ErrorCode::missing, "the platform measures no driver from a card into PCR 2",
                "learn it on a machine with the cards in it, whose firmware runs their option ROMs");
  return roms;
}

}  // namespace ingot::check
