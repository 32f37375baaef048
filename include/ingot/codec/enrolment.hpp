// The documents of enrolment: JSON (RFC 8259), binary members in base64, unknown members refused. Every field:
// verifier/codec/enrolment.md.
#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/enrolment.hpp"

namespace ingot::codec {

inline constexpr std::uint64_t enrolment_document_cap_bytes = 1u << 20;

/// machine-id(5): 32 lower-case hexadecimal digits.
bool is_machine_id(std::string_view text);

std::string encode_identity(const TpmIdentity& identity);
Result<TpmIdentity> decode_identity(Bytes json);
std::string encode_challenge(const EnrolmentChallenge& challenge);
Result<EnrolmentChallenge> decode_challenge(Bytes json);
std::string encode_activation(const EnrolmentActivation& activation);
Result<EnrolmentActivation> decode_activation(Bytes json);
std::string encode_pending(const PendingEnrolment& pending);
Result<PendingEnrolment> decode_pending(Bytes json);
/// in-toto statement, canonical: equal values are equal bytes.
std::string encode_enrolment_statement(const Enrolment& enrolment);
Result<Enrolment> decode_enrolment_statement(Bytes json);

}  // namespace ingot::codec
