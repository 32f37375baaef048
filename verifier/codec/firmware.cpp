#include "ingot/codec/firmware.hpp"

#include <fmt/format.h>
#include <lzma.h>

#include <algorithm>

#include "ingot/base/reader.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::codec {
namespace {

constexpr Guid lzma_section = make_guid("ee4e5898-3914-4259-9d6e-dc7bd79403cf");
constexpr Guid dxe_volume_name = make_guid("7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1");
constexpr Guid smm_core = make_guid("e94f54cd-81eb-47ed-aec3-856f5dc157a9");
constexpr Guid pad_file = make_guid("ffffffff-ffff-ffff-ffff-ffffffffffff");

constexpr std::uint8_t section_guid_defined = 0x02;
constexpr std::uint8_t section_volume_image = 0x17;
constexpr std::size_t volume_header_size = 56;
constexpr std::size_t depth_cap = 8;
constexpr std::uint64_t volumes_cap_bytes = 2 * firmware_size_cap_bytes;

std::size_t align_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

std::uint32_t u24le(Reader& in) {
  const std::uint32_t low = in.u16le();
  return low | static_cast<std::uint32_t>(in.u8()) << 16;
}

/// The old LZMA format (5 bytes of properties, 8 of size), as edk2's LzmaCustomDecompressLib takes it.
Result<Buffer> decompress_lzma(Bytes data, std::uint64_t cap_bytes) {
  if (data.size() < 13) return fail(ErrorCode::malformed, "an LZMA section is too short for its header");
  const std::uint64_t size = Reader{data.subspan(5, 8)}.u64le();
  if (size > cap_bytes)
    return fail(ErrorCode::limit, fmt::format("an LZMA section claims {} bytes, {} are allowed", size, cap_bytes));
  Buffer out(static_cast<std::size_t>(size));
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_alone_decoder(&stream, 256u << 20) != LZMA_OK) return fail(ErrorCode::internal, "liblzma has no decoder");
  stream.next_in = data.data();
  stream.avail_in = data.size();
  stream.next_out = out.data();
  stream.avail_out = out.size();
  lzma_ret state = LZMA_OK;
  while (state == LZMA_OK && stream.avail_out > 0) state = lzma_code(&stream, LZMA_RUN);
  const bool complete = stream.avail_out == 0;
  lzma_end(&stream);
  if (!complete) return fail(ErrorCode::malformed, "an LZMA section is damaged");
  return out;
}

class Walker {
 public:
  Result<void> flash(Bytes bytes, bool compressed, std::size_t depth) {
    for (std::size_t at = 0; at + volume_header_size <= bytes.size();) {
      const std::size_t size = volume_size(bytes.subspan(at));
      if (size != 0) TRY(volume(bytes.subspan(at, size), compressed, depth));
      // Volumes start on 4 KiB in flash, on 16 bytes inside sections.
      at += size != 0 ? align_up(size, 16) : 16;
    }
    return {};
  }

  std::vector<FirmwareVolume> take() { return std::move(volumes_); }

 private:
  struct Inside {
    bool compressed = false;  ///< a compressed section is around it
    std::size_t depth = 0;    ///< how many sections and volumes are
  };

  /// 0 when no volume starts here.
  static std::size_t volume_size(Bytes bytes) {
    Reader in{bytes};
    in.skip(32);
    const std::uint64_t size = in.u64le();
    const std::uint32_t signature = in.u32le();
    in.skip(4);
    const std::uint16_t header_size = in.u16le();
    constexpr std::uint32_t fvh = 0x4856465F;  // "_FVH"
    if (!in.ok() || signature != fvh || size > bytes.size() || header_size < volume_header_size || header_size > size)
      return 0;
    return static_cast<std::size_t>(size);
  }

  Result<void> volume(Bytes bytes, bool compressed, std::size_t depth) {
    if (depth > depth_cap) return fail(ErrorCode::limit, "firmware volumes are nested too deeply");
    Reader in{bytes};
    in.skip(16);
    const Guid file_system = guid_from(in.bytes(16));
    in.skip(16);
    std::size_t files_at = in.u16le();
    in.skip(2);
    const std::size_t extended_at = in.u16le();
    total_ += bytes.size();
    if (total_ > volumes_cap_bytes)
      return fail(ErrorCode::limit, "firmware volumes inside each other of more than 128 MiB");
    FirmwareVolume found;
    found.compressed = compressed;
    found.bytes = to_buffer(bytes);
    if (extended_at != 0 && extended_at + 20 <= bytes.size()) {
      found.name = guid_from(bytes.subspan(extended_at, 16));
      files_at = extended_at + Reader{bytes.subspan(extended_at + 16, 4)}.u32le();
    }
    const std::size_t index = volumes_.size();
    volumes_.push_back(std::move(found));
    constexpr Guid ffs2 = make_guid("8c8ce578-8a3d-4f1c-9935-896185c32dd3");
    constexpr Guid ffs3 = make_guid("5473c07a-3dcb-4dca-bd6f-1e9689e7349a");
    if (file_system != ffs2 && file_system != ffs3) return {};
    return files(bytes, align_up(files_at, 8), index, {compressed, depth});
  }

  Result<void> files(Bytes volume_bytes, std::size_t at, std::size_t index, Inside inside) {
    while (at <= volume_bytes.size() && volume_bytes.size() - at >= 24) {
      Reader in{volume_bytes.subspan(at)};
      const Guid name = guid_from(in.bytes(16));
      in.skip(3);
      const bool large = (in.u8() & 0x01u) != 0;
      std::uint64_t size = u24le(in);
      in.skip(1);
      if (large) size = in.u64le();
      const std::size_t header = large ? 32 : 24;
      if (!in.ok() || size < header || size > volume_bytes.size() - at) break;  // free space is filled with 0xFF
      if (name != pad_file) {
        volumes_[index].files.push_back(name);
        TRY(sections(volume_bytes.subspan(at + header, static_cast<std::size_t>(size) - header), inside));
      }
      at = align_up(at + static_cast<std::size_t>(size), 8);
    }
    return {};
  }

  Result<void> sections(Bytes bytes, Inside inside) {
    for (std::size_t at = 0; at <= bytes.size() && bytes.size() - at >= 4;) {
      Reader in{bytes.subspan(at)};
      std::uint64_t size = u24le(in);
      const std::uint8_t type = in.u8();
      if (size == 0xFFFFFF) size = in.u32le();
      const std::size_t header = in.at();
      if (!in.ok() || size < header || size > bytes.size() - at) break;  // raw files have no sections at all
      const Bytes body = bytes.subspan(at + header, static_cast<std::size_t>(size) - header);
      if (type == section_volume_image) TRY(flash(body, inside.compressed, inside.depth + 1));
      if (type == section_guid_defined)
        TRY(guided(bytes.subspan(at, static_cast<std::size_t>(size)), header, inside.depth));
      at = align_up(at + static_cast<std::size_t>(size), 4);
    }
    return {};
  }

  Result<void> guided(Bytes section, std::size_t header, std::size_t depth) {
    if (section.size() < header + 20) return {};
    const Guid kind = guid_from(section.subspan(header, 16));
    const std::size_t data_at = Reader{section.subspan(header + 16, 2)}.u16le();
    if (kind != lzma_section || data_at > section.size()) return {};
    if (depth >= depth_cap) return fail(ErrorCode::limit, "compressed sections are nested too deeply");
    const auto inner = TRY(decompress_lzma(section.subspan(data_at), firmware_size_cap_bytes - decompressed_));
    decompressed_ += inner.size();
    return sections(inner, {true, depth + 1});
  }

  std::vector<FirmwareVolume> volumes_;
  std::uint64_t decompressed_ = 0;
  std::uint64_t total_ = 0;  ///< bytes of all volumes
};

}  // namespace

Result<std::vector<FirmwareVolume>> decode_firmware(Bytes flash) {
  if (flash.size() > firmware_size_cap_bytes) return fail(ErrorCode::limit, "a firmware file of more than 64 MiB");
  Walker walker;
  TRY(walker.flash(flash, false, 0));
  auto volumes = walker.take();
  if (volumes.empty())
    return fail(ErrorCode::malformed, "no firmware volume in the file",
                "give a UEFI firmware image such as OVMF_CODE_4M.fd");
  return volumes;
}

const FirmwareVolume* find_dxe_volume(const std::vector<FirmwareVolume>& volumes) {
  const auto found =
      std::find_if(volumes.begin(), volumes.end(), [](const auto& volume) { return volume.name == dxe_volume_name; });
  return found == volumes.end() ? nullptr : &*found;
}

std::optional<std::string> find_measured_text(const std::vector<FirmwareVolume>& volumes, const Digests& digests) {
  constexpr std::size_t text_cap_bytes = 256;
  const auto wanted = digests.find(HashAlg::sha256);
  if (wanted == digests.end()) return std::nullopt;
  const auto is_ascii = [](const Buffer& bytes, std::size_t at) {
    return bytes[at] >= 0x20 && bytes[at] < 0x7F && bytes[at + 1] == 0;
  };
  for (const auto& volume : volumes) {
    const auto& bytes = volume.bytes;
    for (std::size_t at = 0; at + 2 <= bytes.size(); at += 2) {
      std::size_t end = at;
      while (end + 2 <= bytes.size() && is_ascii(bytes, end)) end += 2;
      const bool ends_in_nul = end != at && end + 2 <= bytes.size() && bytes[end] == 0 && bytes[end + 1] == 0;
      if (ends_in_nul && end - at <= text_cap_bytes) {
        // The text may be the end of a longer one: linkers share tails.
        for (std::size_t from = at; from < end; from += 2)
          if (crypto::sha256(Bytes(bytes).subspan(from, end + 2 - from)) == wanted->second)
            return from_utf16le(Bytes(bytes).subspan(from, end - from));
      }
      at = end;
    }
  }
  return std::nullopt;
}

bool requires_smm(const std::vector<FirmwareVolume>& volumes) {
  return std::any_of(volumes.begin(), volumes.end(), [](const auto& volume) {
    return std::find(volume.files.begin(), volume.files.end(), smm_core) != volume.files.end();
  });
}

}  // namespace ingot::codec
