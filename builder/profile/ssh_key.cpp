#include "ssh_key.hpp"

#include <fmt/format.h>

#include "ingot/base/bytes.hpp"
#include "ingot/base/reader.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::uint32_t least_rsa_bits = 3072;  // requiredrsasize of the settings table

/// RFC 4251, "Data Type Representations Used in the SSH Protocols": string.
Bytes read_string(Reader& in) { return in.bytes(in.u32be()); }

/// RFC 4253, "Public Key Algorithms": ssh-rsa is string, mpint e, mpint n.
std::size_t rsa_bits(Reader& in) {
  (void)read_string(in);
  auto modulus = read_string(in);
  while (!modulus.empty() && modulus.front() == 0) modulus = modulus.subspan(1);
  if (modulus.empty()) return 0;
  std::size_t bits = modulus.size() * 8;
  for (auto top = modulus.front(); (top & 0x80) == 0; top = static_cast<std::uint8_t>(top << 1)) --bits;
  return bits;
}

}  // namespace

Result<std::string> read_public_key(const Located<std::string>& line, std::string_view what) {
  const auto& text = line.value;
  if (text.find("PRIVATE KEY") != std::string::npos)
    return wrong(line.at, fmt::format("{} is a private key", what),
                 "it must never be near a profile: name the file that ends in .pub, and make a new key");
  const auto type_end = text.find(' ');
  const auto type = text.substr(0, type_end);
  const auto body = type_end == std::string::npos ? std::string() : text.substr(type_end + 1);
  const auto base64 = body.substr(0, body.find(' '));
  const auto blob = parse_base64(base64);
  Reader in(blob ? Bytes(*blob) : Bytes());
  if (!blob || blob->empty() || as_text(read_string(in)) != type || !in.ok())
    return wrong(line.at, fmt::format("{} is no OpenSSH public key", what),
                 "expected one line such as \"ssh-ed25519 AAAA... comment\", as ssh-keygen writes it into a .pub file");
  const bool is_rsa = type == "ssh-rsa";
  if (!is_rsa && type != "ssh-ed25519" && type != "sk-ssh-ed25519@openssh.com")
    return wrong(line.at, fmt::format("{} is a key of type {}, which sshd's settings refuse", what, type),
                 "use ssh-ed25519, sk-ssh-ed25519@openssh.com, or RSA of at least 3072 bits");
  const auto bits = is_rsa ? rsa_bits(in) : least_rsa_bits;
  if (!is_rsa) {
    if (read_string(in).size() != 32) return wrong(line.at, fmt::format("{} is cut off", what));
    if (type.starts_with("sk-")) (void)read_string(in);
  }
  if (!in.ok() || in.left() != 0) return wrong(line.at, fmt::format("{} is cut off or has bytes behind its end", what));
  if (bits < least_rsa_bits)
    return wrong(line.at, fmt::format("{} is RSA of {} bits, expected at least {}", what, bits, least_rsa_bits));
  return fmt::format("{} {}", type, base64);
}

}  // namespace ingot::builder::detail
