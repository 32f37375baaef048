#include "queue.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/journal.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t state_cap_bytes = 64u << 10;
constexpr std::uint64_t mebibyte = 1u << 20;

/// The header alone: the file itself may be large, and journald writes to it meanwhile.
Result<codec::JournalFileTimes> times_of(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return fail(io_error(fmt::format("opening {}", path), errno));
  std::array<std::uint8_t, codec::journal_header_bytes> header{};
  const auto got = ::pread(fd, header.data(), header.size(), 0);
  const int error = errno;
  ::close(fd);
  if (got < 0) return fail(io_error(fmt::format("reading {}", path), error));
  return TRY_IN(path, codec::decode_journal_header(Bytes(header).first(static_cast<std::size_t>(got))));
}

void say(int priority, const std::string& text) { std::fputs(fmt::format("<{}>{}\n", priority, text).c_str(), stderr); }

std::string render_metrics(const QueueState& state, const QueueOptions& options) {
  return fmt::format(
      "# TYPE ingot_queue_waiting_bytes gauge\ningot_queue_waiting_bytes {}\n"
      "# TYPE ingot_queue_limit_bytes gauge\ningot_queue_limit_bytes {}\n"
      "# TYPE ingot_queue_acknowledged_seconds gauge\ningot_queue_acknowledged_seconds {}\n"
      "# TYPE ingot_queue_newest_seconds gauge\ningot_queue_newest_seconds {}\n"
      "# TYPE ingot_queue_lost gauge\ningot_queue_lost {}\n",
      state.waiting_bytes, options.limit_bytes, state.acknowledged_usec / 1'000'000, state.last_usec / 1'000'000,
      state.lost() ? 1 : 0);
}

}  // namespace

Result<QueueState> measure_queue(const QueueOptions& options) {
  QueueState state;
  std::error_code code;
  if (fs::exists(options.state, code)) {
    const auto text = TRY(read_file(options.state, state_cap_bytes));
    state.acknowledged_usec = TRY_IN(options.state, codec::decode_upload_state(as_text(text)));
  }
  fs::recursive_directory_iterator files(options.journal, code);
  if (code) return fail(io_error(fmt::format("reading {}", options.journal), code.value()));
  for (const auto& entry : files) {
    const auto extension = entry.path().extension();
    if (!entry.is_regular_file(code) || (extension != ".journal" && extension != ".journal~")) continue;
    const auto times = times_of(entry.path().string());
    if (!times || times->last_usec == 0) continue;  // being made, or removed while we look
    state.first_usec = state.first_usec == 0 ? times->first_usec : std::min(state.first_usec, times->first_usec);
    state.last_usec = std::max(state.last_usec, times->last_usec);
    const auto size = entry.file_size(code);
    if (!code && times->last_usec > state.acknowledged_usec) state.waiting_bytes += size;
  }
  return state;
}

Result<void> run_queue(const QueueOptions& options) {
  if (options.limit_bytes == 0) return fail(ErrorCode::usage, "--limit is not a number of bytes above 0");
  const auto state = TRY(measure_queue(options));
  if (!options.metrics.empty()) TRY(write_file(options.metrics, as_bytes(render_metrics(state, options)), 0644));
  const auto waiting = fmt::format("{} of {} MiB", state.waiting_bytes / mebibyte, options.limit_bytes / mebibyte);
  // Files are pre-allocated and one is always being written: a full queue of one file is no notice.
  const bool fills = state.waiting_bytes / 100 >= options.limit_bytes / 10'000 * static_cast<unsigned>(options.percent);
  if (state.lost())
    say(1, fmt::format("records of {} seconds were dropped before the collector had them; {} wait",
                       (state.first_usec - state.acknowledged_usec) / 1'000'000, waiting));
  else if (fills)
    say(2, fmt::format("the queue fills: {} wait for the collector; when it is full, the oldest are lost", waiting));
  if (state.acknowledged_usec == 0)
    say(4, fmt::format("nothing was ever delivered to the collector; {} wait", waiting));
  return {};
}

}  // namespace ingot::agent
