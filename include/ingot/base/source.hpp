// Random-access bytes that need not fit into memory: kernels, initrds, whole disks.
#pragma once

#include <functional>
#include <memory>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Fills `into` from `offset`; an error when the source ends before that.
  virtual Result<void> read(std::uint64_t offset, MutableBytes into) const = 0;
  /// The open file that it is, from its first byte on, for the kernel to copy from; -1: it is none.
  [[nodiscard]] virtual int descriptor() const { return -1; }
};

using SharedSource = std::shared_ptr<const ByteSource>;

SharedSource memory_source(Buffer bytes);
/// A regular file or block device, read with pread. The file must not change while it is used.
Result<SharedSource> file_source(const std::string& path);
/// A window of another source. Error when it does not lie inside.
Result<SharedSource> slice_source(SharedSource source, std::uint64_t offset, std::uint64_t size);

/// One part of joined_source().
struct PlacedSource {
  std::uint64_t offset = 0;
  SharedSource source;
};
/// Sources at their offsets, zeros between and behind them. `parts` are in order. Error when parts overlap or end
/// behind `size`.
Result<SharedSource> joined_source(std::vector<PlacedSource> parts, std::uint64_t size);

/// Calls `sink` with consecutive chunks of at most 1 MiB over [offset, offset + size).
Result<void> for_each_chunk(const ByteSource& source, std::uint64_t offset, std::uint64_t size,
                            const std::function<Result<void>(Bytes)>& sink);
/// The whole source; an error (limit) when it is larger than `cap_bytes`.
Result<Buffer> read_all(const ByteSource& source, std::uint64_t cap_bytes);
/// A part of a source; an error when it lies outside or exceeds `cap_bytes`.
Result<Buffer> read_part(const ByteSource& source, std::uint64_t offset, std::uint64_t size, std::uint64_t cap_bytes);
/// A whole regular file into memory; an error (limit) when it is larger than `cap_bytes`.
Result<Buffer> read_file(const std::string& path, std::uint64_t cap_bytes);

}  // namespace ingot
