// One event: PCR, type and digest are made up, so that all of the input is data.
#include <nlohmann/json.hpp>

#include "fuzz.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/codec/event_text.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader in{Bytes(data, size)};
  Event event;
  event.pcr = in.u8() % pcr_count;
  event.type = static_cast<EventType>(in.u32le());
  event.data = to_buffer(in.rest());
  event.digests[HashAlg::sha256] = Buffer(32, 1);
  const auto json = codec::event_data_json(event);
  FUZZ_REQUIRE(json.contains("component") && json.size() >= 4);
  (void)codec::device_path_text(event.data);
  if (const auto option = codec::decode_load_option(event.data)) (void)codec::encode_load_option(*option);
  return 0;
}
