#include "ingot/base/result.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace ingot {

Error Error::in(std::string_view context) && {
  message = fmt::format("{}: {}", context, message);
  return std::move(*this);
}

std::string describe(const Error& error) {
  std::string out;
  if (error.at) out += fmt::format("{}:{}:{}: ", error.at->file, error.at->line, error.at->column);
  out += error.message;
  if (error.offset_bytes) out += fmt::format(" (at byte {})", *error.offset_bytes);
  if (!error.remedy.empty()) out += fmt::format("; {}", error.remedy);
  return out;
}

int exit_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::malformed:
    case ErrorCode::unsupported:
    case ErrorCode::limit:
    case ErrorCode::crypto:
      return 2;
    case ErrorCode::usage:
    case ErrorCode::io:
    case ErrorCode::missing:
    case ErrorCode::busy:
    case ErrorCode::tool_failed:
    case ErrorCode::timeout:
    case ErrorCode::internal:
      return 3;
  }
  return 3;
}

Error io_error(std::string what, int errno_value) {
  std::string remedy;
  auto code = ErrorCode::io;
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
      remedy = "free some space there or choose another folder";
      break;
    case EACCES:
    case EPERM:
      remedy = "check the owner and mode, or run as root";
      break;
    case ENOENT:
      code = ErrorCode::missing;
      remedy = "check the path";
      break;
    case EROFS:
      remedy = "choose a folder that can be written to";
      break;
    default:
      break;
  }
  return Error{code, fmt::format("{}: {}", what, std::generic_category().message(errno_value)), std::move(remedy),
               std::nullopt, std::nullopt};
}

}  // namespace ingot
