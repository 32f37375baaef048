#include "ingot/measure/variable_update.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "ingot/codec/event_data.hpp"
#include "ingot/crypto/signed_data.hpp"

namespace ingot::measure {
namespace {

using codec::SignatureList;

auto as_tuple(const codec::EfiTime& time) {
  return std::make_tuple(time.year, time.month, time.day, time.hour, time.minute, time.second);
}

/// edk2's FilterSignatureList(): an entry that is enrolled already is not appended again, and a list that has none left
/// goes.
std::vector<SignatureList> without_known(std::vector<SignatureList> added, const std::vector<SignatureList>& known) {
  for (auto& list : added)
    std::erase_if(list.signatures, [&](const codec::SignatureData& entry) {
      return std::any_of(known.begin(), known.end(), [&](const SignatureList& other) {
        return other.type == list.type &&
               std::find(other.signatures.begin(), other.signatures.end(), entry) != other.signatures.end();
      });
    });
  std::erase_if(added, [](const SignatureList& list) { return list.signatures.empty(); });
  return added;
}

Result<std::vector<crypto::Certificate>> owners_of(const EnrolledVariables& variables,
                                                   const codec::KeyVariable& variable,
                                                   const codec::AuthenticatedUpdate& update) {
  if (!variables.contains("PK")) return certificates_of(update.content);
  const auto owner = variables.find(variable.signed_by);
  if (owner == variables.end()) return std::vector<crypto::Certificate>{};
  return certificates_of(owner->second.content);
}

}  // namespace

Result<std::vector<crypto::Certificate>> certificates_of(Bytes signature_lists) {
  std::vector<crypto::Certificate> out;
  for (const auto& list : TRY(codec::decode_signature_lists(signature_lists))) {
    if (list.type != codec::efi_cert_x509_guid) continue;
    for (const auto& entry : list.signatures) out.push_back(TRY(crypto::Certificate::from_der(entry.data)));
  }
  return out;
}

EnrolledVariables enrolled_in(const std::vector<codec::Variable>& variables) {
  EnrolledVariables out;
  for (const auto& variable : variables) {
    const auto* known = codec::find_key_variable(variable.name);
    if (known != nullptr && known->guid == variable.guid && !variable.data.empty())
      out[variable.name] = {variable.data, variable.time};
  }
  return out;
}

Result<EnrolledVariables> enrolled_in(const codec::EventLog& log) {
  constexpr PcrIndex secure_boot_pcr = 7;
  EnrolledVariables out;
  bool found = false;
  for (const auto& event : log.events) {
    if (event.pcr != secure_boot_pcr || event.type != EventType::EV_EFI_VARIABLE_DRIVER_CONFIG) continue;
    const auto measured = codec::decode_measured_variable(event.data);
    if (!measured || !codec::is_digest_of(event, event.data)) continue;
    const auto* known = codec::find_key_variable(measured->name);
    if (known == nullptr || known->guid != measured->guid) continue;
    found = true;
    if (!measured->data.empty()) out[measured->name] = {measured->data, {}};
  }
  if (!found)
    return fail(ErrorCode::missing, "the boot's log has no PK, KEK, db and dbx in it",
                "give the machine's variable store, or evidence of a machine whose firmware logs their data");
  return out;
}

std::vector<codec::Variable> as_variables(const EnrolledVariables& enrolled) {
  codec::SecureBootKeys keys;
  const auto content = [&](std::string_view name) {
    const auto found = enrolled.find(name);
    return found == enrolled.end() ? Buffer{} : found->second.content;
  };
  keys.pk = content("PK");
  keys.kek = content("KEK");
  keys.db = content("db");
  keys.dbx = content("dbx");
  auto variables = codec::secure_boot_variables(keys);
  for (auto& variable : variables)
    if (const auto found = enrolled.find(variable.name); found != enrolled.end()) variable.time = found->second.time;
  return variables;
}

Result<void> verify_update(const codec::KeyVariable& variable, codec::UpdateKind kind,
                           const codec::AuthenticatedUpdate& update, const std::vector<crypto::Certificate>& owners) {
  const auto message = codec::signed_bytes(variable, kind, update.time, update.content);
  std::string others;
  for (const auto& owner : owners) {
    auto verified = crypto::verify_signed_data(update.signed_data, message, owner);
    if (verified) return {};
    if (verified.error().code != ErrorCode::crypto) return verified;
    others += fmt::format("{}\"{}\"", others.empty() ? "" : ", ", owner.subject());
  }
  return fail(
      ErrorCode::crypto,
      fmt::format("this is no update {} {} signed under {}", kind == codec::UpdateKind::append ? "to" : "of",
                  variable.name, others.empty() ? "anybody: there is no certificate to hold it against" : others),
      "sign it with the key of the variable above it, for this variable, with or without --append");
}

Result<void> apply_update(EnrolledVariables& variables, const codec::KeyVariable& variable, codec::UpdateKind kind,
                          const codec::AuthenticatedUpdate& update) {
  const auto added = TRY_IN(variable.name, codec::decode_signature_lists(update.content));
  if (variables.contains("PK") || variable.name == "PK")
    TRY(verify_update(variable, kind, update, TRY(owners_of(variables, variable, update))));
  const auto enrolled = variables.find(variable.name);
  if (kind == codec::UpdateKind::append && enrolled != variables.end()) {
    auto& [content, time] = enrolled->second;
    const auto news = codec::encode_signature_lists(
        without_known(added, TRY_IN(variable.name, codec::decode_signature_lists(content))));
    content.insert(content.end(), news.begin(), news.end());
    if (as_tuple(time) < as_tuple(update.time)) time = update.time;
    return {};
  }
  // edk2's AuthServiceInternalCompareTimeStamp(): "not later" is not new.
  if (enrolled != variables.end() && as_tuple(update.time) <= as_tuple(enrolled->second.time))
    return fail(ErrorCode::usage,
                fmt::format("the update of {} is of {}, what is enrolled of {}: firmware takes a later one only",
                            variable.name, codec::to_text(update.time), codec::to_text(enrolled->second.time)),
                "sign it again with a later --time");
  if (update.content.empty())
    variables.erase(std::string(variable.name));
  else
    variables[std::string(variable.name)] = {update.content, update.time};
  return {};
}

}  // namespace ingot::measure
