// EFI_TIME, 16 bytes (UEFI 2.10, "GetTime()"), as variables carry it. Internal to codec/.
#pragma once

#include <algorithm>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/variable_store.hpp"

namespace ingot::codec {

inline constexpr std::size_t efi_time_rest_size = 9;

struct EfiTimeField {
  EfiTime time;
  Bytes rest;  ///< Pad1, Nanosecond, TimeZone, Daylight and Pad2
};
inline EfiTimeField read_efi_time(Reader& in) {
  EfiTimeField field;
  field.time.year = in.u16le();
  field.time.month = in.u8();
  field.time.day = in.u8();
  field.time.hour = in.u8();
  field.time.minute = in.u8();
  field.time.second = in.u8();
  field.rest = in.bytes(efi_time_rest_size);
  return field;
}

/// Of an update the rest is zero ("SetVariable()"), else the cursor fails. A store is the firmware's own: what it kept
/// there is not ours to refuse.
inline void refuse_finer_time(Reader& in, const EfiTimeField& field) {
  if (std::any_of(field.rest.begin(), field.rest.end(), [](std::uint8_t byte) { return byte != 0; }))
    in.fail_with("a time stamp with nanoseconds, a time zone or padding that is not zero");
}

inline void write_efi_time(Writer& out, const EfiTime& time) {
  out.u16le(time.year).u8(time.month).u8(time.day).u8(time.hour).u8(time.minute).u8(time.second);
  out.fill(efi_time_rest_size);
}

}  // namespace ingot::codec
