// A store is read, and what was read is written into an empty store and read again.
#include "fuzz.hpp"
#include "ingot/codec/variable_store.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes flash(data, size);
  const auto variables = codec::decode_variable_store(flash);
  if (!variables) return 0;
  // The volume's and the store's header as they are, everything behind them erased.
  Buffer empty = to_buffer(flash);
  const std::size_t first = static_cast<std::size_t>(flash[48] | flash[49] << 8) + 28;
  FUZZ_REQUIRE(first <= size);
  std::fill(empty.begin() + static_cast<std::ptrdiff_t>(first), empty.end(), std::uint8_t{0xFF});
  // Names that are no UTF-16, and two live records of one name, are read but never written.
  const auto written = codec::write_variables(empty, *variables);
  if (!written) return 0;
  FUZZ_REQUIRE(written->size() == size);
  FUZZ_REQUIRE(codec::decode_variable_store(*written) == *variables);
  return 0;
}
