// Secure Boot's keys on a running node, through efivarfs. libefivar is not to be had as a static library, and this
// program is one file; the files are the same ones that it reads.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "efivars.hpp"
#include "ingot/base/result.hpp"
#include "ingot/codec/authenticated_variable.hpp"

namespace ingot::agent {

struct SecureBootStatus {
  bool secure_boot = false;
  bool setup_mode = false;
  /// PK, KEK, db, dbx: signature lists; a variable that firmware does not have is not in it.
  std::map<std::string, Buffer, std::less<>> variables;
};
/// Error (missing): not started by UEFI, or efivarfs is not mounted.
Result<SecureBootStatus> read_secure_boot(const std::string& efivars);

/// For people, and as one JSON document (with the fingerprint of every certificate).
Result<std::string> status_text(const SecureBootStatus& status);
Result<std::string> status_json(const SecureBootStatus& status);

struct EnrolOptions {
  std::string efivars = default_efivars;
  std::string folder;  ///< with any of dbx.auth, db.auth, KEK.auth, PK.auth
  codec::UpdateKind kind = codec::UpdateKind::replace;
};
/// Hands the updates to firmware, dbx first and PK last; what was done, one line each. Every file is looked at before
/// the first is written. Errors: a file that is no update (malformed); outside setup mode one that nobody enrolled has
/// signed (crypto); firmware's refusal (io), with what was written before.
Result<std::string> enroll(const EnrolOptions& options);

/// `ingot-agent secureboot status|enroll ...`: `words` without the first. Returns what goes to standard output.
Result<std::string> run_secureboot(const std::vector<std::string>& words);

}  // namespace ingot::agent
