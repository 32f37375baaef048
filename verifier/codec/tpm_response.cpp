#include "ingot/codec/tpm_response.hpp"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>

namespace ingot::codec {
namespace {

constexpr std::uint32_t format_one = 0x080;  // bit 7: the code carries the number of an argument
constexpr std::uint32_t version_one = 0x100;
constexpr std::uint32_t warning = 0x900;

struct Row {
  std::uint32_t code;
  std::string_view name;
};
// Part 2, "TPM_RC Values", without the prefix TPM_RC_ that all of them have.
constexpr std::array<Row, 33> format_one_rows = {
    {{0x01, "ASYMMETRIC"},   {0x02, "ATTRIBUTES"},    {0x03, "HASH"},      {0x04, "VALUE"},       {0x05, "HIERARCHY"},
     {0x07, "KEY_SIZE"},     {0x08, "MGF"},           {0x09, "MODE"},      {0x0A, "TYPE"},        {0x0B, "HANDLE"},
     {0x0C, "KDF"},          {0x0D, "RANGE"},         {0x0E, "AUTH_FAIL"}, {0x0F, "NONCE"},       {0x10, "PP"},
     {0x12, "SCHEME"},       {0x15, "SIZE"},          {0x16, "SYMMETRIC"}, {0x17, "TAG"},         {0x18, "SELECTOR"},
     {0x1A, "INSUFFICIENT"}, {0x1B, "SIGNATURE"},     {0x1C, "KEY"},       {0x1D, "POLICY_FAIL"}, {0x1F, "INTEGRITY"},
     {0x20, "TICKET"},       {0x21, "RESERVED_BITS"}, {0x22, "BAD_AUTH"},  {0x23, "EXPIRED"},     {0x24, "POLICY_CC"},
     {0x25, "BINDING"},      {0x26, "CURVE"},         {0x27, "ECC_POINT"}}};
constexpr std::array<Row, 34> error_rows = {{{0x00, "INITIALIZE"},
                                             {0x01, "FAILURE"},
                                             {0x03, "SEQUENCE"},
                                             {0x0B, "PRIVATE"},
                                             {0x19, "HMAC"},
                                             {0x20, "DISABLED"},
                                             {0x21, "EXCLUSIVE"},
                                             {0x24, "AUTH_TYPE"},
                                             {0x25, "AUTH_MISSING"},
                                             {0x26, "POLICY"},
                                             {0x27, "PCR"},
                                             {0x28, "PCR_CHANGED"},
                                             {0x2D, "UPGRADE"},
                                             {0x2E, "TOO_MANY_CONTEXTS"},
                                             {0x2F, "AUTH_UNAVAILABLE"},
                                             {0x30, "REBOOT"},
                                             {0x31, "UNBALANCED"},
                                             {0x42, "COMMAND_SIZE"},
                                             {0x43, "COMMAND_CODE"},
                                             {0x44, "AUTHSIZE"},
                                             {0x45, "AUTH_CONTEXT"},
                                             {0x46, "NV_RANGE"},
                                             {0x47, "NV_SIZE"},
                                             {0x48, "NV_LOCKED"},
                                             {0x49, "NV_AUTHORIZATION"},
                                             {0x4A, "NV_UNINITIALIZED"},
                                             {0x4B, "NV_SPACE"},
                                             {0x4C, "NV_DEFINED"},
                                             {0x50, "BAD_CONTEXT"},
                                             {0x51, "CPHASH"},
                                             {0x52, "PARENT"},
                                             {0x53, "NEEDS_TEST"},
                                             {0x54, "NO_RESULT"},
                                             {0x55, "SENSITIVE"}}};
constexpr std::array<Row, 14> warning_rows = {{{0x01, "CONTEXT_GAP"},
                                               {0x02, "OBJECT_MEMORY"},
                                               {0x03, "SESSION_MEMORY"},
                                               {0x04, "MEMORY"},
                                               {0x05, "SESSION_HANDLES"},
                                               {0x06, "OBJECT_HANDLES"},
                                               {0x07, "LOCALITY"},
                                               {0x08, "YIELDED"},
                                               {0x09, "CANCELED"},
                                               {0x0A, "TESTING"},
                                               {0x20, "NV_RATE"},
                                               {0x21, "LOCKOUT"},
                                               {0x22, "RETRY"},
                                               {0x23, "NV_UNAVAILABLE"}}};

std::string_view name_of(std::span<const Row> rows, std::uint32_t code) {
  for (const auto& row : rows)
    if (row.code == code) return row.name;
  return {};
}

/// Part 2, "Response Code Formats": bit 6 tells parameters from the rest, bit 11 sessions from handles.
std::string argument_of(std::uint32_t code) {
  if ((code & 0x040) != 0) return fmt::format("parameter {}", (code >> 8) & 0xF);
  const std::uint32_t number = (code >> 8) & 0x7;
  if (number == 0) return {};
  return fmt::format("{} {}", (code & 0x800) != 0 ? "session" : "handle", number);
}

}  // namespace

std::string tpm_response_text(std::uint32_t code) {
  std::string_view name;
  std::string argument;
  if ((code & format_one) != 0) {
    name = name_of(format_one_rows, code & 0x3F);
    argument = argument_of(code);
  } else if ((code & 0xF80) == warning) {
    name = name_of(warning_rows, code & 0x7F);
  } else if ((code & 0xF80) == version_one) {
    name = name_of(error_rows, code & 0x7F);
  }
  if (name.empty()) return fmt::format("0x{:03x}", code);
  return argument.empty() ? fmt::format("TPM_RC_{} (0x{:03x})", name, code)
                          : fmt::format("TPM_RC_{} ({}, 0x{:03x})", name, argument, code);
}

bool tpm_asks_for_retry(std::uint32_t code) { return code == 0x908 || code == 0x90A || code == 0x922; }

bool tpm_knows_no_such_handle(std::uint32_t code) {
  return (code & format_one) != 0 && (code & 0x3F) == 0x0B && (code & 0x040) == 0;
}

}  // namespace ingot::codec
