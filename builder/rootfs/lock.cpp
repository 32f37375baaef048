// The lock file: text, one line per package, so that a change of versions reads well in a diff.
//
//   ingot-lock 1
//   suite trixie
//   request <SHA-256 of what was asked for>
//   package <name> <version> <architecture> <SHA-256 of the .deb> <its size in bytes>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ingot/builder/base_tree.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view first_line = "ingot-lock 1";
constexpr std::string_view first_comment =
    "# Written by \"ingot build\". Builds obey it to the byte; \"ingot build --update-lock\" renews it.\n";
constexpr std::size_t package_cap = 100'000;

struct Word {
  std::string_view text;
  std::uint32_t column = 0;
};

class LockParser {
 public:
  LockParser(const std::string& file, std::string_view text) : file_(file), rest_(text) {}

  Result<Lock> parse() {
    TRY(parse_head());
    for (auto words = next_line(); !words.empty(); words = next_line()) TRY(parse_package(words));
    if (lock_.packages.empty()) return wrong({"", 1}, "a lock without packages");
    return std::move(lock_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> wrong(const Word& word, std::string message) const {
    return fail(Error{ErrorCode::malformed, std::move(message), "restore the file, or renew it with --update-lock",
                      std::nullopt, TextLocation{file_, line_, word.column}});
  }

  /// The words of the next line that has some and is no comment; empty at the end.
  std::vector<Word> next_line() {
    while (!rest_.empty()) {
      const auto line = rest_.substr(0, rest_.find('\n'));
      rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
      ++line_;
      auto words = split(line);
      if (!words.empty()) return words;
    }
    return {};
  }

  static std::vector<Word> split(std::string_view line) {
    std::vector<Word> words;
    if (line.starts_with('#')) return words;
    for (std::size_t at = 0; at < line.size();) {
      if (line[at] == ' ') {
        ++at;
        continue;
      }
      const auto end = std::min(line.find(' ', at), line.size());
      words.push_back({line.substr(at, end - at), static_cast<std::uint32_t>(at + 1)});
      at = end;
    }
    return words;
  }

  Result<void> parse_head() {
    const auto magic = next_line();
    if (magic.size() != 2 || magic[0].text != "ingot-lock" || magic[1].text != "1")
      return wrong({"", 1}, fmt::format("this is no lock file, expected \"{}\"", first_line));
    lock_.suite = TRY(parse_value("suite"));
    lock_.request_sha256 = TRY(parse_value("request"));
    return {};
  }

  Result<std::string> parse_value(std::string_view key) {
    const auto words = next_line();
    if (words.size() != 2 || words[0].text != key) return wrong({"", 1}, fmt::format("expected \"{} ...\"", key));
    if (key == "request" && !is_sha256(words[1].text)) return wrong(words[1], "expected a SHA-256 of 64 digits");
    return std::string(words[1].text);
  }

  Result<void> parse_package(const std::vector<Word>& words) {
    if (words.size() != 6 || words[0].text != "package")
      return wrong(words[0], "expected \"package NAME VERSION ARCHITECTURE SHA256 SIZE\"");
    for (std::size_t i = 1; i < 4; ++i)
      if (!is_clean(words[i].text))
        return wrong(words[i], fmt::format("\"{}\" has a character that no package has", words[i].text));
    if (!is_sha256(words[4].text)) return wrong(words[4], "expected a SHA-256 of 64 digits");
    LockedPackage package{std::string(words[1].text), std::string(words[2].text), std::string(words[3].text),
                          std::string(words[4].text), 0};
    const auto* end = words[5].text.data() + words[5].text.size();
    const auto parsed = std::from_chars(words[5].text.data(), end, package.size_bytes);
    if (parsed.ec != std::errc{} || parsed.ptr != end) return wrong(words[5], "expected a size in bytes");
    if (!lock_.packages.empty() && lock_.packages.back().name >= package.name)
      return wrong(words[1], fmt::format("{} is given twice or out of order", package.name));
    if (lock_.packages.size() == package_cap) return wrong(words[0], fmt::format("more than {} packages", package_cap));
    lock_.packages.push_back(std::move(package));
    return {};
  }

  static bool is_sha256(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  }
  /// Debian Policy, "Package", "Version": nothing that could be a path or an option.
  static bool is_clean(std::string_view text) {
    return text.front() != '-' && text.front() != '.' && std::all_of(text.begin(), text.end(), [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    std::string_view("+-.~:").find(c) != std::string_view::npos;
           });
  }

  std::string file_;
  std::string_view rest_;
  std::uint32_t line_ = 0;
  Lock lock_;
};

}  // namespace

Result<Lock> parse_lock(const std::string& file_name, std::string_view text) {
  return LockParser(file_name, text).parse();
}

std::string render_lock(const Lock& lock) {
  auto out = fmt::format("{}{}\nsuite {}\nrequest {}\n", first_comment, first_line, lock.suite, lock.request_sha256);
  for (const auto& package : lock.packages)
    out += fmt::format("package {} {} {} {} {}\n", package.name, package.version, package.architecture, package.sha256,
                       package.size_bytes);
  return out;
}

}  // namespace ingot::builder
