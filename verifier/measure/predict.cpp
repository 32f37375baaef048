#include "ingot/measure/predict.hpp"

#include <fmt/format.h>

#include "boot_events.hpp"
#include "expected.hpp"
#include "first_stage.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/codec/gpt.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::measure {
namespace {

Result<ExpectedEvent> gpt_event(const ByteSource& disk, const std::vector<Guid>& allowed_partitions) {
  const auto data = TRY(codec::gpt_event_data(disk));
  const auto gpt = TRY(codec::decode_gpt(disk));
  auto event = expect_data(5, EventType::EV_EFI_GPT_EVENT, data, "GPT", codec::describe_gpt(gpt.disk, gpt.partitions));
  if (!allowed_partitions.empty()) event.meaning = GptMeaning{data, allowed_partitions};
  return event;
}

/// What starting an image measures, with `medium` in front of the image itself: what firmware saw of where it came
/// from.
Result<Baseline> predict(const ByteSource& uki, const Buffer& db, const std::vector<std::string>& phases,
                         LoadedUki loaded, const FirstStage& first, std::vector<ExpectedEvent> medium) {
  Baseline baseline;
  append(baseline.events, boot_attempt_events());
  baseline.events.push_back(expect_separator(5));
  // Without a db the image's PCR 7 share is unknown; the caller says so by leaving it empty, as `predict image` may.
  const auto pe = TRY_IN("UKI", codec::decode_pe(uki));
  append(baseline.events, TRY(chain_events(first, {"the UKI", uki, pe, loaded.authenticode}, db, std::move(medium))));

  std::vector<ExpectedEvent> sections;
  for (const auto& event : loaded.events)
    if (event.pcr == 11) sections.push_back(event);
  append(baseline.events, std::move(loaded.events));
  append(baseline.events, exit_boot_services_events());
  append(baseline.events, phase_events(phases));

  baseline.stub = std::to_string(loaded.stub);
  baseline.uki_sha256 = to_hex(TRY(crypto::hash_source(HashAlg::sha256, uki)));
  baseline.uki_authenticode_sha256 = to_hex(loaded.authenticode.at(HashAlg::sha256));
  baseline.pcrs = replay_expected(baseline.events, image_pcrs);
  for (auto& [alg, bank] : baseline.pcrs) bank.erase(7);  // shared with the platform: no value of its own
  baseline.phases = TRY(phase_values(sections, phases));
  return baseline;
}

}  // namespace

// In the order in which a boot measures them (TCG PFP 1.06, "PCR Usage"), which a person reading the baseline expects.
Result<Baseline> predict_image(const ImageBytes& image) {
  if (image.uki == nullptr || image.disk == nullptr)
    return fail(ErrorCode::internal, "predict_image() without disk or UKI");
  auto loaded = TRY_IN("UKI", loaded_uki_events(*image.uki));
  std::vector<ExpectedEvent> medium;
  medium.push_back(TRY_IN("GPT", gpt_event(*image.disk, image.allowed_partitions)));
  return predict(*image.uki, image.db, image.phases, std::move(loaded), image.first, std::move(medium));
}

Result<Baseline> predict_network_boot(const ByteSource& uki, const Buffer& db, const std::vector<std::string>& phases) {
  auto loaded = TRY_IN("UKI", loaded_uki_events(uki));
  std::vector<ExpectedEvent> medium;
  for (const auto& event : loaded.events)
    if (event.type == EventType::EV_EFI_BOOT_SERVICES_APPLICATION) medium.push_back(event);
  return predict(uki, db, phases, std::move(loaded), {}, std::move(medium));
}

}  // namespace ingot::measure
