// LUKS2 headers: one by libcryptsetup, all others after its model. Internal to signer/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "ingot/base/result.hpp"
#include "ingot/signer/volume.hpp"

namespace ingot::signer {

/// What the headers of a run have in common. libcryptsetup takes 25 ms for one, most of it for 4,000 reads of 64 random
/// bytes and for what it wipes; after the model it is 1.
class LuksModel {
 public:
  /// Formats a header with keys that nobody knows; then opens one after this model with libcryptsetup. Errors: io;
  /// unsupported, where that did not give the volume key.
  static Result<LuksModel> make();

  /// A header with that volume key (luks_key_bytes), which only key slot 0 gives out, to `passphrase`; with one token,
  /// salts and a UUID of its own. The passphrase must have the entropy of a key: its slot has the fewest iterations of
  /// PBKDF2 that libcryptsetup takes. Error (limit) for a token that is too long.
  [[nodiscard]] Result<VolumeHeader> header(Bytes passphrase, Bytes volume_key, const std::string& token_json) const;

 private:
  LuksModel() = default;
  Result<void> read(Bytes formatted);
  [[nodiscard]] Result<void> prove(int memory) const;

  Buffer first_, second_;    ///< the two binary headers, 4096 bytes each
  nlohmann::json document_;  ///< of both
  std::size_t slot_offset_bytes_ = 0;
  std::uint32_t slot_iterations_ = 0;
  std::uint32_t digest_iterations_ = 0;
};

}  // namespace ingot::signer
