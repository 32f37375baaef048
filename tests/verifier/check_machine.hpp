// A healthy machine from vectors/, and ways to make it another one.
#pragma once

#include <functional>
#include <stdexcept>

#include "boot_vectors.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/event_text.hpp"

namespace ingot::test {

inline const Evidence& reference() {
  static const Evidence evidence = captured("uki-boot-257");
  return evidence;
}
inline const Baseline& baseline() {
  static const Baseline value = codec::decode_baseline_statement(vector_file("uki-boot-257.baseline.json")).value();
  return value;
}
inline const Platform& platform() {
  static const Platform value = check::learn_platform(reference()).value();
  return value;
}
inline check::BootQuestion question() {
  check::BootQuestion asked;
  asked.baseline = &baseline();
  asked.platform = &platform();
  asked.nonce = Buffer{1, 2, 3, 4};
  return asked;
}

inline Verdict verdict_on(const Evidence& evidence, const check::BootQuestion& asked = question()) {
  return check::check_boot(asked, evidence).value();
}

inline codec::EventLog reference_log() { return codec::decode_event_log(reference().event_log).value(); }

/// A machine on which this happened: its log and its PCRs say so, and its TPM signs.
inline Evidence machine_with(const std::function<void(codec::EventLog&)>& change) {
  auto log = reference_log();
  change(log);
  auto evidence = reference();
  follow_log(evidence, log);
  return evidence;
}

inline Event& event_of(codec::EventLog& log, PcrIndex pcr, std::size_t index) {
  for (auto& event : log.events)
    if (event.pcr == pcr && event.type != EventType::EV_NO_ACTION && index-- == 0) return event;
  throw std::out_of_range("no such event");
}
inline std::vector<Event>::iterator place_of(codec::EventLog& log, PcrIndex pcr, std::size_t index) {
  return log.events.begin() + (&event_of(log, pcr, index) - log.events.data());
}
inline void set_data(Event& event, Buffer data) {
  event.digests = crypto::hash_banks(data);
  event.data = std::move(data);
}
inline Event action(PcrIndex pcr, std::string_view text) {
  return {pcr, EventType::EV_EFI_ACTION, crypto::hash_banks(as_bytes(text)), to_buffer(as_bytes(text))};
}
inline Event other_digest(Event event) {
  for (auto& [alg, digest] : event.digests) digest[0] ^= 1;
  return event;
}

inline std::vector<std::string> kinds(const Verdict& verdict) {
  std::vector<std::string> out;
  for (const auto& finding : verdict.findings) out.push_back(to_text(finding.kind));
  return out;
}
inline const Finding* find(const Verdict& verdict, std::string_view subject) {
  for (const auto& finding : verdict.findings)
    if (finding.subject == subject) return &finding;
  return nullptr;
}
inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace ingot::test
