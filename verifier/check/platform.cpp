// Learning the firmware's share of a machine class from machines of it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "align.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/codec/evidence.hpp"
#include "learned.hpp"
#include "logs.hpp"
#include "quote.hpp"

namespace ingot::check {
namespace {

bool is_platform_pcr(PcrIndex pcr) {
  return std::find(std::begin(platform_pcrs), std::end(platform_pcrs), pcr) != std::end(platform_pcrs);
}

Error unfit(std::string message) {
  return Error{ErrorCode::unsupported, std::move(message), "learn from a healthy reference machine with Secure Boot on",
               std::nullopt, std::nullopt};
}

/// The first event that belongs to starting an operating system: from here on PCR 7 is the image's.
std::size_t boot_attempt(const std::vector<Event>& events) {
  const auto found = std::find_if(events.begin(), events.end(), [](const Event& event) {
    return event.pcr == 4 && event.type == EventType::EV_EFI_ACTION;
  });
  return static_cast<std::size_t>(found - events.begin());
}

// TCG PFP 1.06, "PCR[7] - Secure Boot Policy Measurements": the variables, one separator, then authorities.
Result<void> check_secure_boot(const std::vector<Event>& events) {
  std::size_t separators = 0;
  bool on = false;
  for (const auto& event : events) {
    if (event.pcr != 7 || event.type == EventType::EV_NO_ACTION) continue;
    if (event.type == EventType::EV_SEPARATOR) ++separators;
    const auto described = codec::describe_event(event);
    if (event.type == EventType::EV_EFI_ACTION)
      return fail(unfit(fmt::format("PCR 7 has \"{}\": the firmware is not in its normal mode", described.component)));
    if (event.type != EventType::EV_EFI_VARIABLE_DRIVER_CONFIG) continue;
    if (separators != 0)
      return fail(
          unfit(fmt::format("Secure Boot variable {} was measured after PCR 7's separator", described.component)));
    if (!described.vouched)
      return fail(unfit(fmt::format("the log's data for {} are not what was measured", described.component)));
    on = on || (described.component == "SecureBoot" && described.text == "on");
  }
  if (separators != 1) return fail(unfit(fmt::format("PCR 7 has {} separators instead of one", separators)));
  if (!on) return fail(unfit("Secure Boot is off on this machine"));
  return {};
}

/// One separator of four zero bytes ends each platform PCR's firmware share; 0xFFFFFFFF or 1 would be an error there.
Result<void> check_separators(const std::vector<Event>& events) {
  for (const PcrIndex pcr : {0u, 1u, 2u, 3u, 6u}) {
    std::size_t count = 0;
    for (const auto& event : events) {
      if (event.pcr != pcr || event.type != EventType::EV_SEPARATOR) continue;
      const auto described = codec::describe_event(event);
      if (!described.vouched || !described.text.empty())
        return fail(unfit(fmt::format("PCR {}'s separator reports an error of the firmware", pcr)));
      ++count;
    }
    if (count != 1) return fail(unfit(fmt::format("PCR {} has {} separators instead of one", pcr, count)));
  }
  return {};
}

Result<void> check_replay(const Evidence& evidence, const Logs& logs) {
  bool any = false;
  for (const auto bank : predicted_banks) {
    const auto values = evidence.pcrs.find(bank);
    if (values == evidence.pcrs.end() || !logs.has_bank(bank)) continue;
    any = true;
    const auto replayed = logs.replay(bank);
    for (const PcrIndex pcr : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
      const auto quoted = values->second.find(pcr);
      if (quoted == values->second.end())
        return fail(ErrorCode::malformed, fmt::format("the evidence has no value for PCR {}", pcr));
      if (quoted->second != replayed.at(pcr))
        return fail(ErrorCode::malformed,
                    fmt::format("the event log does not replay to PCR {} of the {} bank: {} instead of {}", pcr,
                                to_text(bank), to_hex(replayed.at(pcr)), to_hex(quoted->second)));
    }
  }
  if (!any)
    return fail(ErrorCode::unsupported,
                "neither the SHA-256 nor the SHA-384 bank is in both the log and the PCR values");
  return {};
}

ExpectedEvent to_expected(const Event& event) {
  const auto described = codec::describe_event(event);
  ExpectedEvent expected{event.pcr, event.type, {}, described.component, described.text, {}};
  for (const auto& [alg, digest] : event.digests)
    if (digest_size_bytes(alg) != 0) expected.digests[alg] = digest;
  return expected;
}

/// A quote is not needed where the machine is in one's own hands; one that is there must hold.
Result<void> check_reference_quote(const Evidence& evidence) {
  if (evidence.quote_attest.empty()) return {};
  std::vector<HashAlg> banks;
  for (const auto bank : predicted_banks)
    if (evidence.pcrs.contains(bank)) banks.push_back(bank);
  const auto quote = check_quote(evidence, decode_attestation_key(evidence.ak_public), codec::quote_binding(evidence),
                                 std::nullopt, banks);
  if (quote.findings.empty()) return {};
  return fail(ErrorCode::crypto, fmt::format("the quote does not hold: {}: {}", quote.findings.front().subject,
                                             quote.findings.front().cause));
}

/// The firmware's share of one machine's log, event by event.
Result<LearnedMachine> learn_machine(const Evidence& evidence) {
  if (evidence.event_log.empty()) return fail(ErrorCode::missing, "the evidence has no event log");
  const auto logs = TRY(Logs::decode(evidence));
  TRY(check_replay(evidence, logs));
  const auto& events = logs.firmware().events;
  TRY(check_secure_boot(events));
  TRY(check_separators(events));
  TRY(check_reference_quote(evidence));
  LearnedMachine machine;
  machine.startup_locality = logs.firmware().startup_locality;
  const std::size_t attempt = boot_attempt(events);
  bool separated = false;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto& event = events[i];
    if (event.type == EventType::EV_NO_ACTION) continue;
    // PCR 7: all up to the separator, and what firmware allowed to run (option ROMs) before it tried to boot.
    const bool share_of_7 = event.pcr == 7 && (!separated || i < attempt);
    if (is_platform_pcr(event.pcr) || share_of_7) machine.events.push_back({to_expected(event), event.data});
    separated = separated || (event.pcr == 7 && event.type == EventType::EV_SEPARATOR);
  }
  return machine;
}

/// Values of the PCRs that hold the same on every machine of the class.
PcrValues constant_values(const Platform& platform) {
  PcrValues values;
  std::set<PcrIndex> varying = {7};  // shared with the image: no value of its own
  for (const auto& event : platform.events) {
    if (varies(event)) varying.insert(event.pcr);
    for (const auto& [alg, digest] : event.digests) {
      auto& bank = values[alg];
      bank.try_emplace(event.pcr, codec::pcr_start_value(alg, event.pcr, platform.startup_locality));
      codec::extend_into(bank, alg, event.pcr, digest);
    }
  }
  for (auto& [alg, bank] : values) std::erase_if(bank, [&](const auto& one) { return varying.contains(one.first); });
  return values;
}

}  // namespace

Result<Platform> learn_platform(const std::vector<Evidence>& machines) {
  if (machines.empty()) return fail(ErrorCode::usage, "no machine to learn from");
  std::optional<LearnedMachine> all;
  for (std::size_t i = 0; i < machines.size(); ++i) {
    auto machine = TRY_IN(fmt::format("machine {}", i + 1), learn_machine(machines[i]));
    if (!all)
      all = std::move(machine);
    else
      TRY_IN(fmt::format("machine {}", i + 1), merge_machine(*all, std::move(machine)));
  }
  Platform platform;
  platform.startup_locality = all->startup_locality;
  for (auto& one : all->events) platform.events.push_back(std::move(one.expected));
  platform.pcrs = constant_values(platform);
  return platform;
}

Result<Platform> learn_platform(const Evidence& evidence) { return learn_platform(std::vector<Evidence>{evidence}); }

bool expects(const Platform& platform, PcrIndex pcr, const Digests& digests) {
  return std::any_of(platform.events.begin(), platform.events.end(), [&](const ExpectedEvent& event) {
    return event.pcr == pcr && same_digests(event.digests, digests);
  });
}

std::vector<std::string> describe_variation(const Platform& platform) {
  std::vector<std::string> lines;
  std::size_t constant = 0;
  for (const auto& event : platform.events) {
    const auto subject = fmt::format("pcr {}, {}", event.pcr, event.cause);
    if (!varies(event)) ++constant;
    if (std::holds_alternative<BootEntryMeaning>(event.meaning))
      lines.push_back(subject + ": by device path, whatever its description");
    else if (!event.alternatives.empty())
      lines.push_back(fmt::format("{}: one of {} digests", subject, event.alternatives.size() + 1));
    if (!event.optional_block.empty()) lines.push_back(subject + ": not on every machine");
  }
  lines.insert(lines.begin(), fmt::format("{} events constant, {} vary", constant, platform.events.size() - constant));
  return lines;
}

}  // namespace ingot::check
