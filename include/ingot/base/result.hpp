// Errors are values. A difference between what was cast and what booted is a Finding, not an Error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace ingot {

/// Closed set; each code has one exit status (see exit_status()).
enum class ErrorCode {
  malformed,    ///< bytes or text do not follow their format
  unsupported,  ///< well-formed, but of a kind that is not handled
  limit,        ///< exceeds a documented bound
  crypto,       ///< a signature, key or certificate is not acceptable
  usage,        ///< the command was called wrongly
  io,           ///< the operating system refused (permission, disk full, no such file)
  missing,      ///< something that must be there is not: a file, a key, a package, a tool
  busy,         ///< another process holds the resource
  tool_failed,  ///< a tool we run ended with an error
  timeout,      ///< nothing came in the time allowed
  internal,     ///< a broken promise of our own code
};

/// Where in a text file; line and column count from 1.
struct TextLocation {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

/// What was found, what was expected, what to do. `message` is one sentence without a final full stop.
struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::string remedy;                         ///< what the user can do; may be empty
  std::optional<std::uint64_t> offset_bytes;  ///< where in the input bytes
  std::optional<TextLocation> at;             ///< where in the input text

  /// The same error seen from one level up: "context: message".
  [[nodiscard]] Error in(std::string_view context) &&;
};

/// One line for people: "file:line:column: message (at byte N); remedy".
std::string describe(const Error& error);

/// The command-line contract: 2 for malformed input, 3 for usage and everything of the outside world.
int exit_status(ErrorCode code);

template <typename T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string remedy = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(remedy), std::nullopt, std::nullopt});
}

/// errno as an Error: "what: strerror"; ENOSPC, EACCES and the like get a remedy.
Error io_error(std::string what, int errno_value);

namespace detail {
template <typename T>
T take(Result<T>&& result) {
  return *std::move(result);
}
inline void take(Result<void>&&) {}
}  // namespace detail

}  // namespace ingot

// A name of its own for each use, so that one TRY may stand inside another.
#define INGOT_JOIN_(a, b) a##b
#define INGOT_JOIN(a, b) INGOT_JOIN_(a, b)
#define INGOT_TRY_(name, ...)                                 \
  ({                                                          \
    auto name = (__VA_ARGS__);                                \
    if (!name) return ::ingot::fail(std::move(name).error()); \
    ::ingot::detail::take(std::move(name));                   \
  })
#define INGOT_TRY_IN_(name, context, ...)                                 \
  ({                                                                      \
    auto name = (__VA_ARGS__);                                            \
    if (!name) return ::ingot::fail(std::move(name).error().in(context)); \
    ::ingot::detail::take(std::move(name));                               \
  })

/// The value of a Result, or return its Error from the enclosing function. Not among other members of a braced
/// initializer: gcc 12 forgets to destroy the ones before it when it returns. A local variable first is safe.
#define TRY(...) INGOT_TRY_(INGOT_JOIN(try_result_, __COUNTER__), __VA_ARGS__)
/// TRY with context: the error is prefixed with `context` ("context: message").
#define TRY_IN(context, ...) INGOT_TRY_IN_(INGOT_JOIN(try_result_, __COUNTER__), context, __VA_ARGS__)
