#include "first_stage.hpp"

#include <fmt/format.h>

#include <charconv>

#include "expected.hpp"
#include "ingot/codec/pe_names.hpp"
#include "ingot/measure/uki.hpp"
#include "secure_boot.hpp"
#include "shim.hpp"
#include "uki_layout.hpp"

namespace ingot::measure {
namespace {

constexpr std::string_view magic_start = "#### LoaderInfo: systemd-boot ";
/// Releases whose source was read, from the first to the last.
constexpr std::uint32_t first_checked = 257, last_checked = 257;

/// systemd-boot's version as its .sdmagic section says it; nothing when that is another program's, or missing.
Result<std::optional<std::uint32_t>> loader_version(const ByteSource& file, const codec::Pe& pe) {
  const auto* section = pe.find(".sdmagic");
  if (section == nullptr) return std::optional<std::uint32_t>{};
  const auto bytes = TRY(read_section(file, *section));
  auto text = as_text(bytes);
  if (!text.starts_with(magic_start)) return std::optional<std::uint32_t>{};
  text.remove_prefix(magic_start.size());
  std::uint32_t version = 0;
  std::from_chars(text.data(), text.data() + text.size(), version);
  return std::optional<std::uint32_t>(version);
}

Result<BootChain> chain_of(const ByteSource& file, const codec::Pe& pe) {
  if (pe.find(".linux") != nullptr) return BootChain::uki;
  if (TRY(loader_version(file, pe))) return BootChain::systemd_boot;
  if (TRY(codec::find_long_section(file, pe, ".sbatlevel")) != nullptr &&
      TRY(codec::find_long_section(file, pe, ".vendor_cert")) != nullptr)
    return BootChain::shim;
  return fail(ErrorCode::unsupported, "what firmware starts first is no UKI, no systemd-boot and no shim",
              "what other boot loaders measure cannot be predicted");
}

Result<std::uint32_t> checked_loader_version(const ByteSource& file, const codec::Pe& pe) {
  const auto version = TRY(loader_version(file, pe)).value_or(0);
  if (version >= first_checked && version <= last_checked) return version;
  return fail(ErrorCode::unsupported,
              fmt::format("systemd-boot {}: nobody has checked what this release measures", version),
              fmt::format("take systemd-boot {}", last_checked));
}

ExpectedEvent application(const Digests& authenticode, std::string cause, std::string text) {
  return {4, EventType::EV_EFI_BOOT_SERVICES_APPLICATION, authenticode, std::move(cause), std::move(text), {}};
}

/// The configuration is the one thing that systemd-boot measures itself (systemd src/boot/boot.c,
/// config_load_defaults()): it hands nothing to a UKI, and firmware measures an authority that it knows from this boot
/// no second time.
Result<std::vector<ExpectedEvent>> systemd_boot_events(const FirstStage& first, const JudgedFile& uki, Bytes db,
                                                       const Digests& authority) {
  std::vector<ExpectedEvent> events;
  if (first.loader_conf) {
    std::string text(as_text(*first.loader_conf));
    for (char& c : text)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    while (text.ends_with(' ')) text.pop_back();
    events.push_back(expect_data(5, EventType::EV_EVENT_TAG, *first.loader_conf, "loader.conf", std::move(text)));
  }
  if (db.empty()) return events;
  auto second = TRY(authority_event(uki, db));
  if (second.digests != authority) events.push_back(std::move(second));
  return events;
}

}  // namespace

Result<BootChain> boot_chain_of(const ByteSource& file) { return chain_of(file, TRY(codec::decode_pe(file))); }

Result<std::string> describe_first_stage(const ByteSource& file) {
  const auto pe = TRY(codec::decode_pe(file));
  switch (TRY(chain_of(file, pe))) {
    case BootChain::uki:
      break;
    case BootChain::systemd_boot:
      return fmt::format("systemd-boot {}", TRY(checked_loader_version(file, pe)));
    case BootChain::shim:
      return "shim " + TRY(read_shim(file, pe)).version;
  }
  return fail(ErrorCode::unsupported, "a UKI stands where systemd-boot or shim belongs");
}

Result<Buffer> db_entry_for(const ByteSource& file, Bytes db) {
  const auto pe = TRY(codec::decode_pe(file));
  const auto digests = TRY(authenticode_digests(file, pe, predicted_banks));
  auto entry = TRY(authority_of({"the file", file, pe, digests}, db));
  return codec::encode_signature_lists({{codec::efi_cert_x509_guid, {}, {std::move(entry)}}});
}

// In the order of a boot: firmware judges the first stage, measures the partition table with the first file that it
// reads from the disk, then the file; what follows is the first stage's own doing.
Result<std::vector<ExpectedEvent>> chain_events(const FirstStage& first, const JudgedFile& uki, Bytes db,
                                                std::vector<ExpectedEvent> medium) {
  std::vector<ExpectedEvent> events;
  if (first.file == nullptr) {
    if (!db.empty()) events.push_back(TRY(authority_event(uki, db)));
    append(events, std::move(medium));
    return events;
  }
  const auto name = TRY(describe_first_stage(*first.file));
  const auto pe = TRY(codec::decode_pe(*first.file));
  const auto digests = TRY(authenticode_digests(*first.file, pe, predicted_banks));
  const auto chain = TRY(chain_of(*first.file, pe));
  Digests authority;
  if (!db.empty()) {
    events.push_back(TRY(authority_event({name, *first.file, pe, digests}, db)));
    authority = events.back().digests;
  }
  append(events, std::move(medium));
  const std::string cause = to_text(chain);
  events.push_back(application(digests, cause, "Authenticode digest of " + name));
  if (chain == BootChain::systemd_boot) {
    append(events, TRY(systemd_boot_events(first, uki, db, authority)));
    return events;
  }
  if (db.empty())
    return fail(ErrorCode::missing, "shim measures keys of the machine's variables, and no variable store is given",
                "give the VARS.fd of the build");
  const auto shim = TRY(read_shim(*first.file, pe));
  append(events, shim_state_events(shim, first.mok_list));
  events.push_back(TRY(shim_authority_event(shim, uki, db, first.mok_list)));
  return events;
}

}  // namespace ingot::measure
