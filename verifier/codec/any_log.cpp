#include "ingot/codec/any_log.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cel_json.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/codec/evidence.hpp"

namespace ingot::codec {
namespace {

bool is_space(std::uint8_t byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

/// CEL-TLV starts with a record number: type 0, a length of 1 to 8, then a field of type 1 (PCR) or 2 (NV index).
bool looks_like_cel_tlv(Bytes bytes) {
  Reader in{bytes};
  const auto type = in.u8();
  const auto length = in.u32be();
  if (!in.ok() || type != 0 || length == 0 || length > 8) return false;
  in.skip(length);
  const auto next = in.u8();
  return in.ok() && (next == 1 || next == 2);
}

/// An IMA list starts with PCR, 20 bytes of digest, and the length of a template's short name. A firmware log has an
/// event type and a digest of zeroes there.
bool looks_like_ima(Bytes bytes) {
  constexpr std::uint32_t name_cap = 32;
  Reader in{bytes};
  const auto pcr = in.u32le();
  in.skip(20);
  const auto name_length = in.u32le();
  const auto name = as_text(in.bytes(in.ok() && name_length <= name_cap ? name_length : 0));
  return in.ok() && pcr < pcr_count && (name.starts_with("ima") || name.starts_with("evm"));
}

/// "10 <digest> ima-ng ...".
bool looks_like_ima_ascii(Bytes bytes) {
  const auto text = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 4)));
  return !text.empty() && text.find_first_not_of("0123456789 ") == text.npos;
}

AnyLogFormat format_of(Bytes bytes) {
  const auto first = std::find_if_not(bytes.begin(), bytes.end(), is_space);
  if (first != bytes.end() && *first == '[') return AnyLogFormat::cel_json;
  if (first != bytes.end() && *first == '{') return AnyLogFormat::evidence;
  if (!bytes.empty() && bytes.front() == json_record_separator) return AnyLogFormat::systemd;
  if (looks_like_ima_ascii(bytes)) return AnyLogFormat::ima_ascii;
  if (looks_like_cel_tlv(bytes)) return AnyLogFormat::cel_tlv;
  if (looks_like_ima(bytes)) return AnyLogFormat::ima_binary;
  return AnyLogFormat::crypto_agile;
}

/// The banks that each event of a log has; CEL has no header that would say.
std::vector<AlgorithmSize> common_algorithms(const std::vector<Event>& events) {
  std::vector<AlgorithmSize> algorithms;
  if (events.empty()) return algorithms;
  for (const auto& one : events.front().digests)
    if (std::all_of(events.begin(), events.end(),
                    [&](const Event& event) { return event.digests.contains(one.first); }))
      algorithms.push_back({one.first, static_cast<std::uint16_t>(one.second.size())});
  return algorithms;
}

Result<AnyLog> from_cel(AnyLogFormat format, const std::vector<CelRecord>& records) {
  auto parts = TRY(split_cel(records));
  AnyLog log{format, std::nullopt, std::move(parts.userspace), std::move(parts.ima)};
  if (parts.firmware.empty()) return log;
  EventLog firmware;
  firmware.algorithms = common_algorithms(parts.firmware);
  if (firmware.algorithms.empty())
    return fail(ErrorCode::unsupported, "a log whose events have no bank in common cannot be replayed",
                "was it put together from the logs of several machines?");
  for (auto& event : parts.firmware)
    event.digests.erase_if([&](const auto& one) {
      return std::none_of(firmware.algorithms.begin(), firmware.algorithms.end(),
                          [&](const AlgorithmSize& size) { return size.alg == one.first; });
    });
  firmware.events = std::move(parts.firmware);
  // Through the binary form, so that one decoder alone knows the rules.
  log.firmware = TRY(decode_event_log(encode_event_log(firmware)));
  return log;
}

Result<AnyLog> from_evidence(const Evidence& evidence) {
  AnyLog log{AnyLogFormat::evidence, std::nullopt, {}, {}};
  if (!evidence.event_log.empty()) log.firmware = TRY_IN("event log", decode_event_log(evidence.event_log));
  log.userspace = TRY_IN("userspace log", decode_userspace_log(evidence.userspace_log));
  log.ima = TRY_IN("IMA list", decode_any_ima(evidence.ima_log));
  return log;
}

bool is_in_all(const AnyLog& log, HashAlg alg) {
  if (log.firmware)
    return std::any_of(log.firmware->algorithms.begin(), log.firmware->algorithms.end(),
                       [&](const AlgorithmSize& size) { return size.alg == alg; });
  return log.userspace.empty() || std::all_of(log.userspace.begin(), log.userspace.end(),
                                              [&](const Event& event) { return event.digests.contains(alg); });
}

}  // namespace

std::string to_text(AnyLogFormat format) {
  switch (format) {
    case AnyLogFormat::crypto_agile:
      return "crypto-agile";
    case AnyLogFormat::sha1:
      return "sha1";
    case AnyLogFormat::cel_tlv:
      return "cel-tlv";
    case AnyLogFormat::cel_json:
      return "cel-json";
    case AnyLogFormat::systemd:
      return "systemd";
    case AnyLogFormat::ima_binary:
      return "ima-binary";
    case AnyLogFormat::ima_ascii:
      return "ima-ascii";
    case AnyLogFormat::evidence:
      return "evidence";
  }
  return {};
}

Result<AnyLog> decode_any_log(Bytes bytes) {
  const auto format = format_of(bytes);
  switch (format) {
    case AnyLogFormat::cel_json:
      return from_cel(format, TRY_IN("CEL, JSON", decode_cel_json(bytes)));
    case AnyLogFormat::cel_tlv:
      return from_cel(format, TRY_IN("CEL, TLV", decode_cel_tlv(bytes)));
    case AnyLogFormat::systemd:
      return AnyLog{format, std::nullopt, TRY_IN("systemd's log", decode_userspace_log(bytes)), {}};
    case AnyLogFormat::evidence:
      return from_evidence(TRY(decode_evidence(bytes)));
    case AnyLogFormat::ima_ascii:
    case AnyLogFormat::ima_binary:
      return AnyLog{format, std::nullopt, {}, TRY_IN("IMA list", decode_any_ima(bytes))};
    case AnyLogFormat::crypto_agile:
    case AnyLogFormat::sha1:
      break;
  }
  auto firmware = TRY(decode_event_log(bytes));
  const auto found = firmware.format == LogFormat::sha1 ? AnyLogFormat::sha1 : AnyLogFormat::crypto_agile;
  return AnyLog{found, std::move(firmware), {}, {}};
}

Result<void> join_log(AnyLog& log, AnyLog other) {
  const auto twice = [](const char* kind) {
    return fail(ErrorCode::usage, fmt::format("two logs of {}", kind), "give the logs of one boot");
  };
  if (log.firmware && other.firmware) return twice("firmware");
  if (!log.userspace.empty() && !other.userspace.empty()) return twice("userspace");
  if (!log.ima.empty() && !other.ima.empty()) return twice("IMA");
  if (other.firmware) log.firmware = std::move(other.firmware);
  if (!other.userspace.empty()) log.userspace = std::move(other.userspace);
  if (!other.ima.empty()) log.ima = std::move(other.ima);
  return {};
}

PcrValues replay(const AnyLog& log) {
  PcrValues values;
  if (log.firmware) values = replay(*log.firmware);
  for (const auto alg : {HashAlg::sha1, HashAlg::sha256, HashAlg::sha384, HashAlg::sha512}) {
    if (!is_in_all(log, alg)) continue;
    auto& bank = values[alg];
    for (const auto& event : log.userspace)
      if (const auto digest = event.digests.find(alg); digest != event.digests.end())
        extend_into(bank, alg, event.pcr, digest->second);
    for (const auto& entry : log.ima) extend_into(bank, alg, entry.pcr, ima_extend_value(alg, entry));
    if (bank.empty()) values.erase(alg);
  }
  return values;
}

}  // namespace ingot::codec
