#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <vector>

#include "accounts.hpp"
#include "admission.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/report.hpp"
#include "shim.hpp"
#include "swaps.hpp"
#include "tool_answer.hpp"
#include "volumes.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t value_cap_bytes = 4096;
constexpr std::size_t sysctl_count_cap = 16384;

Result<std::string> of_file(const char* path) {
  return codec::report_text(TRY(read_file(path, codec::report_part_cap_bytes)));
}
/// Under emulation a tool may take most of a minute.
constexpr ToolLimits tool_limits{codec::report_part_cap_bytes, std::chrono::seconds(120)};
Result<std::string> of_tool(std::string_view part) {
  const auto output = TRY(tool_answer(fmt::format("{}/{}", codec::report_socket_folder, part), tool_limits));
  return codec::report_text(output);
}

/// "net/ipv4/conf/eth0.100/rp_filter" -> "net.ipv4.conf.eth0/100.rp_filter", as sysctl(8) has it.
std::string sysctl_name(std::string path) {
  for (auto& c : path) c = c == '/' ? '.' : c == '.' ? '/' : c;
  return path;
}

/// Keys that must stay on the node, which root may read.
bool is_secret(std::string_view name) { return name.ends_with("_key") || name.ends_with("secret"); }

/// Values that can be read, as "name = value" lines. What can only be written is no value. fs/binfmt_misc is an
/// automount point: looking into it would change what is mounted.
Result<std::string> report_sysctls() {
  const std::string root = "/proc/sys/";
  std::vector<std::string> lines;
  for (const auto* folder : {"dev", "fs", "kernel", "net", "user", "vm"}) {
    std::error_code ec;
    for (auto at = fs::recursive_directory_iterator(root + folder, fs::directory_options::skip_permission_denied, ec);
         !ec && at != fs::recursive_directory_iterator(); at.increment(ec)) {
      if (at->path().filename() == "binfmt_misc") at.disable_recursion_pending();
      std::error_code gone;  // an interface's values go with it
      if (!at->is_regular_file(gone)) continue;
      const auto name = sysctl_name(at->path().string().substr(root.size()));
      if (is_secret(name)) continue;
      const auto value = read_file(at->path().string(), value_cap_bytes);
      if (!value) continue;
      auto text = codec::report_text(*value);
      while (!text.empty() && text.back() == '\n') text.pop_back();
      std::replace(text.begin(), text.end(), '\n', ' ');
      lines.push_back(fmt::format("{} = {}\n", name, text));
      if (lines.size() > sysctl_count_cap)
        return fail(ErrorCode::limit, fmt::format("more than {} values", sysctl_count_cap));
    }
  }
  if (lines.empty()) return fail(ErrorCode::missing, "no value below /proc/sys can be read");
  std::sort(lines.begin(), lines.end());
  std::string out;
  for (const auto& line : lines) out += line;
  return out;
}

/// Configuration of modprobe, in the order in which it reads it (modprobe.d(5)).
Result<std::string> report_modprobe() {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto* folder :
       {"/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d"}) {
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(folder, ec)) {
      const auto name = entry.path().filename().string();
      // A file hides those of the same name in later folders.
      const bool hidden = std::any_of(files.begin(), files.end(), [&](const auto& file) { return file.first == name; });
      if (name.ends_with(".conf") && !hidden) files.emplace_back(name, entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  std::string out;
  for (const auto& [name, path] : files) out += TRY(of_file(path.c_str())) + "\n";
  return out;
}

struct Part {
  const char* name;
  std::function<Result<std::string>()> make;
};
/// The whole report. What a kernel file says is taken from there; tools are asked for what only they can tell.
const std::vector<Part>& parts() {
  static const std::vector<Part> all = {
      {"accounts", report_accounts},
      {"audit_rules", [] { return of_tool("audit_rules"); }},
      {"audit_status", [] { return of_tool("audit_status"); }},
      {"cmdline", [] { return of_file("/proc/cmdline"); }},
      {"files", report_files},
      {"groups", report_groups},
      {"ipe", report_ipe},
      {"lockdown", [] { return of_file("/sys/kernel/security/lockdown"); }},
      {"lsm", [] { return of_file("/sys/kernel/security/lsm"); }},
      {"modprobe", report_modprobe},
      {"modules", [] { return of_file("/proc/modules"); }},
      {"mounts", [] { return of_file("/proc/1/mountinfo"); }},  // ours is what the unit's sandbox makes of it
      {"nft", [] { return of_tool("nft"); }},
      {"revocation", report_revocation},
      {"shim", [] { return report_shim(); }},
      {"sshd", [] { return of_tool("sshd"); }},
      {"swaps", [] { return report_swaps(); }},
      {"sysctl", report_sysctls},
      {"tcp", [] { return of_file("/proc/net/tcp"); }},
      {"tcp6", [] { return of_file("/proc/net/tcp6"); }},
      {"udp", [] { return of_file("/proc/net/udp"); }},
      {"udp6", [] { return of_file("/proc/net/udp6"); }},
      {"unit_files", [] { return of_tool("unit_files"); }},
      {"units", [] { return of_tool("units"); }},
      {"volumes", report_volumes},
  };
  return all;
}

}  // namespace

NodeReport make_report() {
  NodeReport report;
  for (const auto& part : parts()) {
    auto text = part.make();
    if (text)
      report.parts[part.name] = *std::move(text);
    else
      report.parts[std::string(part.name).append(codec::report_error_suffix)] =
          codec::report_text(as_bytes(describe(text.error())));
  }
  return report;
}

}  // namespace ingot::agent
