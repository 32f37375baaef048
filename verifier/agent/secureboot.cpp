#include "secureboot.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/certificate_names.hpp"
#include "ingot/codec/esl.hpp"
#include "secureboot_text.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr const char* not_setup_mode_remedy =
    "sign the update with the key of KEK (for db and dbx) or PK (for KEK and PK) that is enrolled here, or put the "
    "firmware into setup mode";

Result<bool> read_flag(const std::string& efivars, const char* name) {
  const auto path = variable_path(efivars, name, codec::efi_global_variable_guid);
  const auto value = TRY(read_variable(path));
  if (!value) return false;
  if (value->data.size() != 1 || value->data.front() > 1)
    return fail(ErrorCode::malformed, fmt::format("{} is neither 0 nor 1", path));
  return value->data.front() == 1;
}

struct Update {
  const codec::KeyVariable* variable = nullptr;
  Buffer file;
  codec::AuthenticatedUpdate decoded;
};

/// Whether firmware may take it: signed by, or by someone certified by, a certificate of the variable above. Firmware
/// alone verifies; this is to name the certificate, which firmware does not.
Result<void> check_signer(const Update& update, const SecureBootStatus& status) {
  const auto above = status.variables.find(update.variable->signed_by);
  const auto lists =
      TRY(codec::decode_signature_lists(above == status.variables.end() ? Bytes{} : Bytes(above->second)));
  const auto parts = TRY(codec::decode_signed_data(update.decoded.signed_data));
  std::string signers;
  for (const auto certificate : parts.certificates) {
    const auto names = TRY(codec::decode_certificate_names(certificate));
    for (const auto& list : lists)
      for (const auto& entry : list.signatures) {
        if (list.type != codec::efi_cert_x509_guid) continue;
        const auto enrolled = codec::decode_certificate_names(entry.data);
        if (std::ranges::equal(entry.data, certificate) ||
            (enrolled && std::ranges::equal(enrolled->subject, names.issuer) &&
             !std::ranges::equal(names.issuer, names.subject)))
          return {};
      }
    signers += fmt::format("{}\"{}\"", signers.empty() ? "" : ", ", TRY(codec::name_text(names.subject)));
  }
  return fail(ErrorCode::crypto,
              fmt::format("the firmware is not in setup mode, and {}.auth is signed by {}, which {} does not hold here",
                          update.variable->name, signers.empty() ? "somebody it does not name" : signers,
                          update.variable->signed_by),
              not_setup_mode_remedy);
}

Result<std::vector<Update>> read_updates(const std::string& folder) {
  std::vector<Update> updates;
  for (const auto& variable : codec::key_variables) {
    const auto path = fmt::format("{}/{}.auth", folder, variable.name);
    std::error_code ec;
    if (!fs::exists(path, ec)) continue;
    Update update{&variable, TRY(read_file(path, codec::authenticated_update_cap_bytes)), {}};
    update.decoded = TRY_IN(path, codec::decode_authenticated_update(update.file));
    TRY_IN(path, codec::decode_signature_lists(update.decoded.content));
    TRY_IN(path, codec::decode_signed_data(update.decoded.signed_data));
    updates.push_back(std::move(update));
  }
  if (updates.empty())
    return fail(ErrorCode::missing, fmt::format("{} has none of dbx.auth, db.auth, KEK.auth and PK.auth", folder),
                "give the folder that `ingot sign variables` made: loader/keys/NAME");
  return updates;
}

/// efivarfs guards files from `rm -rf` by a flag, and takes a variable in one write: attributes, then data.
Result<void> write_variable(const std::string& path, std::uint32_t attributes, Bytes data) {
  if (const int old = ::open(path.c_str(), O_RDONLY | O_CLOEXEC); old >= 0) {
    int flags = 0;
    if (::ioctl(old, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_IMMUTABLE_FL) != 0) {
      flags &= ~FS_IMMUTABLE_FL;
      (void)::ioctl(old, FS_IOC_SETFLAGS, &flags);  // if it fails, so does the open that follows
    }
    ::close(old);
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return fail(io_error(path, errno));
  const auto bytes = Writer{}.u32le(attributes).bytes(data).take();
  const auto written = ::write(fd, bytes.data(), bytes.size());
  const int error = errno;
  ::close(fd);
  if (written == static_cast<ssize_t>(bytes.size())) return {};
  if (written >= 0) return fail(ErrorCode::io, fmt::format("{} took {} of {} bytes", path, written, bytes.size()));
  // Linux, drivers/firmware/efi/vars.c: EFI_SECURITY_VIOLATION is EACCES.
  if (error == EACCES)
    return fail(ErrorCode::crypto, "firmware refused it (security violation)",
                "it is signed by the wrong key, for another variable, older than what is enrolled, or made with "
                "--append and not enrolled with it");
  if (error == EINVAL)
    return fail(ErrorCode::crypto, "firmware refused it (invalid parameter)",
                "the variable is there with other attributes, or the update is of a form that this firmware lacks");
  return fail(io_error("firmware did not store it", error));
}

}  // namespace

Result<SecureBootStatus> read_secure_boot(const std::string& efivars) {
  SecureBootStatus status;
  TRY(check_efivars(efivars));
  status.setup_mode = TRY(read_flag(efivars, "SetupMode"));
  status.secure_boot = TRY(read_flag(efivars, "SecureBoot"));
  for (const auto& variable : codec::key_variables) {
    auto found = TRY(read_variable(variable_path(efivars, variable.name, variable.guid)));
    if (found) status.variables.emplace(variable.name, std::move(found->data));
  }
  return status;
}

Result<std::string> enroll(const EnrolOptions& options) {
  const auto status = TRY(read_secure_boot(options.efivars));
  const auto updates = TRY(read_updates(options.folder));
  if (!status.setup_mode)
    for (const auto& update : updates) TRY(check_signer(update, status));
  std::string done, names;
  for (const auto& update : updates) {
    const auto name = update.variable->name;
    const auto lines = TRY(entries_of(update.decoded.content));
    auto written = write_variable(variable_path(options.efivars, name, update.variable->guid),
                                  codec::attributes_of(options.kind), update.file);
    if (!written)
      return fail(std::move(written).error().in(
          fmt::format("{} ({})", name, names.empty() ? "nothing was changed" : "written before it: " + names)));
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
    done += fmt::format("{} {}, as of {}\n", options.kind == codec::UpdateKind::append ? "appended to" : "enrolled",
                        name, codec::to_text(update.decoded.time));
    for (const auto& line : lines) done += fmt::format("  {}\n", line.text);
  }
  const auto after = TRY(read_secure_boot(options.efivars));
  // Some firmware ends setup mode with the next start only.
  if (after.setup_mode && !after.variables.contains("PK"))
    done += "still in setup mode, since there is no PK: anybody can enrol keys here\n";
  else if (status.setup_mode)
    done += "setup mode has ended; Secure Boot is on from the next start\n";
  return done;
}

Result<std::string> run_secureboot(const std::vector<std::string>& words) {
  constexpr const char* hint = "see ingot-agent --help";
  if (words.empty() || (words[0] != "status" && words[0] != "enroll"))
    return fail(ErrorCode::usage, "say `secureboot status` or `secureboot enroll DIR`", hint);
  const bool enrols = words[0] == "enroll";
  EnrolOptions options;
  bool json = false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto& word = words[i];
    if (word == "--efivars" && i + 1 < words.size())
      options.efivars = words[++i];
    else if (word == "--json" && !enrols)
      json = true;
    else if (word == "--append" && enrols)
      options.kind = codec::UpdateKind::append;
    else if (enrols && options.folder.empty() && !word.empty() && word[0] != '-')
      options.folder = word;
    else
      return fail(ErrorCode::usage, fmt::format("secureboot {} does not know \"{}\"", words[0], word), hint);
  }
  if (enrols && options.folder.empty())
    return fail(ErrorCode::usage, "secureboot enroll needs the folder with the updates", hint);
  if (enrols) return enroll(options);
  const auto status = TRY(read_secure_boot(options.efivars));
  return json ? status_json(status) : status_text(status);
}

}  // namespace ingot::agent
