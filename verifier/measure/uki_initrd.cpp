// The initrd that systemd-stub hands to the kernel, which the kernel's EFI stub measures into PCR 9. systemd 257,
// src/boot/efi/stub.c (the initrd table, generate_embedded_initrds), initrd.c (combine_initrds), cpio.c.
#include <fmt/format.h>

#include <array>

#include "ingot/base/writer.hpp"
#include "ingot/measure/uki.hpp"
#include "uki_layout.hpp"

namespace ingot::measure {
namespace {

constexpr std::uint32_t directory_mode = 0040555;
constexpr std::uint32_t file_mode = 0100444;
constexpr std::string_view folder = ".extra";

/// A newc header and name, padded to 4. Times, owners and devices are zero; the digits are lower case.
/// Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
void write_entry(Writer& out, std::uint32_t inode, std::uint32_t mode, std::uint32_t size, std::string_view name) {
  const auto word = [&](std::uint32_t value) { out.text(fmt::format("{:08x}", value)); };
  out.text("070701");
  word(inode), word(mode);
  word(0), word(0);  // owner, group
  word(1);           // links, for folders too
  word(0);           // modification time
  word(size);
  word(0), word(0), word(0), word(0);  // devices
  word(static_cast<std::uint32_t>(name.size() + 1));
  word(0);  // checksum
  out.text(name).u8(0).align(4);
}

/// The stub's constant trailer: its digits are upper case, unlike those it writes itself.
constexpr std::string_view trailer{
    "070701"
    "00000000000000000000000000000000000000010000000000000000"
    "000000000000000000000000000000000000000B00000000"
    "TRAILER!!!\0\0\0\0",
    124};

struct Embedded {
  std::string_view section;
  std::string_view file;
};
/// In the order in which they are concatenated, which is not the order of the sections.
constexpr std::array<Embedded, 4> embedded_257 = {{{".pcrsig", "tpm2-pcr-signature.json"},
                                                   {".pcrpkey", "tpm2-pcr-public-key.pem"},
                                                   {".osrel", "os-release"},
                                                   {".profile", "profile"}}};
/// Until 256 the stub makes files of the PCR signature and its key only.
constexpr std::array<Embedded, 2> embedded_252 = {{embedded_257[0], embedded_257[1]}};

}  // namespace

Stream extra_file_cpio(std::string_view name, const codec::PeSection& section) {
  Writer head;
  write_entry(head, 1, directory_mode, 0, folder);
  write_entry(head, 2, file_mode, section.virtual_size, fmt::format("{}/{}", folder, name));
  Piece content = loaded_section(section);
  content.zeroes += (4 - section.virtual_size % 4) % 4;
  return {Piece{0, 0, head.take(), 0}, std::move(content), Piece{0, 0, to_buffer(as_bytes(trailer)), 0}};
}

Result<InitrdStream> initrd_stream(const ByteSource& uki, const codec::Pe& pe) {
  const auto version = TRY(stub_version(uki, pe));
  std::vector<Stream> parts;
  std::string text;
  const auto add = [&](Stream part, std::string_view name) {
    parts.push_back(std::move(part));
    text += (text.empty() ? "" : " + ") + std::string(name);
  };
  const auto present = [&](std::string_view name) -> const codec::PeSection* {
    const auto* section = pe.find(name);
    return section == nullptr || section->virtual_size == 0 ? nullptr : section;
  };
  if (const auto* ucode = present(".ucode")) add({loaded_section(*ucode)}, ".ucode");
  if (const auto* initrd = present(".initrd")) add({loaded_section(*initrd)}, ".initrd");
  const std::span<const Embedded> embedded = version >= 257 ? std::span<const Embedded>(embedded_257) : embedded_252;
  for (const auto& [section_name, file] : embedded) {
    const auto* section = present(section_name);
    if (section != nullptr) add(extra_file_cpio(file, *section), file);
  }
  // A single part goes to the kernel as it is; several are each padded to 4 bytes (combine_initrds).
  InitrdStream out;
  for (auto& part : parts) {
    const auto padding = parts.size() > 1 ? (4 - stream_size(part) % 4) % 4 : 0;
    for (auto& piece : part) out.stream.push_back(std::move(piece));
    out.stream.push_back({0, 0, {}, padding});
  }
  out.text = fmt::format("{} bytes: {}", stream_size(out.stream), text);
  return out;
}

}  // namespace ingot::measure
