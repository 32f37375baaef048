// Prediction from finished, signed bytes; never from the profile.
#pragma once

#include "ingot/base/source.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/measure/boot_chain.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::measure {

struct ImageBytes {
  const ByteSource* disk = nullptr;  ///< disk.raw: GPT event
  const ByteSource* uki = nullptr;   ///< the signed UKI as it lies on the ESP
  Buffer db;                         ///< the db variable's data, to find the authority that lets each file start
  std::vector<std::string> phases;
  std::vector<Guid> allowed_partitions =
      {};                 ///< types of partitions that the node may add; none: the GPT stays as it is
  FirstStage first = {};  ///< what firmware starts, when that is not the UKI
};
/// Baseline.events, .pcrs, .phases, .stub, .uki_* for an image; name, role, version, root hash and manifest are the
/// caller's. With an empty db the authority events of PCR 7 are left out; a chain with shim needs it (missing). Error
/// (crypto) when no certificate of db signed what firmware starts, or none that the chain trusts signed the UKI.
Result<Baseline> predict_image(const ImageBytes& image);

/// The same for an image that is started over HTTP: no partition table, and OVMF measures the UKI twice, as the rig's
/// boots over HTTP show.
Result<Baseline> predict_network_boot(const ByteSource& uki, const Buffer& db, const std::vector<std::string>& phases);

/// The variables' share of PCR 7 as firmware measures it: SecureBoot, PK, KEK, db, dbx, separator.
Result<std::vector<ExpectedEvent>> secure_boot_events(const std::vector<codec::Variable>& variables);

/// The certificate of db that lets this UKI start, as firmware measures it into PCR 7 behind the separator. Errors
/// (crypto): the file is not signed, was changed, or no certificate of db signed it. dbx is not asked
/// (check::judge_image() does).
Result<ExpectedEvent> predict_authority(const ByteSource& uki, Bytes db);

/// The platform of a machine whose variables are changed and whose firmware is not: PCR 7 follows them, and nothing
/// else does. (OVMF alone hashes memory that knows its variables into PCR 0; that is learned anew.) Error (crypto): the
/// platform was not learned with the variables `before`.
Result<Platform> with_variables(const Platform& platform, const std::vector<codec::Variable>& before,
                                const std::vector<codec::Variable>& after);

}  // namespace ingot::measure
