// What a node's agent asks the node's own tools (verifier/codec/report.md): a socket for each tool, behind it a service
// that runs it, in a sandbox of what that tool alone needs. The agent itself starts nothing and has no capability.
#include "ingot/codec/report.hpp"

#include <fmt/format.h>

#include "sandbox.hpp"
#include "shipping_parts.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view source = "Ingot, drift";
constexpr std::string_view runner_path = "/usr/lib/ingot/report-tool";

/// The exit status of a service that systemd starts for a connection is not seen at the other end, and output that was
/// cut off looks like output that has ended. So the end is told: ingot/codec/report.hpp, decode_tool_answer().
constexpr std::string_view runner = R"sh(#!/bin/sh
# report-tool COMMAND...: what a tool prints, then NUL, "exit STATUS", and what it complained about.
exec 3>&1
said=$("$@" 2>&1 >&3 3>&-)
status=$?
printf '\000exit %d\n%s\n' "$status" "$said"
[ -z "$said" ] || printf '%s\n' "$said" >&2
)sh";

// /run/ingot is another unit's runtime directory, which systemd hands over to that unit's user with all that is in it.
constexpr std::string_view socket_unit = R"([Unit]
Description=What is in force, by the word of {program}

[Socket]
ListenStream={folder}/{part}
DirectoryMode=0700
SocketMode=0600
Accept=yes
MaxConnections=4
)";

/// systemctl gives up on its bus after 25 s, of which a node that is busy with its start takes more.
constexpr std::string_view service_unit = R"([Unit]
Description=What is in force, by the word of {program}
CollectMode=inactive-or-failed

[Service]
ExecStart={runner} {program} {arguments}
StandardInput=null
StandardOutput=socket
StandardError=journal
SyslogIdentifier=ingot-report
Environment=SYSTEMD_BUS_TIMEOUT=100s
RuntimeMaxSec=120
{sandbox}{needs})";

/// Host keys are root's, so root's file permissions are enough. sshd wants its empty folder, which is otherwise there
/// only while it runs.
constexpr std::string_view sshd_needs = R"(RuntimeDirectory=sshd
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
)";
struct Tool {
  std::string_view part;  ///< of the report; names socket and units
  std::string_view program;
  std::string_view arguments;
  std::string_view needs;  ///< further lines of its service
};
constexpr Tool tools[] = {
    {"sshd", "/usr/sbin/sshd", "-T", sshd_needs},
    {"nft", "/usr/sbin/nft", "-j list ruleset", ""},
    {"audit_status", "/usr/sbin/auditctl", "-s", ""},
    {"audit_rules", "/usr/sbin/auditctl", "-l", ""},
    {"units", "/usr/bin/systemctl",
     "show --all --no-pager --property=Id,LoadState,ActiveState,UnitFileState,FragmentPath,DropInPaths *", ""},
    {"unit_files", "/usr/bin/systemctl", "list-unit-files --all --full --plain --no-legend --no-pager", ""},
};

void add_tool(ConfigPart& part, const Tool& tool) {
  const auto socket = fmt::format("ingot-report-{}.socket", tool.part);
  detail::add_unit(part, socket,
                   fmt::format(socket_unit, fmt::arg("program", tool.program), fmt::arg("part", tool.part),
                               fmt::arg("folder", codec::report_socket_folder)),
                   "sockets.target");
  const auto service = fmt::format("ingot-report-{}@.service", tool.part);
  detail::add_unit(part, service,
                   fmt::format(service_unit, fmt::arg("program", tool.program), fmt::arg("arguments", tool.arguments),
                               fmt::arg("runner", runner_path), fmt::arg("sandbox", detail::sandbox_of(service)),
                               fmt::arg("needs", tool.needs)),
                   "");
  part.settings.push_back(
      {SettingArea::unit, socket, "active", std::string(detail::unit_folder) + socket, std::string(source), ""});
}

}  // namespace

ConfigPart render_report(const Tree& tree) {
  ConfigPart part;
  for (const auto& tool : tools)
    if (tree.resolve(std::string(tool.program)) != nullptr) add_tool(part, tool);
  if (!part.files.empty()) detail::add_file(part, std::string(runner_path), runner, 0755);
  return part;
}

}  // namespace ingot::builder
