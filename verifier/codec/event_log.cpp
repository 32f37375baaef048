#include "ingot/codec/event_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::codec {
namespace {

constexpr std::string_view spec_id_signature{"Spec ID Event03\0", 16};
constexpr std::string_view startup_locality_signature{"StartupLocality\0", 16};
constexpr std::size_t sha1_size = 20;

Error malformed(std::string message, std::uint64_t offset) {
  return Error{ErrorCode::malformed, std::move(message), {}, offset, std::nullopt};
}

/// TCG_PCR_EVENT: the format of the first event always, and of all events of a SHA-1 log.
Event read_legacy_event(Reader& in) {
  Event event;
  event.pcr = in.u32le();
  event.type = static_cast<EventType>(in.u32le());
  event.digests.emplace(HashAlg::sha1, in.bytes(sha1_size));
  event.data = to_buffer(in.bytes(in.u32le()));
  return event;
}

void write_legacy_event(Writer& out, const Event& event, Bytes digest) {
  out.u32le(event.pcr).u32le(static_cast<std::uint32_t>(event.type)).bytes(digest);
  out.u32le(static_cast<std::uint32_t>(event.data.size())).bytes(event.data);
}

bool is_spec_id(const Event& event) {
  return event.type == EventType::EV_NO_ACTION && as_text(event.data).starts_with(spec_id_signature);
}

struct SpecIdEvent {
  SpecId spec;
  std::vector<AlgorithmSize> algorithms;
};

/// "TCG_EfiSpecIDEvent".
Result<SpecIdEvent> decode_spec_id(Bytes data) {
  Reader in{data};
  in.skip(spec_id_signature.size());
  SpecIdEvent out;
  out.spec.platform_class = in.u32le();
  out.spec.minor = in.u8();
  out.spec.major = in.u8();
  out.spec.errata = in.u8();
  out.spec.uintn_size = in.u8();
  const std::uint32_t count = in.u32le();
  if (in.ok() && (count == 0 || count > log_algorithm_cap))
    in.fail_with(fmt::format("{} digest algorithms; 1 to {} are possible", count, log_algorithm_cap));
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    const auto alg = static_cast<HashAlg>(in.u16le());
    const std::uint16_t size = in.u16le();
    const auto same = [&](const AlgorithmSize& one) { return one.alg == alg; };
    if (in.ok() && std::any_of(out.algorithms.begin(), out.algorithms.end(), same))
      in.fail_with(fmt::format("digest algorithm {} is listed twice", to_text(alg)));
    const std::size_t known = digest_size_bytes(alg);
    if (in.ok() && (size == 0 || size > 64 || (known != 0 && known != size)))
      in.fail_with(fmt::format("digests of {} are said to be {} bytes long", to_text(alg), size));
    out.algorithms.push_back({alg, size});
  }
  out.spec.vendor_info = to_buffer(in.bytes(in.u8()));
  return in.finish(std::move(out));
}

Buffer encode_spec_id(const EventLog& log) {
  Writer out;
  out.text(spec_id_signature).u32le(log.spec.platform_class).u8(log.spec.minor).u8(log.spec.major);
  out.u8(log.spec.errata).u8(log.spec.uintn_size).u32le(static_cast<std::uint32_t>(log.algorithms.size()));
  for (const auto& [alg, size] : log.algorithms) out.u16le(static_cast<std::uint16_t>(alg)).u16le(size);
  return out.u8(static_cast<std::uint8_t>(log.spec.vendor_info.size())).bytes(log.spec.vendor_info).take();
}

/// TCG_PCR_EVENT2. Each event has exactly the header's algorithms ("Event Logging"), in any order.
Event read_event(Reader& in, const std::vector<AlgorithmSize>& algorithms) {
  Event event;
  event.pcr = in.u32le();
  event.type = static_cast<EventType>(in.u32le());
  const std::uint32_t count = in.u32le();
  if (in.ok() && count != algorithms.size())
    in.fail_with(fmt::format("an event with {} digests; the log's header says {}", count, algorithms.size()));
  event.digests.reserve(algorithms.size());
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    const auto alg = static_cast<HashAlg>(in.u16le());
    const auto found =
        std::find_if(algorithms.begin(), algorithms.end(), [&](const auto& one) { return one.alg == alg; });
    if (in.ok() && found == algorithms.end())
      in.fail_with(fmt::format("a digest of algorithm {}, which the log's header does not list", to_text(alg)));
    else if (in.ok() && event.digests.contains(alg))
      in.fail_with(fmt::format("two {} digests in one event", to_text(alg)));
    else if (in.ok())
      event.digests.emplace(alg, in.bytes(found->size_bytes));
  }
  event.data = to_buffer(in.bytes(in.u32le()));
  return event;
}

/// "Startup Locality Event": at most one, and before anything is extended into PCR 0, because it says where PCR 0
/// starts.
Result<std::uint8_t> find_startup_locality(const std::vector<Event>& events) {
  std::optional<std::uint8_t> locality;
  bool extended = false;
  for (const auto& event : events) {
    if (event.type != EventType::EV_NO_ACTION) {
      extended = extended || event.pcr == 0;
      continue;
    }
    if (!as_text(event.data).starts_with(startup_locality_signature)) continue;
    if (event.data.size() != startup_locality_signature.size() + 1)
      return fail(ErrorCode::malformed,
                  fmt::format("a StartupLocality event of {} bytes instead of 17", event.data.size()));
    if (locality) return fail(ErrorCode::malformed, "two StartupLocality events");
    if (extended) return fail(ErrorCode::malformed, "a StartupLocality event after PCR 0 was extended");
    locality = event.data.back();
    // TPM2_Startup comes from locality 0 or 3; 4 stands for an H-CRTM.
    if (*locality != 0 && *locality != 3 && *locality != 4)
      return fail(ErrorCode::malformed, fmt::format("a startup locality of {}; 0, 3 and 4 exist", *locality));
  }
  return locality.value_or(0);
}

}  // namespace

Result<EventLog> decode_event_log(Bytes bytes) {
  Reader in{bytes};
  EventLog log;
  Event first = read_legacy_event(in);
  if (!in.ok()) return fail(in.error().in("event 0"));
  if (is_spec_id(first)) {
    auto header = TRY_IN("event 0, Spec ID", decode_spec_id(first.data));
    log.spec = std::move(header.spec);
    log.algorithms = std::move(header.algorithms);
  } else {
    log.format = LogFormat::sha1;
    log.algorithms = {{HashAlg::sha1, sha1_size}};
    log.events.push_back(std::move(first));
  }
  while (in.ok() && in.left() > 0) {
    const std::size_t at = in.at();
    if (log.events.size() >= event_count_cap)
      return fail(ErrorCode::limit, fmt::format("more than {} events", event_count_cap));
    Event event = log.format == LogFormat::sha1 ? read_legacy_event(in) : read_event(in, log.algorithms);
    if (!in.ok()) return fail(in.error().in(fmt::format("event {}", log.events.size())));
    if (event.pcr >= pcr_count && event.type != EventType::EV_NO_ACTION)
      return fail(malformed(fmt::format("event {} extends PCR {}; there are 24", log.events.size(), event.pcr), at));
    log.events.push_back(std::move(event));
  }
  log.startup_locality = TRY(find_startup_locality(log.events));
  return log;
}

Buffer encode_event_log(const EventLog& log) {
  Writer out;
  const auto digest_of = [](const Event& event, const AlgorithmSize& algorithm) {
    const auto found = event.digests.find(algorithm.alg);
    return found == event.digests.end() ? Digest(algorithm.size_bytes, 0) : found->second;
  };
  if (log.format == LogFormat::sha1) {
    for (const auto& event : log.events) write_legacy_event(out, event, digest_of(event, {HashAlg::sha1, sha1_size}));
    return out.take();
  }
  write_legacy_event(out, {0, EventType::EV_NO_ACTION, {}, encode_spec_id(log)}, Buffer(sha1_size));
  for (const auto& event : log.events) {
    out.u32le(event.pcr)
        .u32le(static_cast<std::uint32_t>(event.type))
        .u32le(static_cast<std::uint32_t>(log.algorithms.size()));
    for (const auto& algorithm : log.algorithms)
      out.u16le(static_cast<std::uint16_t>(algorithm.alg)).bytes(digest_of(event, algorithm));
    out.u32le(static_cast<std::uint32_t>(event.data.size())).bytes(event.data);
  }
  return out.take();
}

std::vector<AlgorithmSize> algorithm_sizes(std::span<const HashAlg> algs) {
  std::vector<AlgorithmSize> sizes;
  for (const auto alg : algs) sizes.push_back({alg, static_cast<std::uint16_t>(digest_size_bytes(alg))});
  return sizes;
}

Buffer pcr_start_value(HashAlg alg, PcrIndex pcr, std::uint8_t startup_locality) {
  if (is_dynamic_pcr(pcr)) return Buffer(digest_size_bytes(alg), 0xFF);
  Buffer value(digest_size_bytes(alg), 0);
  if (pcr == 0 && !value.empty()) value.back() = startup_locality;
  return value;
}

Digest extend(HashAlg alg, Bytes pcr, Bytes digest) {
  std::array<std::uint8_t, 2 * Digest::cap_bytes> both;
  if (pcr.size() + digest.size() > both.size()) std::abort();
  std::copy(digest.begin(), digest.end(), std::copy(pcr.begin(), pcr.end(), both.begin()));
  return crypto::hash(alg, Bytes(both.data(), pcr.size() + digest.size()));
}

void extend_into(PcrBank& bank, HashAlg alg, PcrIndex pcr, Bytes digest) {
  const auto [at, added] = bank.try_emplace(pcr);
  // Nothing but a dynamic launch, which sets them to zero first, opens PCR 17 to 22.
  if (added) at->second = is_dynamic_pcr(pcr) ? Buffer(digest_size_bytes(alg), 0) : pcr_start_value(alg, pcr, 0);
  at->second = extend(alg, at->second, digest);
}

PcrValues replay(const EventLog& log) {
  PcrValues values;
  for (const auto& [alg, size] : log.algorithms) {
    if (digest_size_bytes(alg) == 0) continue;  // kept in the log, but nothing here can hash it
    PcrBank& bank = values[alg];
    if (log.startup_locality != 0) bank[0] = pcr_start_value(alg, 0, log.startup_locality);
    for (const auto& event : log.events)
      if (event.type != EventType::EV_NO_ACTION) extend_into(bank, alg, event.pcr, event.digests.at(alg));
  }
  return values;
}

}  // namespace ingot::codec
