#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "cli.hpp"

namespace ingot::cli {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

}  // namespace

void say(std::string_view line) { std::cerr << line << '\n' << std::flush; }
void print(std::string_view text) { std::cout << text << std::flush; }

TerminalProgress::TerminalProgress() : terminal_(::isatty(STDERR_FILENO) == 1) {}
TerminalProgress::~TerminalProgress() { finish(); }

void TerminalProgress::step(std::string_view name, std::string_view detail) {
  finish();
  name_ = name;
  detail_ = detail;
  started_ = drawn_ = now_seconds();
  open_ = true;
  cached_ = false;
  if (terminal_)
    redraw("");
  else
    std::cerr << fmt::format("{:<12} {}\n", name_, detail_) << std::flush;
}

void TerminalProgress::at(std::uint64_t done, std::uint64_t total) {
  const double now = now_seconds();
  if (!terminal_ || !open_ || now - drawn_ < 0.1) return;
  drawn_ = now;
  constexpr std::size_t width = 24;
  if (total == 0) return redraw(fmt::format("{} ...", done));
  const auto filled = static_cast<std::size_t>(static_cast<double>(width) *
                                               std::min(1.0, static_cast<double>(done) / static_cast<double>(total)));
  redraw(fmt::format("[{}{}] {:3.0f} %", std::string(filled, '#'), std::string(width - filled, '.'),
                     100.0 * static_cast<double>(done) / static_cast<double>(total)));
}

void TerminalProgress::cached() { cached_ = true; }

void TerminalProgress::redraw(std::string_view bar) {
  std::string line = fmt::format("{:<12} {}{}{}", name_, bar, bar.empty() ? "" : " ", detail_);
  const std::size_t columns = terminal_columns();
  if (line.size() >= columns) line.resize(columns - 1);
  std::cerr << '\r' << line << "\033[K" << std::flush;
}

void TerminalProgress::finish() {
  if (!open_) return;
  open_ = false;
  const std::string result = cached_ ? "from the cache" : fmt::format("{:.1f} s", now_seconds() - started_);
  if (!terminal_) {
    std::cerr << fmt::format("{:<12} done, {}\n", name_, result) << std::flush;
    return;
  }
  redraw(fmt::format("{:>14} ", result));
  std::cerr << '\n' << std::flush;
}

std::string default_cache() {
  if (const char* base = std::getenv("XDG_CACHE_HOME"); base != nullptr && *base != '\0')
    return std::string(base) + "/ingot";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "/root") + "/.cache/ingot";
}

std::string program_folder() {
  std::error_code ec;
  return std::filesystem::read_symlink("/proc/self/exe", ec).parent_path().string();
}

}  // namespace ingot::cli
