#include "ingot/codec/der.hpp"

#include <fmt/format.h>

#include "ingot/base/writer.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint8_t tag_number_mask = 0x1F;
constexpr std::uint8_t long_form = 0x80;
constexpr unsigned length_bytes_cap = 4;

std::uint64_t read_length(Reader& in) {
  const std::uint8_t first = in.u8();
  if (first < long_form) return first;
  const unsigned count = first & ~unsigned{long_form};
  if (count == 0 || count > length_bytes_cap) {
    in.fail_with(count == 0 ? "a DER element of indefinite length" : "a DER element of 4 GiB and more");
    return 0;
  }
  std::uint64_t length = 0;
  for (unsigned i = 0; i < count; ++i) length = length << 8 | in.u8();
  if (in.ok() && (length < long_form || length >> (8 * (count - 1)) == 0))
    in.fail_with("a DER length that is not the shortest form");
  return length;
}

}  // namespace

DerElement read_der(Reader& in) {
  // A second cursor, to have the element with its header in one view.
  Reader ahead = in;
  const std::uint8_t tag = ahead.u8();
  if (ahead.ok() && (tag & tag_number_mask) == tag_number_mask) ahead.fail_with("a DER tag of several bytes");
  const std::uint64_t length = read_length(ahead);
  if (!ahead.ok()) {
    // The failure of the second cursor is this one's.
    in = ahead;
    return {};
  }
  const std::size_t header = ahead.at() - in.at();
  const Bytes whole = in.bytes(header + length);
  if (!in.ok()) return {};
  return {tag, whole, whole.subspan(header)};
}

DerElement read_der(Reader& in, std::uint8_t tag) {
  if (in.ok() && in.left() > 0 && !next_der_is(in, tag)) {
    Reader ahead = in;
    in.fail_with(fmt::format("a DER element with tag 0x{:02x} where 0x{:02x} belongs", ahead.u8(), tag));
  }
  return read_der(in);
}

bool next_der_is(const Reader& in, std::uint8_t tag) {
  Reader ahead = in;
  return ahead.u8() == tag && ahead.ok();
}

Buffer encode_der(std::uint8_t tag, Bytes content) {
  Writer out;
  out.u8(tag);
  const std::size_t size = content.size();
  if (size < long_form) return out.u8(static_cast<std::uint8_t>(size)).bytes(content).take();
  unsigned count = 1;
  while (size >> (8 * count) != 0) ++count;
  out.u8(static_cast<std::uint8_t>(long_form | count));
  for (unsigned i = count; i-- > 0;) out.u8(static_cast<std::uint8_t>(size >> (8 * i)));
  return out.bytes(content).take();
}

}  // namespace ingot::codec
