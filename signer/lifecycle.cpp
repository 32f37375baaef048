#include "ingot/signer/lifecycle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace ingot::signer {
namespace {

using codec::EfiTime;
using codec::SignatureList;
using codec::UpdateKind;
using measure::EnrolledVariables;

EfiTime seconds_later(const EfiTime& time, int seconds) {
  using namespace std::chrono;
  const sys_days day = year{time.year} / month{time.month} / std::chrono::day{time.day};
  const auto moment = day + hours{time.hour} + minutes{time.minute} + std::chrono::seconds{time.second + seconds};
  return codec::efi_time_of(duration_cast<std::chrono::seconds>(moment.time_since_epoch()).count()).value_or(time);
}

Buffer content_of(const EnrolledVariables& variables, std::string_view name) {
  const auto found = variables.find(name);
  return found == variables.end() ? Buffer{} : found->second.content;
}

Result<std::vector<SignatureList>> lists_of(const EnrolledVariables& variables, std::string_view name) {
  return TRY_IN(name, codec::decode_signature_lists(content_of(variables, name)));
}

/// Whoever the entry's owner is: firmware does not look at it.
bool holds(const std::vector<SignatureList>& lists, const Guid& type, const Buffer& data) {
  return std::any_of(lists.begin(), lists.end(), [&](const SignatureList& list) {
    return list.type == type && std::any_of(list.signatures.begin(), list.signatures.end(),
                                            [&](const codec::SignatureData& entry) { return entry.data == data; });
  });
}

Buffer without(std::vector<SignatureList> lists, const crypto::Certificate& certificate) {
  for (auto& list : lists)
    if (list.type == codec::efi_cert_x509_guid)
      std::erase_if(list.signatures,
                    [&](const codec::SignatureData& entry) { return entry.data == certificate.der(); });
  std::erase_if(lists, [](const SignatureList& list) { return list.signatures.empty(); });
  return codec::encode_signature_lists(lists);
}

/// Signs updates one after the other, as a machine that starts with `variables` takes them.
class Machine {
 public:
  Machine(EnrolledVariables variables, const EfiTime& time) : variables_(std::move(variables)), time_(time) {}

  void begin(std::string name, std::string does) {
    step_ = {std::move(name), std::move(does), {}, {}};
    at_ = seconds_later(time_, steps_++);
  }
  Result<void> take(std::string_view variable, UpdateKind kind, Buffer content, const SigningKey& key) {
    const VariableUpdate update{codec::find_key_variable(variable), kind, at_, std::move(content)};
    auto auth = TRY(sign_update(update, key));
    TRY(measure::apply_update(variables_, *update.variable, kind, TRY(codec::decode_authenticated_update(auth))));
    step_.updates.push_back({update, std::move(auth)});
    return {};
  }
  EnrolmentStep end() {
    step_.after = variables_;
    return std::move(step_);
  }
  [[nodiscard]] const EnrolledVariables& variables() const { return variables_; }

 private:
  EnrolledVariables variables_;
  EfiTime time_, at_;
  EnrolmentStep step_;
  int steps_ = 0;
};

Result<std::vector<EnrolmentStep>> rotate_listed(std::string_view name, const KeyFolder& keys, const KeyFolder& next,
                                                 Machine machine) {
  const auto old = TRY(keys.certificate_of(name)), fresh = TRY(next.certificate_of(name));
  const bool is_db = name == "db";
  const auto enrolled = TRY(lists_of(machine.variables(), name));
  const bool has_old = holds(enrolled, codec::efi_cert_x509_guid, old.der());
  const bool has_new = holds(enrolled, codec::efi_cert_x509_guid, fresh.der());
  if (!has_old && !has_new)
    return fail(ErrorCode::usage,
                fmt::format("{} of this machine has neither \"{}\" nor \"{}\"", name, old.subject(), fresh.subject()),
                "give the key folder that it was enrolled from");
  const auto& signed_by = codec::find_key_variable(name)->signed_by;
  const auto signer = TRY(keys.load(signed_by));
  const auto owner = TRY(owner_guid(next));
  std::vector<EnrolmentStep> steps;
  if (!has_new) {
    machine.begin("overlap", fmt::format("\"{}\" is trusted beside \"{}\"", fresh.subject(), old.subject()));
    TRY(machine.take(name, UpdateKind::append, codec::encode_signature_lists({codec::x509_list(owner, fresh.der())}),
                     signer));
    steps.push_back(machine.end());
  }
  const bool forbidden =
      !is_db || holds(TRY(lists_of(machine.variables(), "dbx")), codec::efi_cert_x509_guid, old.der());
  if (!has_old && forbidden) return steps;
  machine.begin("revoke", fmt::format("\"{}\" is trusted no more{}", old.subject(),
                                      is_db ? ", and forbidden, so that no earlier update brings it back" : ""));
  if (has_old)
    TRY(machine.take(name, UpdateKind::replace, without(TRY(lists_of(machine.variables(), name)), old), signer));
  if (!forbidden)
    TRY(machine.take("dbx", UpdateKind::append, codec::encode_signature_lists({codec::x509_list(owner, old.der())}),
                     signer));
  steps.push_back(machine.end());
  return steps;
}

Result<std::vector<EnrolmentStep>> replace_pk(const KeyFolder& keys, const KeyFolder& next, Machine machine) {
  const auto old = TRY(keys.certificate_of("PK")), fresh = TRY(next.certificate_of("PK"));
  const auto wanted = codec::encode_signature_lists({codec::x509_list(TRY(owner_guid(next)), fresh.der())});
  if (content_of(machine.variables(), "PK") == wanted) return std::vector<EnrolmentStep>{};
  machine.begin("replace", fmt::format("\"{}\" owns the machine in place of \"{}\"", fresh.subject(), old.subject()));
  TRY(machine.take("PK", UpdateKind::replace, wanted, TRY(keys.load("PK"))));
  return std::vector<EnrolmentStep>{machine.end()};
}

}  // namespace

Result<std::vector<EnrolmentStep>> plan_rotation(RotatedKey which, const KeyFolder& keys, const KeyFolder& next,
                                                 const EnrolledVariables& now, const EfiTime& time) {
  const auto name = to_text(which);
  if (TRY(keys.public_half(name)).spki_der() == TRY(next.public_half(name)).spki_der())
    return fail(ErrorCode::usage, fmt::format("{} and {} have the same {} key", keys.path, next.path, name),
                fmt::format("make the next folder with `ingot keys next {}`", name));
  if (!codec::is_valid(time))
    return fail(ErrorCode::usage, fmt::format("{} is no date from 1998 to 9999", codec::to_text(time)));
  Machine machine(now, time);
  if (which == RotatedKey::pcr) {
    machine.begin("switch", "releases have their PCR policies from the new key; no variable changes");
    return std::vector<EnrolmentStep>{machine.end()};
  }
  auto steps = which == RotatedKey::pk ? TRY(replace_pk(keys, next, std::move(machine)))
                                       : TRY(rotate_listed(name, keys, next, std::move(machine)));
  if (steps.empty())
    return fail(ErrorCode::usage, fmt::format("this machine has nothing of the old {} any more", name),
                "the rotation is done");
  return steps;
}

Result<EnrolmentStep> plan_revocation(const KeyFolder& keys, const EnrolledVariables& now,
                                      std::vector<SignatureList> entries, const EfiTime& time) {
  const auto known = TRY(lists_of(now, "dbx"));
  std::size_t count = 0;
  for (auto& list : entries) {
    std::erase_if(list.signatures,
                  [&](const codec::SignatureData& entry) { return holds(known, list.type, entry.data); });
    count += list.signatures.size();
  }
  std::erase_if(entries, [](const SignatureList& list) { return list.signatures.empty(); });
  if (count == 0)
    return fail(ErrorCode::usage, "dbx of this machine forbids all of it already", "there is nothing to revoke");
  Machine machine(now, time);
  machine.begin("revoke", fmt::format("dbx forbids {} more", count));
  TRY(machine.take("dbx", UpdateKind::append, codec::encode_signature_lists(entries), TRY(keys.load("KEK"))));
  return machine.end();
}

}  // namespace ingot::signer
