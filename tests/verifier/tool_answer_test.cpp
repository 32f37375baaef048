// How the agent hears what a tool says: through a socket, from somebody who may be slow, talkative or gone.
#include "../../verifier/agent/tool_answer.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <thread>

#include "ingot/codec/report.hpp"

using namespace ingot;
using namespace std::string_literals;
using std::chrono::milliseconds;

namespace {

/// A server in a folder of its own that serves one connection.
class Server {
 public:
  explicit Server(std::function<void(int)> serve) {
    std::string pattern = std::filesystem::temp_directory_path() / "ingot-test-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(listening_, static_cast<const sockaddr*>(static_cast<const void*>(&address)), sizeof address) == 0);
    REQUIRE(::listen(listening_, 1) == 0);
    if (serve == nullptr) return;  // nobody takes connections from the backlog
    thread_ = std::thread([this, serve = std::move(serve)] {
      const int connection = ::accept(listening_, nullptr, nullptr);
      serve(connection);
      ::close(connection);
    });
  }
  ~Server() {
    if (thread_.joinable()) thread_.join();
    ::close(listening_);
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] std::string path() const { return folder_ + "/tool"; }

 private:
  std::string folder_;
  int listening_ = -1;
  std::thread thread_;
};

void say(int connection, std::string_view text) {
  while (!text.empty()) {
    const auto put = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (put <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

Result<Buffer> answer_of(std::function<void(int)> serve) {
  const Server server(std::move(serve));
  return agent::tool_answer(server.path(), {100, milliseconds(500)});
}

const std::string good = "\0exit 0\n\n"s;

}  // namespace

TEST_CASE("tool answer: whole only when the tool has ended well") {
  struct Row {
    const char* name;
    std::string answer;
    const char* error;  ///< part of it; empty: none
    ErrorCode code = ErrorCode::malformed;
  };
  const Row rows[] = {
      {"nothing but a good end", good, ""},
      {"a line", "port 22\n" + good, ""},
      {"a warning beside it", "port 22\n\0exit 0\nDeprecated option\n"s, ""},
      {"nothing at all", "", "cut off after 0 bytes"},
      {"output without an end", "port 22\n", "cut off after 8 bytes"},
      {"an end that is cut off", "port 22\n\0ex"s, "cut off"},
      {"a status that may go on", "port 22\n\0exit 1"s, "cut off"},
      {"a status that never ends", "\0exit 00000000000001"s, "cut off"},
      {"a tool that complains", "port 22\n\0exit 255\n/etc/ssh/sshd_config: line 3\n\n"s,
       "the tool ended with 255: /etc/ssh/sshd_config: line 3", ErrorCode::tool_failed},
      {"a tool that was killed", "\0exit 159\n\n"s, "the tool ended with signal 31", ErrorCode::tool_failed},
      {"a second end", "a\0exit 0\nb\0exit 0\n\n"s, "is not the end of a tool's answer"},
      {"a status without a number", "\0exit \n"s, "is not the end of a tool's answer"},
      {"a status that no process has", "\0exit 256\n"s, "is not the end of a tool's answer"},
      {"an end of another kind", "\0stop 0\nx\n"s, "is not the end of a tool's answer"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const auto output = codec::decode_tool_answer(as_bytes(row.answer));
    if (*row.error == '\0') {
      REQUIRE(output);
      CHECK(as_text(*output) == row.answer.substr(0, row.answer.find('\0')));
      continue;
    }
    REQUIRE_FALSE(output);
    CHECK(output.error().code == row.code);
    CHECK(describe(output.error()).find(row.error) != std::string::npos);
  }
  const auto whole = "port 22\n\0exit 0\n"s;
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(codec::decode_tool_answer(as_bytes(whole).first(size)));
}

TEST_CASE("tool answer: through a socket") {
  const auto output = answer_of([](int connection) {
    say(connection, "port ");
    std::this_thread::sleep_for(milliseconds(50));
    say(connection, "22\n" + good);
  });
  REQUIRE(output);
  CHECK(as_text(*output) == "port 22\n");
  CHECK(answer_of([](int connection) { say(connection, std::string(100, 'x') + good); })->size() == 100);
}

TEST_CASE("tool answer: what goes wrong is told, and in time") {
  struct Row {
    const char* name;
    std::function<void(int)> serve;
    ErrorCode code;
    const char* error;
  };
  const Row rows[] = {
      {"it ends before the tool has", [](int connection) { say(connection, "port 22\n"); }, ErrorCode::malformed,
       "cut off after 8 bytes"},
      {"it closes at once", [](int) {}, ErrorCode::malformed, "cut off after 0 bytes"},
      {"the tool fails", [](int connection) { say(connection, "\0exit 255\nno hostkeys available\n"s); },
       ErrorCode::tool_failed, "ended with 255: no hostkeys available"},
      {"it says one byte more than it may", [](int connection) { say(connection, std::string(101, 'x') + good); },
       ErrorCode::limit, "more than 100 bytes"},
      {"it never stops talking",
       [](int connection) {
         for (int i = 0; i < 10'000; ++i) say(connection, std::string(1000, 'x'));
       },
       ErrorCode::limit, "more than 100 bytes"},
      {"it says half and waits",
       [](int connection) {
         say(connection, "port");
         std::this_thread::sleep_for(milliseconds(1500));
       },
       ErrorCode::timeout, "after 4 bytes it has not ended within 500 ms"},
      {"it says a byte now and then, for ever",
       [](int connection) {
         for (int i = 0; i < 15; ++i) {
           say(connection, "x");
           std::this_thread::sleep_for(milliseconds(100));
         }
       },
       ErrorCode::timeout, "has not ended within 500 ms"},
      {"nobody takes the connection", nullptr, ErrorCode::timeout, "has not ended within 500 ms"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const auto before = std::chrono::steady_clock::now();
    const Server server(row.serve);
    const auto output = agent::tool_answer(server.path(), {100, milliseconds(500)});
    REQUIRE_FALSE(output);
    CHECK(std::chrono::steady_clock::now() - before < milliseconds(1400));
    CHECK(output.error().code == row.code);
    CHECK(describe(output.error()).find(server.path()) == 0);
    CHECK(describe(output.error()).find(row.error) != std::string::npos);
  }
}

TEST_CASE("tool answer: a tool that the node does not offer is missing") {
  const auto absent = agent::tool_answer("/run/no-such-folder/tool", {100, milliseconds(500)});
  REQUIRE_FALSE(absent);
  CHECK(absent.error().code == ErrorCode::missing);
  CHECK(describe(absent.error()) == "/run/no-such-folder/tool: this node does not offer it");
  std::string stopped;
  {
    const Server server([](int) {});
    stopped = server.path();
    REQUIRE(::link(stopped.c_str(), (stopped + "-stopped").c_str()) == 0);
    std::filesystem::rename(stopped + "-stopped", std::filesystem::temp_directory_path() / "ingot-test-stopped");
    (void)agent::tool_answer(stopped, {100, milliseconds(500)});
  }
  const std::string left = std::filesystem::temp_directory_path() / "ingot-test-stopped";
  const auto refused = agent::tool_answer(left, {100, milliseconds(500)});
  std::filesystem::remove(left);
  REQUIRE_FALSE(refused);
  CHECK(describe(refused.error()) == left + ": nobody listens: its socket unit has stopped");
  CHECK(agent::tool_answer(std::string(200, 'x'), {100, milliseconds(500)}).error().code == ErrorCode::internal);
}
