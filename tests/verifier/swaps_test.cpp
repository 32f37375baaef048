// What the kernel swaps to, as the agent reads it of a node's /proc and /sys, and as a verdict judges it.
#include "../../verifier/agent/swaps.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/check/settings.hpp"

using namespace ingot;
namespace fs = std::filesystem;

namespace {

constexpr const char* heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
constexpr const char* ours = "/dev/dm-3\tpartition\tlabel swap\tmapped swap\tuuid CRYPT-PLAIN-swap\n";
constexpr const char* wanted = "partition, label swap, mapped swap, uuid CRYPT-PLAIN-swap";

/// A node's files, as far as they say what it swaps to.
class Node {
 public:
  Node() { REQUIRE(::mkdtemp(folder_.data()) != nullptr); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node() { fs::remove_all(folder_); }
  Node& put(const std::string& path, const std::string& text) {
    const auto file = fs::path(folder_ + path);
    fs::create_directories(file.parent_path());
    REQUIRE(write_file(file.string(), as_bytes(text)));
    return *this;
  }
  Node& swaps(const std::string& rows) { return put("/proc/swaps", heading + rows); }
  /// A mapped device over partitions.
  Node& mapped(const std::string& device, const std::string& name, const std::string& uuid,
               const std::vector<std::string>& below) {
    const auto folder = "/sys/class/block/" + device;
    put(folder + "/dm/name", name + "\n").put(folder + "/dm/uuid", uuid + "\n");
    for (const auto& one : below) {
      fs::create_directories(folder_ + folder + "/slaves");
      fs::create_directory_symlink("../../" + one, folder_ + folder + "/slaves/" + one);
    }
    return *this;
  }
  Node& partition(const std::string& device, const std::string& label) {
    return put("/sys/class/block/" + device + "/uevent", "DEVTYPE=partition\nPARTN=5\nPARTNAME=" + label + "\n");
  }
  [[nodiscard]] Result<std::string> report() const { return agent::report_swaps(folder_); }

 private:
  std::string folder_ = (fs::temp_directory_path() / "ingot-test-XXXXXX").string();
};

/// "KIND SUBJECT" of each finding on a node whose part swaps is `text`; `row` is the baseline's.
std::vector<std::string> judged(const char* row, const char* text) {
  std::vector<Setting> settings = {{SettingArea::mount, "/tmp", "nosuid", "", "", ""}};
  if (row != nullptr) settings.push_back({SettingArea::mount, "swap", row, "", "", ""});
  NodeReport report;
  for (const auto* part : {"accounts", "groups", "tcp", "tcp6", "udp", "udp6", "units", "unit_files"})
    report.parts[part] = "";
  report.parts["mounts"] = "1 2 0:3 / /tmp rw,nosuid - tmpfs tmpfs rw\n";
  if (text != nullptr) report.parts["swaps"] = text;
  std::vector<std::string> out;
  for (const auto& finding : check::check_settings(settings, report))
    out.push_back(to_text(finding.kind) + " " + finding.subject);
  return out;
}

}  // namespace

TEST_CASE("swaps: each one with what it is mapped to, and by whom") {
  CHECK(Node().swaps("").report().value().empty());
  CHECK(Node()
            .swaps("/dev/dm-3                               partition\t4194300\t\t0\t\t-2\n")
            .mapped("dm-3", "swap", "CRYPT-PLAIN-swap", {"vda5"})
            .partition("vda5", "swap")
            .report()
            .value() == ours);
  CHECK(Node()
            .swaps("/dev/vda5 partition 1 0 -2\n/dev/cciss/c0d0p1 partition 1 0 -3\n")
            .partition("vda5", "data")
            .partition("cciss!c0d0p1", "old")
            .report()
            .value() == "/dev/vda5\tpartition\tlabel data\n/dev/cciss/c0d0p1\tpartition\tlabel old\n");
  CHECK(Node()
            .swaps("/dev/dm-0 partition 1 0 -2\n")
            .mapped("dm-0", "a", "LVM-x", {"vda6", "vda5"})
            .partition("vda5", "swap")
            .partition("vda6", "data")
            .report()
            .value() == "/dev/dm-0\tpartition\tlabel data\tlabel swap\tmapped a\tuuid LVM-x\n");
  // Not a device of the kernel's, whatever its name.
  CHECK(Node()
            .swaps("/var/dm-3 file 1 0 -2\n/tmp/a\\040b\\040(deleted) file 1 0 -3\n")
            .mapped("dm-3", "swap", "CRYPT-PLAIN-swap", {})
            .report()
            .value() == "/var/dm-3\tfile\n/tmp/a\\040b\\040(deleted)\tfile\n");
}

TEST_CASE("swaps: what is not the kernel's table is an error") {
  CHECK(Node().report().error().code == ErrorCode::missing);
  for (const auto* text : {"", "nonsense\n", "/dev/vda5 partition 1 0 -2\n"}) {
    INFO(text);
    CHECK(Node().put("/proc/swaps", text).report().error().code == ErrorCode::malformed);
  }
  CHECK(Node().swaps("/dev/vda5\n").report().error().code == ErrorCode::malformed);
}

TEST_CASE("swaps: exactly the profile's one is there, and any other is a finding") {
  using List = std::vector<std::string>;
  const std::string two = std::string(ours) + "/dev/vda5\tpartition\tlabel data\n";
  struct Row {
    const char* name;
    const char* row;
    const char* text;
    List findings;
  };
  const Row rows[] = {
      {"as cast", wanted, ours, {}},
      {"none, as cast", "none", "", {}},
      {"not there", wanted, "", List{"setting-missing mount: swap"}},
      {"one that nobody planned", "none", ours, List{"setting-unexpected mount: swap /dev/dm-3"}},
      {"one beside ours", wanted, two.c_str(), List{"setting-unexpected mount: swap /dev/vda5"}},
      {"in the clear, on our partition", wanted, "/dev/vda5\tpartition\tlabel swap\n",
       List{"setting-missing mount: swap", "setting-unexpected mount: swap /dev/vda5"}},
      {"mapped, not encrypted", wanted, "/dev/dm-3\tpartition\tlabel swap\tmapped swap\tuuid LVM-x\n",
       List{"setting-missing mount: swap", "setting-unexpected mount: swap /dev/dm-3"}},
      {"under a key that is kept", wanted, "/dev/dm-3\tpartition\tlabel swap\tmapped swap\tuuid CRYPT-LUKS2-0-swap\n",
       List{"setting-missing mount: swap", "setting-unexpected mount: swap /dev/dm-3"}},
      {"on another partition", wanted, "/dev/dm-3\tpartition\tlabel data\tmapped swap\tuuid CRYPT-PLAIN-swap\n",
       List{"setting-missing mount: swap", "setting-unexpected mount: swap /dev/dm-3"}},
      {"a file", "none", "/var/swap\tfile\n", List{"setting-unexpected mount: swap /var/swap"}},
      {"not reported", "none", nullptr, List{"setting-missing mount"}},
      {"nonsense", wanted, "nonsense\n", List{"setting-missing mount"}},
      {"a baseline from before, a report from before", nullptr, nullptr, {}},
      {"a baseline from before", nullptr, ours, List{"setting-unexpected mount: swap /dev/dm-3"}},
  };
  for (const auto& [name, row, text, findings] : rows) {
    INFO(name);
    CHECK(judged(row, text) == findings);
  }
}

TEST_CASE("swaps: a finding says whether memory was written in the clear") {
  const auto cause = [](const char* text) {
    NodeReport report;
    for (const auto* part : {"accounts", "groups", "tcp", "tcp6", "udp", "udp6", "units", "unit_files", "mounts"})
      report.parts[part] = "";
    report.parts["swaps"] = text;
    const auto findings = check::check_settings({{SettingArea::mount, "swap", "none", "", "", ""}}, report);
    return findings.at(0).cause;
  };
  CHECK(cause("/dev/vda5\tpartition\n").find("in the clear") != std::string::npos);
  CHECK(cause("/dev/dm-0\tpartition\tmapped x\tuuid LVM-x\n").find("in the clear") != std::string::npos);
  CHECK(cause(ours).find("encrypted device that the profile does not have") != std::string::npos);
}
