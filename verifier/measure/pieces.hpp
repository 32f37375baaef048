// Byte streams put together from parts of a file, literal bytes and zeroes, hashed without ever being in memory as a
// whole. Internal to measure/.
#pragma once

#include <span>
#include <vector>

#include "ingot/base/source.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::measure {

/// One part of a stream: `size` bytes of the file from `offset`, then `literal`, then `zeroes` zero bytes.
struct Piece {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  Buffer literal;
  std::uint64_t zeroes = 0;

  [[nodiscard]] std::uint64_t total() const { return size + literal.size() + zeroes; }
};
using Stream = std::vector<Piece>;

/// A section as it lies in memory once the firmware has loaded it: VirtualSize bytes, zeroes where the file has less.
Piece loaded_section(const codec::PeSection& section);
std::uint64_t stream_size(const Stream& stream);

/// Digests of each stream for each of predicted_banks. Large streams are hashed at the same time.
Result<std::vector<Digests>> hash_streams(const ByteSource& file, const std::vector<Stream>& streams);

}  // namespace ingot::measure
