// Signatures of PE files. "Windows Authenticode Portable Executable Signature Format" 1.0.
#pragma once

#include <memory>
#include <optional>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::signer {

/// PKCS#7 SignedData over SpcIndirectDataContent, SHA-256, DER, with the key's certificate. `authenticode_sha256` is
/// the file's digest, `what` its name in the signature log. `signing_time`: seconds since 1970 to claim in the
/// signature; none by default, so that the same file signs to the same bytes. Errors (crypto): a key that is not RSA;
/// (usage): a time outside of the years 1970 to 9999.
Result<Buffer> authenticode_signature(Bytes authenticode_sha256, const SigningKey& key, std::string_view what,
                                      std::optional<std::int64_t> signing_time = {});

/// What becomes of the signatures that a file has already.
enum class OldSignatures { refuse, keep, replace };
/// What a CheckSum that does not fit the file means. `must_fit`: the file was damaged, so it is refused; 0 says that
/// nobody set it, and is taken. `ignore` is for files that pesign signed, which leaves the old one.
enum class OldChecksum { must_fit, ignore };

struct PeSigning {
  OldSignatures signatures = OldSignatures::refuse;
  OldChecksum checksum = OldChecksum::must_fit;
  std::optional<std::int64_t> signing_time;  ///< as authenticode_signature() has it
  Durability durability = Durability::synced;
};

/// A PE file on its way to be signed: its bytes are where they go, under a temporary name, and were hashed on the way.
/// finish() gives it its signature and its name; without it nothing is left.
class PeToSign {
 public:
  /// Reads the file once. Errors (unsupported): it is signed and that is refused; (crypto): a signature that is to be
  /// kept is over other bytes; (malformed): CheckSum does not fit; (limit): 2 GiB or more, which firmware does not
  /// load.
  static Result<PeToSign> copy(SharedSource file, const std::string& out_path, const PeSigning& how = {});
  PeToSign(PeToSign&&) noexcept;
  ~PeToSign();
  /// SHA-256, over which the signature must be.
  [[nodiscard]] const Digest& digest() const;
  /// Appends the signature behind those that are kept, sets CheckSum, writes it whole. Call once. Errors (crypto): the
  /// signature is over another digest, or its signer has signed the file already.
  Result<void> finish(Bytes signature);

 private:
  struct State;
  explicit PeToSign(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Both halves in one: `out_path` is written whole or not at all.
Result<void> sign_pe(const SharedSource& file, const SigningKey& key, const std::string& out_path,
                     const PeSigning& how = {});

/// Copies a PE file without its certificate table (written whole or not at all), with CheckSum set, as `sbattach
/// --remove` does. Unsigned files are copied as they are. The zeros that a signer put before its table stay.
Result<void> strip_pe(const SharedSource& file, const std::string& out_path);

/// The same without one entry of the certificate table, counted from 1. Error (usage): it has no such entry.
Result<void> remove_signature(const SharedSource& file, std::size_t number, const std::string& out_path);

}  // namespace ingot::signer
