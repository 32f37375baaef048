// Replacing keys, and taking trust back: what is enrolled, in which order, and what each step leaves. Every step is
// played through measure::apply_update() before anybody gets it, so it is one that firmware takes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ingot/measure/variable_update.hpp"
#include "ingot/signer/variables.hpp"

namespace ingot::signer {

/// Keys that are replaced by plan. The others are replaced with the files that they sign.
enum class RotatedKey { pk, kek, db, pcr };
/// Of its files in a key folder: "PK", "KEK", "db", "pcr".
std::string_view to_text(RotatedKey key);
std::optional<RotatedKey> parse_rotated_key(std::string_view text);

/// A key that is there already; nothing in it: one is made.
struct BroughtKey {
  std::string reference;         ///< as SigningKey::load() takes it
  std::string certificate_path;  ///< PEM; of PK, KEK and db
};
/// A copy of a key folder with one key replaced, for what is built from now on. The old certificate of db is in its
/// dbx.esl: a machine that is enrolled from it never takes what the old key signed. A new certificate is named after
/// the old one, with a number. Errors (usage): `out` is there; `brought` is the old key, or lacks its certificate.
Result<KeyFolder> next_keys(const KeyFolder& keys, RotatedKey which, const BroughtKey& brought, const std::string& out);

/// What is done to a machine at once, and what it has afterwards.
struct EnrolmentStep {
  std::string name;                      ///< "overlap", "revoke", "replace", "switch"
  std::string does;                      ///< one sentence
  std::vector<EnrolmentUpdate> updates;  ///< in this order; none: the step is releases alone
  measure::EnrolledVariables after;
};

/// From what a machine has now to one that has nothing of the old key. db and KEK: the new certificate beside the old
/// one ("overlap"), then the new one alone ("revoke"; the old one of db goes to dbx, so that no old update brings it
/// back). PK is one certificate: "replace". pcr is in no variable: "switch". What a machine has done already is left
/// out. `time` is that of the first step; each further one is a second later. Errors: the machine does not have the old
/// key, or there is nothing left to do (usage); `next` has the same key (usage); apply_update()'s.
Result<std::vector<EnrolmentStep>> plan_rotation(RotatedKey which, const KeyFolder& keys, const KeyFolder& next,
                                                 const measure::EnrolledVariables& now, const codec::EfiTime& time);

/// The step that appends these entries to dbx, KEK signing it. Entries that dbx has already are left out; error (usage)
/// when none are left.
Result<EnrolmentStep> plan_revocation(const KeyFolder& keys, const measure::EnrolledVariables& now,
                                      std::vector<codec::SignatureList> entries, const codec::EfiTime& time);

}  // namespace ingot::signer
