#include "ingot/codec/module_compression.hpp"

#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>

namespace ingot::codec {
namespace {

constexpr std::size_t step_bytes = 1u << 20;
constexpr std::uint64_t memory_cap_bytes = 256u << 20;  // a dictionary of 64 MiB, which is xz -9, needs a quarter

Error malformed(std::string message, std::size_t at) {
  return Error{ErrorCode::malformed, std::move(message), "compress the module again, as one stream", at, std::nullopt};
}
Error damaged(std::string_view format, std::size_t at) {
  return malformed(fmt::format("the {} stream is damaged or ends early", format), at);
}
Error followed(std::string_view format, std::size_t at) {
  return malformed(fmt::format("bytes follow the {} stream", format), at);
}
Error too_large(std::uint64_t cap_bytes) {
  return Error{
      ErrorCode::limit, fmt::format("a module of more than {} bytes", cap_bytes), {}, std::nullopt, std::nullopt};
}

/// Output that grows as it comes.
class Output {
 public:
  explicit Output(std::uint64_t cap_bytes) : cap_bytes_(cap_bytes) {}
  /// Never empty; an error when there is no more to be had.
  Result<MutableBytes> room() {
    if (used_ > cap_bytes_) return fail(too_large(cap_bytes_));
    // One byte more than is allowed, so that a stream of exactly that size comes to its end.
    if (bytes_.size() - used_ < step_bytes / 2)
      bytes_.resize(
          static_cast<std::size_t>(std::min<std::uint64_t>(cap_bytes_ + 1, used_ + std::max(used_, step_bytes))));
    return MutableBytes(bytes_).subspan(used_);
  }
  void used(std::size_t bytes) { used_ += bytes; }
  Result<Buffer> take() {
    if (used_ > cap_bytes_) return fail(too_large(cap_bytes_));
    bytes_.resize(used_);
    return std::move(bytes_);
  }

 private:
  std::uint64_t cap_bytes_;
  std::size_t used_ = 0;
  Buffer bytes_;
};

struct LzmaStream {
  lzma_stream handle = LZMA_STREAM_INIT;
  LzmaStream() = default;
  LzmaStream(const LzmaStream&) = delete;
  LzmaStream& operator=(const LzmaStream&) = delete;
  ~LzmaStream() { lzma_end(&handle); }
};

/// Runs a prepared stream to its end.
Result<Buffer> run(lzma_stream& stream, Bytes in, std::uint64_t cap_bytes) {
  stream.next_in = in.data();
  stream.avail_in = in.size();
  Output out(cap_bytes);
  for (auto state = LZMA_OK; state != LZMA_STREAM_END;) {
    const auto room = TRY(out.room());
    stream.next_out = room.data();
    stream.avail_out = room.size();
    state = lzma_code(&stream, LZMA_FINISH);
    out.used(room.size() - stream.avail_out);
    if (state == LZMA_MEMLIMIT_ERROR)
      return fail(ErrorCode::limit,
                  fmt::format("an xz stream that needs more than {} bytes to unpack", memory_cap_bytes));
    if (state != LZMA_OK && state != LZMA_STREAM_END) return fail(damaged("xz", in.size() - stream.avail_in));
  }
  if (stream.avail_in != 0) return fail(followed("xz", in.size() - stream.avail_in));
  return out.take();
}

Result<Buffer> decompress_xz(Bytes file, std::uint64_t cap_bytes) {
  LzmaStream stream;
  if (lzma_stream_decoder(&stream.handle, memory_cap_bytes, 0) != LZMA_OK)
    return fail(ErrorCode::internal, "liblzma has no decoder");
  return run(stream.handle, file, cap_bytes);
}

// The kernel's decoder knows no other check than CRC32 (Linux, lib/xz/Kconfig), and allocates the dictionary.
Result<Buffer> compress_xz(Bytes module) {
  lzma_options_lzma options;
  lzma_lzma_preset(&options, LZMA_PRESET_DEFAULT);
  options.dict_size = 1u << 20;
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  LzmaStream stream;
  if (lzma_stream_encoder(&stream.handle, filters, LZMA_CHECK_CRC32) != LZMA_OK)
    return fail(ErrorCode::internal, "liblzma has no encoder");
  return run(stream.handle, module, module_cap_bytes);
}

Result<Buffer> decompress_zstd(Bytes file, std::uint64_t cap_bytes) {
  const std::unique_ptr<ZSTD_DCtx, decltype([](ZSTD_DCtx* context) { ZSTD_freeDCtx(context); })> context(
      ZSTD_createDCtx());
  if (!context) return fail(ErrorCode::internal, "libzstd has no decoder");
  Output out(cap_bytes);
  ZSTD_inBuffer in{file.data(), file.size(), 0};
  for (std::size_t state = 1; state != 0;) {
    const auto room = TRY(out.room());
    ZSTD_outBuffer into{room.data(), room.size(), 0};
    const auto taken_before = in.pos;
    state = ZSTD_decompressStream(context.get(), &into, &in);
    if (ZSTD_isError(state) != 0) return fail(damaged("zstd", in.pos));
    out.used(into.pos);
    if (state != 0 && into.pos == 0 && in.pos == taken_before) return fail(damaged("zstd", in.pos));
  }
  if (in.pos != in.size) return fail(followed("zstd", in.pos));
  return out.take();
}

Result<Buffer> compress_zstd(Bytes module) {
  const std::unique_ptr<ZSTD_CCtx, decltype([](ZSTD_CCtx* context) { ZSTD_freeCCtx(context); })> context(
      ZSTD_createCCtx());
  if (!context || ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, 3)) != 0 ||
      ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1)) != 0)
    return fail(ErrorCode::internal, "libzstd has no encoder");
  Buffer out(ZSTD_compressBound(module.size()));
  const auto size = ZSTD_compress2(context.get(), out.data(), out.size(), module.data(), module.size());
  if (ZSTD_isError(size) != 0) return fail(ErrorCode::internal, "libzstd cannot compress the module");
  out.resize(size);
  return out;
}

constexpr int gzip_window_bits = 15 + 16;  // zlib.h: 16 more for gzip instead of zlib

/// zlib counts in 32 bits, and module_cap_bytes fits into them.
static_assert(module_cap_bytes <= std::numeric_limits<uInt>::max());

Result<Buffer> decompress_gzip(Bytes file, std::uint64_t cap_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, gzip_window_bits) != Z_OK) return fail(ErrorCode::internal, "zlib has no decoder");
  const std::unique_ptr<z_stream, decltype([](z_stream* handle) { inflateEnd(handle); })> end(&stream);
  stream.next_in = const_cast<Bytef*>(file.data());  // zlib reads it only
  stream.avail_in = static_cast<uInt>(file.size());
  Output out(cap_bytes);
  for (int state = Z_OK; state != Z_STREAM_END;) {
    const auto room = TRY(out.room());
    stream.next_out = room.data();
    stream.avail_out = static_cast<uInt>(room.size());
    state = inflate(&stream, Z_NO_FLUSH);
    out.used(room.size() - stream.avail_out);
    if (state != Z_OK && state != Z_STREAM_END) return fail(damaged("gzip", file.size() - stream.avail_in));
  }
  if (stream.avail_in != 0) return fail(followed("gzip", file.size() - stream.avail_in));
  return out.take();
}

Result<Buffer> compress_gzip(Bytes module) {
  z_stream stream{};
  constexpr int memory_level = 8;  // zlib.h: the default
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, gzip_window_bits, memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
    return fail(ErrorCode::internal, "zlib has no encoder");
  const std::unique_ptr<z_stream, decltype([](z_stream* handle) { deflateEnd(handle); })> end(&stream);
  Buffer out(deflateBound(&stream, module.size()));
  stream.next_in = const_cast<Bytef*>(module.data());
  stream.avail_in = static_cast<uInt>(module.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) return fail(ErrorCode::internal, "zlib cannot compress the module");
  out.resize(out.size() - stream.avail_out);
  return out;
}

bool starts_with(Bytes file, std::initializer_list<std::uint8_t> magic) {
  return file.size() >= magic.size() && std::equal(magic.begin(), magic.end(), file.begin());
}

}  // namespace

ModuleCompression module_compression(Bytes file) {
  if (starts_with(file, {0xFD, '7', 'z', 'X', 'Z', 0})) return ModuleCompression::xz;
  if (starts_with(file, {0x28, 0xB5, 0x2F, 0xFD})) return ModuleCompression::zstd;
  if (starts_with(file, {0x1F, 0x8B})) return ModuleCompression::gzip;
  return ModuleCompression::none;
}

std::string_view module_suffix(ModuleCompression compression) {
  switch (compression) {
    case ModuleCompression::none:
      return ".ko";
    case ModuleCompression::xz:
      return ".ko.xz";
    case ModuleCompression::zstd:
      return ".ko.zst";
    case ModuleCompression::gzip:
      return ".ko.gz";
  }
  return "";
}

Result<Buffer> decompress_module(Bytes file, ModuleCompression compression, std::uint64_t cap_bytes) {
  cap_bytes = std::min(cap_bytes, module_cap_bytes);
  if (file.size() > cap_bytes) return fail(too_large(cap_bytes));
  switch (compression) {
    case ModuleCompression::none:
      return to_buffer(file);
    case ModuleCompression::xz:
      return decompress_xz(file, cap_bytes);
    case ModuleCompression::zstd:
      return decompress_zstd(file, cap_bytes);
    case ModuleCompression::gzip:
      return decompress_gzip(file, cap_bytes);
  }
  return fail(ErrorCode::internal, "no such compression");
}

Result<Buffer> compress_module(Bytes module, ModuleCompression compression) {
  if (module.size() > module_cap_bytes) return fail(too_large(module_cap_bytes));
  switch (compression) {
    case ModuleCompression::none:
      return to_buffer(module);
    case ModuleCompression::xz:
      return compress_xz(module);
    case ModuleCompression::zstd:
      return compress_zstd(module);
    case ModuleCompression::gzip:
      return compress_gzip(module);
  }
  return fail(ErrorCode::internal, "no such compression");
}

}  // namespace ingot::codec
