#include "port.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "ingot/base/source.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view ready_line = "ingot-ready/1\n";
constexpr std::string_view nonce_word = "ingot-nonce/1 ";
constexpr std::size_t line_cap_bytes = 512;

void pause_briefly() {
  const timespec step{0, 50'000'000};
  ::nanosleep(&step, nullptr);
}

/// udev makes /dev/virtio-ports/NAME; without udev the kernel's own list tells which device has the name.
std::string find_port(const std::string& name) {
  std::error_code ec;
  const std::string linked = "/dev/virtio-ports/" + name;
  if (fs::exists(linked, ec)) return linked;
  for (const auto& entry : fs::directory_iterator("/sys/class/virtio-ports", ec)) {
    const auto text = read_file((entry.path() / "name").string(), line_cap_bytes);
    if (text && as_text(*text) == name + "\n") return "/dev/" + entry.path().filename().string();
  }
  return {};
}

}  // namespace

Result<Port> Port::open(const std::string& name, double timeout_seconds) {
  for (double waited = 0;; waited += 0.05) {
    const std::string path = find_port(name);
    if (!path.empty())
      if (const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC); fd >= 0) return Port(fd);
    if (waited >= timeout_seconds)
      return fail(ErrorCode::missing, fmt::format("no virtio-serial port \"{}\"", name),
                  "this mode is for Ingot's rig");
    pause_briefly();
  }
}

Port::Port(Port&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
Port::~Port() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Port::Question> Port::read_question() {
  TRY(write_all(as_bytes(ready_line)));
  std::string line;
  while (line.empty() || line.back() != '\n') {
    char next = 0;
    const ssize_t got = ::read(fd_, &next, 1);
    if (got < 0 && errno != EINTR && errno != EAGAIN) return fail(io_error("reading the nonce", errno));
    if (got <= 0) {  // 0: nobody is connected at the host's end yet
      pause_briefly();
      continue;
    }
    line.push_back(next);
    if (line.size() > line_cap_bytes) return fail(ErrorCode::limit, "the nonce's line is longer than 512 bytes");
  }
  line.pop_back();
  const auto words = line.starts_with(nonce_word) ? std::string_view(line).substr(nonce_word.size()) : "-";
  const auto space = std::min(words.find(' '), words.size());
  auto nonce = parse_hex(words.substr(0, space));
  if (!nonce) return fail(ErrorCode::malformed, "the host's first line is not \"ingot-nonce/1 HEX [NODE]\"");
  return Question{*std::move(nonce), std::string(words.substr(std::min(space + 1, words.size())))};
}

Result<void> Port::write_all(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno != EINTR && errno != EAGAIN) return fail(io_error("writing evidence to the host", errno));
    if (put > 0) bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Result<void> Port::write_evidence(Bytes evidence) {
  TRY(write_all(as_bytes(fmt::format("ingot-evidence/1 {}\n", evidence.size()))));
  return write_all(evidence);
}

void Port::write_error(const std::string& text) { (void)write_all(as_bytes(fmt::format("ingot-error/1 {}\n", text))); }

void Port::wait_for_host_to_leave(double timeout_seconds) {
  pollfd waiting{fd_, 0, 0};
  (void)::poll(&waiting, 1, static_cast<int>(timeout_seconds * 1000));  // POLLHUP is always reported
}

}  // namespace ingot::agent
