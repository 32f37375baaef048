// What firmware makes of an authenticated update: what is enrolled after it, so that PCR 7 is known before a machine
// takes it. UEFI 2.10, "SetVariable()" and "Secure Boot and Driver Signing"; edk2 SecurityPkg/Library/AuthVariableLib.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ingot/codec/authenticated_variable.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/crypto/certificate.hpp"

namespace ingot::measure {

/// Error (crypto) unless one of `owners` signed this update of this variable (to append, or to replace).
Result<void> verify_update(const codec::KeyVariable& variable, codec::UpdateKind kind,
                           const codec::AuthenticatedUpdate& update, const std::vector<crypto::Certificate>& owners);

/// The X.509 entries of signature lists.
Result<std::vector<crypto::Certificate>> certificates_of(Bytes signature_lists);

/// PK, KEK, db and dbx of a machine, by name; those that it does not have are not in it.
struct EnrolledVariable {
  Buffer content;
  codec::EfiTime time;
  bool operator==(const EnrolledVariable&) const = default;
};
using EnrolledVariables = std::map<std::string, EnrolledVariable, std::less<>>;

/// Those of a variable store; other variables are left out.
EnrolledVariables enrolled_in(const std::vector<codec::Variable>& variables);
/// Those that firmware measured at the beginning of a boot (PCR 7), when the log's events are over their data. Nobody
/// measures an update's time: it is the earliest there is. Error (missing): the log has none of them with its data.
Result<EnrolledVariables> enrolled_in(const codec::EventLog& log);
/// As variables of a store, Secure Boot being on where there is a PK.
std::vector<codec::Variable> as_variables(const EnrolledVariables& enrolled);

/// Sets the variable as firmware would. Without PK (setup mode) an update of KEK, db or dbx need not be signed by
/// anybody, and one of PK must be signed by the key that it brings. Errors: not signed by the right key (crypto); not
/// later than what is enrolled, which firmware refuses (usage); content that is no signature lists (malformed).
Result<void> apply_update(EnrolledVariables& variables, const codec::KeyVariable& variable, codec::UpdateKind kind,
                          const codec::AuthenticatedUpdate& update);

}  // namespace ingot::measure
