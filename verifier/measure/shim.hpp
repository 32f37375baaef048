// What shim carries and how it judges. rhboot/shim at 16.1: cert.S, sbat_var.S, mok.c, verify.c. Internal to measure/.
#pragma once

#include "ingot/base/source.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::measure {

struct JudgedFile;

/// What a build of shim has in itself.
struct Shim {
  std::string version;  ///< "16.1"
  Buffer vendor;        ///< of the distribution: signature lists that it trusts, as shim makes them of a certificate
  Buffer vendor_forbidden;  ///< signature lists; may be empty
  std::string sbat_level;   ///< revocations that it puts into force by itself (SbatLevel, "automatic")
};
/// Errors: malformed; unsupported, a version whose measurements nobody has checked.
Result<Shim> read_shim(const ByteSource& file, const codec::Pe& pe);

/// What it measures of its own state, in order: MokList, MokListX, SbatLevel, MokListTrusted. On a machine whose
/// SbatLevel is newer than its own, that one is another.
std::vector<ExpectedEvent> shim_state_events(const Shim& shim, Bytes mok_list);

/// Who lets the second stage start in shim's eyes: an entry of db, else of what it trusts itself (MokListRT). Error
/// (crypto): nobody does.
Result<ExpectedEvent> shim_authority_event(const Shim& shim, const JudgedFile& file, Bytes db, Bytes mok_list);

}  // namespace ingot::measure
