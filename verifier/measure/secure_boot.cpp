// Secure Boot's share of PCR 7. TCG PFP 1.06, "PCR[7] - Secure Boot Policy Measurements".
#include "secure_boot.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "expected.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/crypto/authenticode.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::measure {
namespace {

constexpr PcrIndex secure_boot_pcr = 7;

const codec::Variable* find(const std::vector<codec::Variable>& variables, std::string_view name, const Guid& guid) {
  const auto found = std::find_if(variables.begin(), variables.end(),
                                  [&](const auto& one) { return one.name == name && one.guid == guid; });
  return found == variables.end() ? nullptr : &*found;
}

/// The measured variables in their order. dbt and dbr are measured only when they exist.
struct Measured {
  std::string_view name;
  Guid guid;
  bool when_unset;
};
constexpr Measured policy_variables[] = {
    {"PK", codec::efi_global_variable_guid, true},           {"KEK", codec::efi_global_variable_guid, true},
    {"db", codec::efi_image_security_database_guid, true},   {"dbx", codec::efi_image_security_database_guid, true},
    {"dbt", codec::efi_image_security_database_guid, false}, {"dbr", codec::efi_image_security_database_guid, false}};

/// UEFI 2.10, "Using The EFI_SECURE_BOOT variables": on when a PK is enrolled, unless edk2's SecureBootEnable says no.
bool secure_boot_is_on(const std::vector<codec::Variable>& variables) {
  const auto* pk = find(variables, "PK", codec::efi_global_variable_guid);
  const auto* enable = find(variables, "SecureBootEnable", codec::efi_secure_boot_enable_guid);
  return pk != nullptr && !pk->data.empty() &&
         (enable == nullptr || (enable->data.size() == 1 && enable->data[0] == 1));
}

/// In each bank that both have; there is one at least.
bool same_digests(const Digests& measured, const Digests& expected) {
  bool any = false;
  for (const auto& [alg, digest] : expected)
    if (const auto found = measured.find(alg); found != measured.end()) {
      if (found->second != digest) return false;
      any = true;
    }
  return any;
}

}  // namespace

Result<std::vector<ExpectedEvent>> secure_boot_events(const std::vector<codec::Variable>& variables) {
  std::vector<ExpectedEvent> events;
  const std::uint8_t on[] = {static_cast<std::uint8_t>(secure_boot_is_on(variables) ? 1 : 0)};
  events.push_back(
      expect_data(secure_boot_pcr, EventType::EV_EFI_VARIABLE_DRIVER_CONFIG,
                  codec::encode_measured_variable({codec::efi_global_variable_guid, "SecureBoot", to_buffer(on)}),
                  "SecureBoot", on[0] == 1 ? "on" : "off"));
  for (const auto& [name, guid, when_unset] : policy_variables) {
    const auto* variable = find(variables, name, guid);
    if (variable == nullptr && !when_unset) continue;
    const Bytes data = variable == nullptr ? Bytes{} : Bytes(variable->data);
    events.push_back(expect_data(secure_boot_pcr, EventType::EV_EFI_VARIABLE_DRIVER_CONFIG,
                                 codec::encode_measured_variable({guid, std::string(name), to_buffer(data)}),
                                 std::string(name), codec::describe_signature_lists(data)));
  }
  events.push_back(expect_separator(secure_boot_pcr));
  return events;
}

Result<void> check_is_signed(const JudgedFile& file) {
  if (file.pe.is_signed()) return {};
  return fail(ErrorCode::crypto, fmt::format("{} is not signed: with Secure Boot on, it is refused", file.name),
              "sign it with a key whose certificate is in db");
}

Result<void> check_signed_digest(const JudgedFile& file, Bytes signature) {
  const auto over = TRY(crypto::signed_image_digest(signature));
  const auto digest = file.authenticode.find(over.alg);
  if (digest != file.authenticode.end() && digest->second == over.digest) return {};
  return fail(ErrorCode::crypto,
              fmt::format("{}'s signature is over other bytes: the file was changed after it was signed", file.name));
}

ExpectedEvent expect_authority(const Guid& guid, std::string_view variable, const codec::SignatureData& entry,
                               std::string text) {
  const auto data = codec::encode_measured_variable({guid, std::string(variable), codec::encode_signature_data(entry)});
  return expect_data(secure_boot_pcr, EventType::EV_EFI_VARIABLE_AUTHORITY, data, fmt::format("{} authority", variable),
                     std::move(text));
}

// edk2 SecurityPkg DxeImageVerificationLib: each signature of the file against each certificate of db, in order; the
// first that fits is the authority.
Result<codec::SignatureData> authority_of(const JudgedFile& file, Bytes db) {
  TRY(check_is_signed(file));
  const auto lists = TRY_IN("db", codec::decode_signature_lists(db));
  for (const auto& signature : TRY(codec::pe_signatures(file.file, file.pe))) {
    TRY(check_signed_digest(file, signature));
    for (const auto& list : lists) {
      if (list.type != codec::efi_cert_x509_guid) continue;
      for (const auto& entry : list.signatures) {
        const auto certificate = crypto::Certificate::from_der(entry.data);
        if (certificate && crypto::verify_authenticode(signature, *certificate)) return entry;
      }
    }
  }
  return fail(ErrorCode::crypto, fmt::format("no certificate of db signed {}: firmware would refuse it", file.name),
              "sign it with a key whose certificate is in db, or enrol the certificate");
}

Result<ExpectedEvent> authority_event(const JudgedFile& file, Bytes db) {
  const auto entry = TRY(authority_of(file, db));
  return expect_authority(codec::efi_image_security_database_guid, "db", entry,
                          TRY(crypto::Certificate::from_der(entry.data)).subject());
}

Result<ExpectedEvent> predict_authority(const ByteSource& uki, Bytes db) {
  const auto pe = TRY(codec::decode_pe(uki));
  return authority_event({"the UKI", uki, pe, TRY(authenticode_digests(uki, pe, predicted_banks))}, db);
}

Result<Platform> with_variables(const Platform& platform, const std::vector<codec::Variable>& before,
                                const std::vector<codec::Variable>& after) {
  const auto old_events = TRY(secure_boot_events(before));
  const auto new_events = TRY(secure_boot_events(after));
  if (old_events.size() != new_events.size())
    return fail(ErrorCode::unsupported, "dbt or dbr come or go, which is not predicted", "learn the platform anew");
  Platform out = platform;
  std::vector<ExpectedEvent> share;
  std::size_t known = 0;
  for (auto& event : out.events) {
    if (event.pcr != secure_boot_pcr) continue;
    if (known < old_events.size() && same_digests(event.digests, old_events[known].digests)) {
      Digests changed;
      for (const auto& [alg, digest] : new_events[known].digests)
        if (event.digests.contains(alg)) changed.emplace(alg, digest);
      event.digests = std::move(changed);
      event.alternatives.clear();
      event.text = new_events[known].text;
      ++known;
    }
    share.push_back(event);
  }
  if (known != old_events.size())
    return fail(ErrorCode::crypto,
                fmt::format("the platform \"{}\" was not learned with this {}", platform.name, old_events[known].cause),
                "give the platform of these machines, and the variables that they have now");
  const auto values = replay_expected(share, {});
  for (auto& [alg, bank] : out.pcrs) {
    if (bank.erase(secure_boot_pcr) == 0) continue;
    if (const auto replayed = values.find(alg); replayed != values.end())
      bank[secure_boot_pcr] = replayed->second.at(secure_boot_pcr);
  }
  return out;
}

}  // namespace ingot::measure
