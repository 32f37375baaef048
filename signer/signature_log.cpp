#include "signature_log.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "ingot/base/descriptor.hpp"
#include "ingot/base/source.hpp"

namespace ingot::signer {
namespace {
namespace fs = std::filesystem;

constexpr const char* no_log_no_signature =
    "nothing is signed that is not logged; make it writable, or name another file in INGOT_SIGN_LOG";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Error log_error(const std::string& path, int errno_value) {
  auto error = io_error(fmt::format("signature log {}", path), errno_value);
  error.remedy = no_log_no_signature;
  return error;
}

std::string user_name(uid_t uid) {
  std::array<char, 4096> buffer{};
  passwd record{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &record, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return std::to_string(uid);
}

/// proc(5), "/proc/pid/loginuid": set when somebody logs in, and kept by sudo. Empty when unset or the same user.
std::string login_name() {
  const Descriptor file(::open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC));
  std::array<char, 16> text{};
  const auto size = file.is_open() ? ::read(file.get(), text.data(), text.size()) : 0;
  uid_t uid = 0;
  const auto* end = text.data() + (size > 0 ? size : 0);
  if (std::from_chars(text.data(), end, uid).ec != std::errc{} || uid == static_cast<uid_t>(-1) || uid == ::getuid())
    return {};
  return user_name(uid);
}

Result<Descriptor> open_log(const std::string& path) {
  // Whoever could put a link there could have us write elsewhere.
  const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
  Descriptor file(::open(path.c_str(), flags));
  if (!file.is_open() && errno == ENOENT) {
    std::error_code ec;
    const auto folder = fs::absolute(path, ec).parent_path();
    fs::create_directories(folder, ec);
    file = Descriptor(::open(path.c_str(), flags | O_CREAT, 0600));
    const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (file.is_open() && (!parent.is_open() || ::fsync(parent.get()) != 0)) return fail(log_error(path, errno));
  }
  if (!file.is_open()) return fail(log_error(path, errno));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail(log_error(path, errno));
  if (!S_ISREG(info.st_mode))
    return fail(ErrorCode::usage, fmt::format("signature log {} is not a regular file", path), no_log_no_signature);
  while (::flock(file.get(), LOCK_EX) != 0)
    if (errno != EINTR) return fail(log_error(path, errno));
  return file;
}

/// The hash of the last line. What does not end in an entry is not a log to go on with.
Result<Buffer> head_of(int file, std::uint64_t size, const std::string& path) {
  if (size == 0) return codec::empty_signature_log_head();
  Buffer tail(std::min<std::uint64_t>(size, codec::signature_line_cap_bytes + 2));
  const auto got = ::pread(file, tail.data(), tail.size(), static_cast<off_t>(size - tail.size()));
  if (got < 0 || static_cast<std::size_t>(got) != tail.size()) return fail(log_error(path, got < 0 ? errno : EIO));
  auto text = as_text(tail);
  const bool ended = text.ends_with('\n');
  if (ended) text.remove_suffix(1);
  if (const auto start = text.rfind('\n'); start != std::string_view::npos) text.remove_prefix(start + 1);
  if (!ended || !codec::decode_signature_entry(text))
    return fail(ErrorCode::malformed, fmt::format("the last line of {} is not an entry of a signature log", path),
                "see `ingot sign log --verify`; keep the file, and name a new one in INGOT_SIGN_LOG");
  return codec::signature_line_hash(text);
}

Result<void> write_all(int file, std::string_view text, std::uint64_t size_before, const std::string& path) {
  for (std::size_t done = 0; done < text.size();) {
    const auto wrote = ::write(file, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int why = errno;
      (void)!::ftruncate(file, static_cast<off_t>(size_before));  // half a line would end the log for good
      return fail(log_error(path, why));
    }
    done += static_cast<std::size_t>(wrote);
  }
  if (::fdatasync(file) != 0) return fail(log_error(path, errno));
  return {};
}

/// One thread's entry, and what became of it.
struct Waiting {
  codec::SignatureEntry entry;
  std::optional<Result<void>> done;
};
struct Queue {
  std::vector<Waiting*> waiting;
  bool writing = false;
};

Result<void> append(const std::string& path, const std::vector<Waiting*>& batch) {
  const auto file = TRY(open_log(path));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail(log_error(path, errno));
  const auto size = static_cast<std::uint64_t>(info.st_size);
  auto previous = TRY(head_of(file.get(), size, path));
  utsname system{};
  (void)::uname(&system);
  const auto time = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  const auto user = user_name(::getuid());
  const auto login = login_name();
  std::string text;
  for (auto* waiting : batch) {
    auto& entry = waiting->entry;
    entry.previous = std::move(previous);
    entry.time = time;
    entry.user = user;
    entry.login = login;
    entry.host = system.nodename;
    const auto line = TRY(codec::encode_signature_entry(entry));
    previous = codec::signature_line_hash(line);
    text += line + '\n';
  }
  return write_all(file.get(), text, size, path);
}

}  // namespace

Result<std::string> signature_log_path(const std::string& reference) {
  if (auto named = environment("INGOT_SIGN_LOG"); !named.empty()) return named;
  if (!reference.starts_with("pkcs11:")) {
    const auto folder = fs::path(reference).parent_path();
    return (folder.empty() ? fs::path(".") : folder) / "signatures.log";
  }
  auto state = environment("XDG_STATE_HOME");
  if (state.empty() && !environment("HOME").empty()) state = environment("HOME") + "/.local/state";
  if (state.empty())
    return fail(ErrorCode::missing, "no place for the log of signatures: neither INGOT_SIGN_LOG nor HOME is set",
                "name a file in INGOT_SIGN_LOG");
  return state + "/ingot/signatures.log";
}

Result<void> log_signature(const std::string& path, codec::SignatureEntry entry) {
  static std::mutex lock;
  static std::condition_variable written;
  static std::map<std::string, Queue> queues;
  Waiting mine{std::move(entry), {}};
  std::unique_lock guard(lock);
  auto& queue = queues[path];
  queue.waiting.push_back(&mine);
  while (!mine.done) {
    if (queue.writing) {
      written.wait(guard);
      continue;
    }
    const auto batch = std::exchange(queue.waiting, {});
    queue.writing = true;
    guard.unlock();
    const auto done = append(path, batch);
    guard.lock();
    for (auto* one : batch) one->done = done;
    queue.writing = false;
    written.notify_all();
  }
  return *std::move(mine.done);
}

}  // namespace ingot::signer
