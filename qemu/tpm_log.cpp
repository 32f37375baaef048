#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ingot/base/reader.hpp"
#include "ingot/rig/firmware_run.hpp"

namespace ingot::rig {
namespace {

constexpr std::string_view read_mark = "SWTPM_IO_Read: length ";
constexpr std::size_t command_cap_bytes = 4096;  // of a PC client TPM
constexpr std::uint16_t st_sessions = 0x8002;
constexpr std::uint32_t cc_pcr_extend = 0x0182;
constexpr std::uint32_t bank_cap = 16;

std::string_view next_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), end + 1));
  return line;
}

/// " 80 02 00 ...": lines of hexadecimal until `size` bytes are there; nothing when the text ends before.
std::optional<Buffer> read_dump(std::string_view& text, std::size_t size) {
  Buffer bytes;
  while (bytes.size() < size) {
    if (text.find('\n') == std::string_view::npos) return std::nullopt;
    std::string digits;
    for (const char c : next_line(text))
      if (c != ' ') digits += c;
    const auto more = parse_hex(digits);
    if (!more || more->empty()) return std::nullopt;
    bytes.insert(bytes.end(), more->begin(), more->end());
  }
  return bytes;
}

/// Nothing for another command.
Result<std::optional<Extension>> decode_extend(Bytes command) {
  Reader in{command};
  const auto tag = in.u16be();
  in.skip(4);  // commandSize
  if (in.u32be() != cc_pcr_extend) return std::optional<Extension>{};
  Extension extension{in.u32be(), {}};
  if (tag == st_sessions) in.skip(in.u32be());
  const auto count = in.u32be();
  if (in.ok() && count > bank_cap) in.fail_with(fmt::format("{} digests", count));
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    const auto alg = static_cast<HashAlg>(in.u16be());
    const auto size = digest_size_bytes(alg);
    if (in.ok() && size == 0) in.fail_with(fmt::format("a digest of {}", to_text(alg)));
    const auto digest = in.bytes(size);
    if (in.ok() && std::find(std::begin(predicted_banks), std::end(predicted_banks), alg) != std::end(predicted_banks))
      extension.digests.emplace(alg, digest);
  }
  return TRY(in.finish(std::optional(std::move(extension))));
}

}  // namespace

Result<std::vector<Extension>> read_extensions(std::string_view log) {
  std::vector<Extension> all;
  while (log.find('\n') != std::string_view::npos) {
    const auto line = next_line(log);
    const auto at = line.find(read_mark);
    if (at == std::string_view::npos) continue;
    const auto digits = line.substr(at + read_mark.size());
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (error != std::errc{} || size > command_cap_bytes)
      return fail(ErrorCode::malformed, fmt::format("swtpm's log: a command of length \"{}\"", digits));
    const auto command = read_dump(log, size);
    if (!command) break;
    if (auto extension = TRY_IN("swtpm's log", decode_extend(*command))) all.push_back(*std::move(extension));
  }
  return all;
}

}  // namespace ingot::rig
