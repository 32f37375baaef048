#include "accounts.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <vector>

#include "ingot/base/source.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t table_cap_bytes = 4u << 20;
constexpr std::uint64_t file_cap_bytes = 16u << 20;
constexpr std::size_t file_count_cap = 8192;
constexpr const char* ipe_folder = "/sys/kernel/security/ipe";

std::vector<std::vector<std::string>> read_table(std::string_view text) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    auto line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line.front() == '#') continue;
    auto& row = rows.emplace_back();
    for (;;) {
      const auto colon = line.find(':');
      row.emplace_back(line.substr(0, colon));
      if (colon == line.npos) break;
      line.remove_prefix(colon + 1);
    }
  }
  return rows;
}

/// shadow(5): a field that no hash can be lets nobody in with a password; "!" in front of one locks it.
std::string password_state(std::string_view field) {
  if (field.empty()) return "empty";
  return field.front() == '!' || field.front() == '*' ? "locked" : "set";
}

std::string hex_digest(Bytes bytes) { return to_hex(crypto::sha256(bytes)); }

std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return text;
}

Result<std::string> read_text(const std::string& path) {
  return std::string(as_text(TRY(read_file(path, table_cap_bytes))));
}

bool is_secret(const std::string& path) {
  const auto name = path.substr(path.rfind('/') + 1);
  return name.starts_with("shadow") || name.starts_with("gshadow") || name.ends_with("_key") || name.ends_with(".key");
}

/// Nothing for a file that went away in between.
std::string file_line(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  std::error_code ec;
  auto line = fmt::format("{}\tmode {:04o}\towner {}:{}", one_line(path.string()), info.st_mode & 07777, info.st_uid,
                          info.st_gid);
  if (S_ISLNK(info.st_mode)) return line + fmt::format("\tlink {}\n", one_line(fs::read_symlink(path, ec).string()));
  if (S_ISREG(info.st_mode) && !is_secret(path.string()))
    if (const auto content = read_file(path.string(), file_cap_bytes))
      line += fmt::format("\tsha256 {}", hex_digest(*content));
  return line + "\n";
}

}  // namespace

Result<std::string> report_accounts() {
  const auto users = read_table(TRY(read_text("/etc/passwd")));
  std::map<std::string, std::string> passwords;
  for (const auto& row : read_table(TRY(read_text("/etc/shadow"))))
    if (row.size() > 1) passwords.emplace(row[0], row[1]);
  std::string out;
  for (const auto& row : users) {
    if (row.size() != 7) return fail(ErrorCode::malformed, "a line of /etc/passwd has no seven fields");
    const auto shadow = passwords.find(row[0]);
    // "x" leads to /etc/shadow; anything else is the password's field itself (passwd(5)).
    const auto state = row[1] != "x"               ? password_state(row[1])
                       : shadow == passwords.end() ? std::string("locked")
                                                   : password_state(shadow->second);
    out += fmt::format("{}\tuid {}\tgid {}\tshell {}\tpassword {}\n", row[0], row[2], row[3],
                       row[6].empty() ? "/bin/sh" : row[6], state);
  }
  return out;
}

Result<std::string> report_groups() {
  std::string out;
  for (const auto& row : read_table(TRY(read_text("/etc/group")))) {
    if (row.size() != 4) return fail(ErrorCode::malformed, "a line of /etc/group has no four fields");
    if (row[3].empty()) continue;
    auto members = row[3];
    for (auto comma = members.find(','); comma != members.npos; comma = members.find(',', comma))
      members.replace(comma, 1, "\tmember ");
    out += fmt::format("{}\tmember {}\n", row[0], members);
  }
  return out;
}

Result<std::string> report_files() {
  std::vector<fs::path> paths;
  std::error_code ec;
  for (auto at = fs::recursive_directory_iterator("/etc", fs::directory_options::skip_permission_denied, ec);
       !ec && at != fs::recursive_directory_iterator(); at.increment(ec))
    paths.push_back(at->path());
  if (ec) return fail(io_error("reading /etc", ec.value()));
  if (paths.size() > file_count_cap)
    return fail(ErrorCode::limit, fmt::format("/etc has more than {} entries", file_count_cap));
  std::sort(paths.begin(), paths.end());
  std::string out;
  for (const auto& path : paths) out += file_line(path);
  return out;
}

Result<std::string> report_ipe() {
  const std::string folder = ipe_folder;
  auto out = fmt::format("enforce\t{}\n", one_line(TRY(read_text(folder + "/enforce"))));
  std::error_code ec;
  std::vector<std::string> policies;
  for (const auto& entry : fs::directory_iterator(folder + "/policies", ec)) policies.push_back(entry.path().string());
  if (ec) return fail(io_error("reading the policies of IPE", ec.value()));
  std::sort(policies.begin(), policies.end());
  for (const auto& path : policies) {
    const auto policy = TRY(read_file(path + "/pkcs7", table_cap_bytes));
    out += fmt::format("policy {}\tversion {}\tactive {}\tsha256 {}\n", one_line(path.substr(path.rfind('/') + 1)),
                       one_line(TRY(read_text(path + "/version"))), one_line(TRY(read_text(path + "/active"))),
                       hex_digest(policy));
  }
  return out;
}

}  // namespace ingot::agent
