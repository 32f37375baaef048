#include "key_options.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/ui.h>

#include <array>
#include <cstring>

#include "ingot/base/descriptor.hpp"

namespace ingot::cli {
namespace {

constexpr int longest_answer = 1024;

/// One command runs in a process.
signer::PinSources& given() {
  static signer::PinSources sources;
  return sources;
}

/// OpenSSL's dialog puts the terminal right again, whatever signal comes.
Result<crypto::Secret> ask(const std::string& prompt) {
  std::array<char, longest_answer + 1> answer{};
  const int status = UI_UTIL_read_pw_string(answer.data(), longest_answer, prompt.c_str(), 0);
  const std::string_view text(answer.data(), ::strnlen(answer.data(), answer.size()));
  auto secret = crypto::Secret::copy_of(as_bytes(text));
  OPENSSL_cleanse(answer.data(), answer.size());
  if (status == 0 && !secret.empty()) return secret;
  return fail(ErrorCode::usage, "no PIN or passphrase was entered");
}

}  // namespace

void add_pin_options(CLI::App& command) {
  auto* file = command.add_option("--pin-file,--passphrase-file", given().file,
                                  "File with the token's PIN or the key's passphrase in its first line, 0600");
  command.add_option("--pin-fd", given().descriptor, "Open descriptor to read it from instead")
      ->check(CLI::NonNegativeNumber)
      ->excludes(file);
}

signer::PinSources pin_sources() {
  auto sources = given();
  // Without a terminal OpenSSL's dialog would read standard input, which is for other things.
  if (Descriptor(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)).is_open()) sources.ask = ask;
  return sources;
}

}  // namespace ingot::cli
