#include "ingot/builder/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

TemporaryFolder scratch() {
  return TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
}

/// Tests may use a shell as a tool of many talents; the library never does.
Command shell(const std::string& script) {
  Command command;
  command.argv = {"sh", "-c", script};
  return command;
}

std::string output_of(const Command& command) { return std::string(as_text(run_checked(command).value().output)); }

bool is_alive(pid_t pid) { return ::kill(pid, 0) == 0; }

bool dies_within_seconds(pid_t pid, int seconds) {
  for (int i = 0; i < seconds * 100; ++i) {
    if (!is_alive(pid)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

pid_t pid_in(const std::string& path) {
  for (int i = 0; i < 500; ++i) {
    std::ifstream file(path);
    pid_t pid = 0;
    if (file >> pid) return pid;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return 0;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("a tool sees the fixed environment and nothing of ours") {
  REQUIRE(::setenv("INGOT_TEST_LEAK", "1", 1) == 0);
  Command command;
  command.argv = {"env"};
  command.environment = {{"EXTRA", "a b"}, {"TZ", "Asia/Tokyo"}};
  const auto text = output_of(command);
  CHECK(text.find("INGOT_TEST_LEAK") == std::string::npos);
  for (const auto* line : {"EXTRA=a b\n", "HOME=/nonexistent\n", "LC_ALL=C.UTF-8\n", "TZ=Asia/Tokyo\n"})
    CHECK(text.find(line) != std::string::npos);
  CHECK(text.find("/usr/sbin") != std::string::npos);
}

TEST_CASE("a tool's umask, folder, group, signals and descriptors do not depend on ours") {
  const auto old_mask = ::umask(077);
  const auto old_handler = ::signal(SIGPIPE, SIG_IGN);
  const int leak = ::open("/dev/null", O_RDONLY);  // not close-on-exec, as a library might
  auto command = shell(
      "umask; pwd; ls /proc/self/fd | tr '\\n' ' '; grep SigIgn /proc/self/status; cut -d' ' -f5 /proc/$$/stat; echo "
      "$$");
  command.working_directory = "/usr";
  const auto text = output_of(command);
  ::close(leak);
  (void)::signal(SIGPIPE, old_handler);
  (void)::umask(old_mask);
  INFO(text);
  CHECK(text.starts_with("0022\n/usr\n0 1 2 3 SigIgn:\t0000000000000000\n"));  // 3: ls's own
  const auto last = text.substr(text.find("00000000\n") + 9);
  std::istringstream numbers(last);
  int group = 0;
  int pid = -1;
  numbers >> group >> pid;
  CHECK(group == pid);
}

TEST_CASE("arguments reach the tool as they are") {
  Command command;
  command.argv = {"printf", "%s|", "a b", "$(id)", "; rm -rf x", "*", "", "\"'"};
  CHECK(output_of(command) == "a b|$(id)|; rm -rf x|*||\"'|");
}

TEST_CASE("much data both ways does not block") {
  constexpr std::size_t total = 40u << 20;
  Command command;
  command.argv = {"cat"};
  command.standard_input = [](const auto& write) -> Result<void> {
    const Buffer block(1u << 20, 'x');
    for (int i = 0; i < 40; ++i) TRY(write(block));
    return {};
  };
  CHECK(run_checked(command).value().output.size() == total);

  auto noisy = shell("head -c 3000000 /dev/zero | tr '\\0' '\\n' >&2; cat >/dev/null; echo done");
  noisy.standard_input = command.standard_input;
  CHECK(output_of(noisy) == "done\n");
}

TEST_CASE("standard output comes in chunks, its sink's error ends the tool") {
  std::size_t got = 0;
  auto command = shell("head -c 1000000 /dev/zero");
  command.standard_output = [&](Bytes bytes) -> Result<void> {
    got += bytes.size();
    return {};
  };
  CHECK(run_checked(command).value().output.empty());
  CHECK(got == 1'000'000);

  auto endless = shell("yes");
  endless.standard_output = [](Bytes) -> Result<void> { return fail(ErrorCode::io, "disk full"); };
  const auto failed = run(endless);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message == "disk full");
}

TEST_CASE("output without a sink is bounded") {
  const auto failed = run(shell("yes"));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::limit);
}

TEST_CASE("a tool that does not read its input is judged by its exit code") {
  const auto endless = [](const auto& write) -> Result<void> {
    const Buffer block(1u << 16, 'x');
    for (;;) TRY(write(block));
  };
  auto content = shell("head -c 10 >/dev/null");
  content.standard_input = endless;
  CHECK(run_checked(content));
  auto failing = shell("echo no >&2; exit 3");
  failing.standard_input = endless;
  const auto failed = run_checked(failing);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::tool_failed);
}

TEST_CASE("an error of the input's source ends the tool, which never sees a false end") {
  const auto folder = scratch();
  auto command = shell("cat >/dev/null && touch finished");
  command.working_directory = folder.path();
  command.standard_input = [](const auto& write) -> Result<void> {
    TRY(write(as_bytes("half")));
    return fail(ErrorCode::malformed, "the source broke");
  };
  const auto failed = run(command);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message == "the source broke");
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/finished"));
}

TEST_CASE("exit status, signals and the end of standard error are told") {
  CHECK(run(shell("exit 7")).value().exit_code == 7);
  CHECK(run(shell("kill -9 $$")).value().exit_code == 137);
  std::vector<std::string> lines;
  auto command = shell("i=0; while [ $i -lt 100 ]; do echo line $i >&2; i=$((i+1)); done; printf 'no end' >&2; exit 2");
  command.standard_error = [&](std::string_view line) { lines.emplace_back(line); };
  const auto failed = run_checked(command);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::tool_failed);
  CHECK(failed.error().message.find("status 2") != std::string::npos);
  CHECK(failed.error().message.find("\n  line 99\n  no end") != std::string::npos);
  CHECK(failed.error().message.find("line 50\n") == std::string::npos);
  CHECK(lines.size() == 101);
  // Of a tool that marks its errors, those are told and nothing else, and none of them fills a screen.
  const auto marked =
      run_checked(shell("echo chatter >&2; printf 'E: no room\\nmore chatter\\nE: %500d\\n' 1 >&2; exit 1"));
  REQUIRE_FALSE(marked);
  CHECK(marked.error().message.find("\n  E: no room\n  E: ") != std::string::npos);
  CHECK(marked.error().message.find("chatter\n") == std::string::npos);
  CHECK(marked.error().message.size() < 600);
}

TEST_CASE("a tool that cannot be run is named with its package") {
  Command command;
  command.argv = {"mksquashfs"};
  const auto folder = scratch();
  const std::string path = std::getenv("PATH");
  SECTION("not installed") {
    command.argv = {"ingot-no-such-tool"};
    const auto failed = run(command);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::missing);
    CHECK(failed.error().message.find("ingot-no-such-tool") != std::string::npos);
  }
  SECTION("no such folder to run in") {
    command.argv = {"true"};
    command.working_directory = folder.path() + "/none";
    const auto failed = run(command);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::missing);
  }
  SECTION("not a program") {
    REQUIRE(write_file(folder.path() + "/x",
                       as_bytes("\x7f"
                                "ELF broken"),
                       0755));
    command.argv = {folder.path() + "/x"};
    const auto failed = run(command);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::io);
  }
}

TEST_CASE("a time-out ends the tool and what it started") {
  const auto folder = scratch();
  auto command = shell("sleep 100 & echo $! > pid; wait");
  command.working_directory = folder.path();
  command.timeout_seconds = 0.3;
  const auto start = std::chrono::steady_clock::now();
  const auto failed = run(command);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::timeout);
  CHECK(seconds_since(start) < 30);
  CHECK(dies_within_seconds(pid_in(folder.path() + "/pid"), 20));
}

TEST_CASE("what a tool leaves behind does not keep us waiting") {
  const auto folder = scratch();
  auto command = shell("sleep 100 & echo $! > pid; echo out");
  command.working_directory = folder.path();
  const auto start = std::chrono::steady_clock::now();
  CHECK(output_of(command) == "out\n");
  CHECK(dies_within_seconds(pid_in(folder.path() + "/pid"), 2));
  auto escaped = shell("setsid sleep 3 & echo out");
  CHECK(output_of(escaped) == "out\n");
  CHECK(seconds_since(start) < 2.9);
}

TEST_CASE("a tool dies with us") {
  const auto folder = scratch();
  const auto pid_file = folder.path() + "/pid";
  const pid_t builder = ::fork();
  if (builder == 0) {
    auto command = shell("echo $$ > " + pid_file + "; exec sleep 100");
    (void)run(command);
    ::_exit(0);
  }
  const auto tool = pid_in(pid_file);
  REQUIRE(tool > 0);
  REQUIRE(is_alive(tool));
  REQUIRE(::kill(builder, SIGKILL) == 0);
  REQUIRE(::waitpid(builder, nullptr, 0) == builder);
  CHECK(dies_within_seconds(tool, 5));
}

TEST_CASE("a tool in the background is watched, stopped and logged") {
  const auto folder = scratch();
  const auto log = folder.path() + "/log";
  SECTION("it ends by itself") {
    auto background = Background::start(shell("echo hello; echo there >&2; exit 4"), log).value();
    std::optional<int> code;
    for (int i = 0; i < 500 && !code; ++i) {
      code = background.poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(code == 4);
    CHECK(background.poll() == 4);
    CHECK(as_text(read_file(log, 1000).value()) == "hello\nthere\n");
  }
  SECTION("it is stopped, and its children with it") {
    pid_t pid = 0;
    pid_t child = 0;
    {
      auto background = Background::start(shell("sleep 100 & echo $!; wait"), log).value();
      child = pid_in(log);
      pid = background.pid();
      CHECK_FALSE(background.poll());
      auto moved = std::move(background);
      CHECK(moved.pid() == pid);
    }
    CHECK_FALSE(is_alive(pid));
    CHECK(dies_within_seconds(child, 2));
  }
  SECTION("it ignores SIGTERM") {
    auto background = Background::start(shell("trap '' TERM; echo $$; while :; do sleep 0.1; done"), log).value();
    (void)pid_in(log);
    background.stop();
    CHECK_FALSE(is_alive(background.pid()));
    CHECK(background.poll() == 137);
  }
}

TEST_CASE("a temporary folder is private and leaves nothing") {
  const auto parent = scratch();
  std::string path;
  {
    const auto folder = TemporaryFolder::create(parent.path(), "work-").value();
    path = folder.path();
    CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::all) ==
          std::filesystem::perms::owner_all);
    std::filesystem::create_directories(path + "/a/b");
    REQUIRE(write_file(path + "/a/b/c", as_bytes("x"), 0400));
    std::filesystem::create_symlink(parent.path(), path + "/a/link");
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(std::filesystem::exists(parent.path()));
  CHECK_FALSE(TemporaryFolder::create(parent.path() + "/none", "x"));
}
