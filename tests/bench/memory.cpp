#include "memory.hpp"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"

namespace ingot::bench {
namespace {
namespace fs = std::filesystem;

struct Process {
  std::string name;
  int parent = 0;
  std::uint64_t peak_bytes = 0;
};

Process read_status(const fs::path& folder) {
  Process process;
  std::ifstream status(folder / "status");
  for (std::string key; status >> key;) {
    if (key == "Name:") status >> process.name;
    if (key == "PPid:") status >> process.parent;
    if (key == "VmHWM:" && status >> process.peak_bytes) process.peak_bytes *= 1024;
  }
  return process;
}

std::map<int, Process> processes() {
  std::map<int, Process> all;
  for (const auto& entry : fs::directory_iterator("/proc", fs::directory_options::skip_permission_denied)) {
    const auto name = entry.path().filename().string();
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr == name.data() + name.size())
      all[pid] = read_status(entry.path());
  }
  return all;
}

bool is_below(const std::map<int, Process>& all, int pid, int ancestor) {
  for (auto at = all.find(pid); at != all.end() && at->first > 1; at = all.find(at->second.parent))
    if (at->first == ancestor) return true;
  return false;
}

void look(int pid, PeakMemory& peak) {
  const auto all = processes();
  for (const auto& [one, process] : all) {
    if (one == pid) {
      peak.own_bytes = std::max(peak.own_bytes, process.peak_bytes);
      // A child that has not yet become its tool is still the command, seen twice.
    } else if (process.peak_bytes > peak.tool_bytes && process.name != all.at(pid).name && is_below(all, one, pid)) {
      peak.tool_bytes = process.peak_bytes;
      peak.largest_tool = process.name;
    }
  }
}

}  // namespace

Result<PeakMemory> peak_memory(const std::vector<std::string>& argv) {
  const auto scratch = TRY(builder::TemporaryFolder::create(fs::temp_directory_path().string(), "ingot-bench-"));
  auto command = TRY(builder::Background::start({.argv = argv}, scratch.path() + "/log"));
  PeakMemory peak;
  std::optional<int> exit_code;
  while (!(exit_code = command.poll())) {
    look(command.pid(), peak);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  if (*exit_code != 0) {
    const auto log = TRY(read_file(scratch.path() + "/log", 1u << 20));
    return fail(ErrorCode::tool_failed, fmt::format("{} ended with {}: {}", argv.front(), *exit_code, as_text(log)));
  }
  return peak;
}

}  // namespace ingot::bench
