// Many headers in one run that does not end well: what is there is whole, and nobody else's to read.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/signer/volume.hpp"
#include "volume_site.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

constexpr int node_count = 300;  // more than reach the disk together

void make_nodes(const Tpm& tpm) {
  tpm.make_srk("ecc256:aes128cfb");
  fs::create_directory(tpm.file("nodes"));
  for (int node = 0; node < node_count; ++node)
    tpm.write(fmt::format("nodes/{:03}.srk.pub", node), tpm.read("srk.pub"));
}

struct Left {
  int whole = 0, unfinished = 0;
};
/// Every file has mode 0600, and is a header where it has the name of one.
Left look_at(const std::string& folder) {
  Left left;
  if (!fs::exists(folder)) return left;
  for (const auto& entry : fs::directory_iterator(folder)) {
    INFO(entry.path());
    struct stat info {};
    REQUIRE(::stat(entry.path().c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    if (entry.path().extension() != ".img") {
      ++left.unfinished;
      continue;
    }
    ++left.whole;
    CHECK(info.st_size == signer::volume_header_bytes);
    CHECK(run_tool({"cryptsetup", "isLuks", "--type", "luks2", entry.path()}).exit_code == 0);
  }
  return left;
}

}  // namespace

TEST_CASE(
    "seal: a run that is killed leaves whole headers and drafts that only their owner reads, and nothing elsewhere") {
  const Tpm tpm;
  const SealingSite site(tpm);
  make_nodes(tpm);
  fs::create_directory(tpm.file("tmp"));
  int unfinished = 0;
  for (const auto* after : {"0.1", "0.3", "0.6"}) {
    INFO(after);
    auto command = seal_command(tpm, tpm.file("nodes"), tpm.file(std::string("headers-") + after));
    command.insert(command.begin(), {"timeout", "--signal=KILL", after});
    // A umask that hides nothing.
    command.insert(command.begin(), {"sh", "-c", "umask 0; exec \"$@\"", "sh"});
    (void)run_tool(command, {{"TMPDIR", tpm.file("tmp")}});
    unfinished += look_at(command.back()).unfinished;
    CHECK(fs::is_empty(tpm.file("tmp")));
  }
  CHECK(unfinished > 0);  // else the cuts came at times that show nothing
}

TEST_CASE("seal: a disk that is full ends the run, and what is there is whole") {
  const Tpm tpm;
  const SealingSite site(tpm);
  make_nodes(tpm);
  fs::create_directory(tpm.file("small"));
  fs::create_directory(tpm.file("found"));
  struct Row {
    const char* size;
    int whole;
  };
  for (const auto& [size, whole] : {Row{"2m", 0}, Row{"76m", 256}}) {
    INFO(size);
    std::string script = fmt::format("mount -t tmpfs -o size={} tmpfs {}; ", size, tpm.file("small"));
    script +=
        "\"$@\"; status=$?; cp -a \"$(dirname \"$0\")\"/small/headers/. \"$(dirname \"$0\")\"/found; exit $status";
    std::vector<std::string> command = {"unshare", "--mount", "bash", "-c", script, tpm.file("x")};
    const auto seal = seal_command(tpm, tpm.file("nodes"), tpm.file("small/headers"));
    command.insert(command.end(), seal.begin(), seal.end());
    const auto done = run_tool(command);
    INFO(done.error_tail);
    CHECK(done.exit_code == 3);
    CHECK(done.error_tail.find("No space left on device") != std::string::npos);
    CHECK((done.error_tail.find("256 of 300 headers are made") != std::string::npos) == (whole > 0));
    CHECK(done.output.empty());
    const auto left = look_at(tpm.file("found"));
    CHECK(left.whole == whole);
    CHECK(left.unfinished == 0);
  }
}
