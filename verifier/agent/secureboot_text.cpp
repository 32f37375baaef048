#include "secureboot_text.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ingot/codec/certificate_names.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/crypto/hash.hpp"
#include "secureboot.hpp"

namespace ingot::agent {
namespace {

constexpr const char* shown_variables[] = {"PK", "KEK", "db", "dbx"};

/// A certificate that makes no sense is told, and does not hide the others.
std::string subject_of(Bytes certificate) {
  const auto names = codec::decode_certificate_names(certificate);
  if (!names) return "a certificate that cannot be read";
  return codec::name_text(names->subject).value_or("a certificate whose subject cannot be read");
}

EntryText entry_text(const codec::SignatureList& list, const codec::SignatureData& entry) {
  EntryText out;
  out.owner = to_text(entry.owner);
  if (list.type == codec::efi_cert_x509_guid) {
    out.kind = "certificate";
    out.subject = subject_of(entry.data);
    out.sha256 = to_hex(crypto::sha256(entry.data));
    out.text = fmt::format("certificate {} (owner {})", out.subject, out.owner);
  } else if (list.type == codec::efi_cert_sha256_guid) {
    out.kind = "sha256";
    out.sha256 = to_hex(entry.data);
    out.text = fmt::format("SHA-256 {} (owner {})", out.sha256, out.owner);
  } else {
    out.kind = to_text(list.type);
    out.text = fmt::format("{} bytes of type {} (owner {})", entry.data.size(), out.kind, out.owner);
  }
  return out;
}

}  // namespace

Result<std::vector<EntryText>> entries_of(Bytes signature_lists) {
  std::vector<EntryText> out;
  for (const auto& list : TRY(codec::decode_signature_lists(signature_lists)))
    for (const auto& entry : list.signatures) out.push_back(entry_text(list, entry));
  return out;
}

Result<std::string> status_text(const SecureBootStatus& status) {
  std::string out = fmt::format("Secure Boot  {}\nsetup mode   {}\n", status.secure_boot ? "on" : "off",
                                status.setup_mode ? "yes: anybody can enrol keys" : "no");
  for (const std::string name : shown_variables) {
    const auto found = status.variables.find(name);
    if (found == status.variables.end()) {
      out += fmt::format("{}: not there\n", name);
      continue;
    }
    const auto entries = TRY_IN(name, entries_of(found->second));
    out += fmt::format("{}:{}\n", name, entries.empty() ? " empty" : "");
    for (const auto& entry : entries) out += fmt::format("  {}\n", entry.text);
  }
  return out;
}

Result<std::string> status_json(const SecureBootStatus& status) {
  nlohmann::ordered_json out{{"secure_boot", status.secure_boot}, {"setup_mode", status.setup_mode}};
  for (const std::string name : shown_variables) {
    const auto found = status.variables.find(name);
    if (found == status.variables.end()) {
      out[name] = nullptr;
      continue;
    }
    out[name] = nlohmann::ordered_json::array();
    for (const auto& entry : TRY_IN(name, entries_of(found->second))) {
      nlohmann::ordered_json one{{"kind", entry.kind}, {"owner", entry.owner}};
      if (!entry.subject.empty()) one["subject"] = entry.subject;
      if (!entry.sha256.empty()) one["sha256"] = entry.sha256;
      out[name].push_back(std::move(one));
    }
  }
  // A subject of another encoding than UTF-8 must not end in an exception.
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace ingot::agent
