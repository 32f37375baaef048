// Would firmware start this file under Secure Boot? UEFI 2.10, "Firmware/OS Key Exchange: creating trust
// relationships", "UEFI Image Validation".
#pragma once

#include <string>

#include "ingot/base/source.hpp"
#include "ingot/codec/pe.hpp"

namespace ingot::check {

/// The data of the variables of that name: signature lists. Empty: nothing in it.
struct SignatureDatabases {
  Bytes db;
  Bytes dbx;
};

struct ImageJudgement {
  bool accepted = false;
  std::string reason;  ///< by what it is accepted, or everything that kept it from it; one line
};

/// The file's digest and each of its signatures against X.509 entries and digests (SHA-256, -384, -512). dbx wins: one
/// forbidden signature, or the file's digest, and it is refused, whatever else db says; as in edk2 times are not
/// checked. Stricter than edk2 in one thing: each digest of dbx counts, whatever hash the signatures are over.
/// `pe` is decode_pe() of this very file. Errors: a database that is no signature lists (malformed); a dbx with entries
/// of a kind that is not judged here, since leaving them out could accept what they forbid (unsupported).
Result<ImageJudgement> judge_image(const ByteSource& file, const codec::Pe& pe, const SignatureDatabases& databases);

}  // namespace ingot::check
