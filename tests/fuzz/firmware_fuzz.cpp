#include "fuzz.hpp"
#include "ingot/codec/firmware.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto volumes = codec::decode_firmware(Bytes(data, size));
  if (!volumes) return 0;
  FUZZ_REQUIRE(!volumes->empty());
  std::size_t total = 0;
  for (const auto& volume : *volumes) total += volume.bytes.size();
  FUZZ_REQUIRE(total <= 2 * codec::firmware_size_cap_bytes);
  (void)codec::find_dxe_volume(*volumes);
  (void)codec::requires_smm(*volumes);
  return 0;
}
