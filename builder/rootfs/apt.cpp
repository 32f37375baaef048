#include "apt.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "deb.hpp"
#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"

namespace ingot::builder::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
constexpr std::string_view helper = "/usr/lib/apt/apt-helper";
constexpr std::string_view architecture = "amd64";
constexpr std::string_view mirror_remedy = "name a Debian mirror with --mirror, or mirror = \"...\" in [base]";

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    lines.push_back(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.size(), lines.back().size() + 1));
  }
  return lines;
}

/// A proxy is the one thing of our environment that reaching a mirror may depend on.
std::map<std::string, std::string> proxy_environment() {
  std::map<std::string, std::string> out;
  for (const char* name : {"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "HTTP_PROXY",
                           "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
    if (const char* value = std::getenv(name)) out[name] = value;
  return out;
}

Command apt_command(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  command.environment = proxy_environment();
  return command;
}

/// apt.conf(5) has no escape for a quote or backslash in a value.
Result<void> check_path(const std::string& path) {
  if (path.find_first_of("\"\\\n; ") == std::string::npos) return {};
  return fail(ErrorCode::usage,
              fmt::format("the cache folder \"{}\" has a blank, quote, backslash or semicolon in its path", path),
              "choose another one with --cache");
}

std::string configuration(const std::string& folder) {
  // Read after the machine's own (its proxies and time-outs are wanted, its sources, state and hooks are not).
  return fmt::format(R"(#clear APT::Update;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Architectures;
#clear APT::NeverAutoRemove;
APT::Architecture "{1}";
APT::Architectures {{ "{1}"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Default-Release "";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::ForceHash "sha256";
Acquire::Retries "3";
Acquire::GzipIndexes "true";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
pkgCacheGen::ForceEssential ",";
pkgCacheGen::ForceImportant ",";
Dir::State "{0}/state";
Dir::State::status "{0}/status";
Dir::Cache "{0}/cache";
Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "{0}/none";
Dir::Etc::preferences "{0}/none/none";
Dir::Etc::preferencesparts "{0}/none";
Dir::Etc::trusted "{0}/none/none";
Dir::Etc::trustedparts "{0}/none";
)",
                     folder, architecture);
}

std::string unquote(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto hex = text[i] == '%' && i + 2 < text.size() ? parse_hex(text.substr(i + 1, 2)) : std::nullopt;
    if (hex) i += 2;
    out += hex ? static_cast<char>(hex->front()) : text[i];
  }
  return out;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string machine_codename() {
  const auto release = read_file("/etc/os-release", 1u << 20);
  if (!release) return {};
  for (auto line : lines_of(as_text(*release))) {
    constexpr std::string_view key = "VERSION_CODENAME=";
    if (!line.starts_with(key)) continue;
    std::string value(line.substr(key.size()));
    std::erase(value, '"');
    return value;
  }
  return {};
}

/// The end of what apt said, without its warnings.
std::string last_errors(const std::string& text) {
  std::string out;
  for (const auto line : lines_of(text))
    if (line.starts_with("E:"))
      out += fmt::format("{}{}", out.empty() ? "" : "; ", line.substr(std::min<std::size_t>(3, line.size())));
  return out.empty() ? text : out;
}

Result<Completed> run_apt(const Command& command, std::string_view what, std::string_view remedy) {
  auto completed = TRY(run(command));
  if (completed.exit_code == 0) return completed;
  return fail(ErrorCode::tool_failed, fmt::format("{}: {}", what, last_errors(completed.error_tail)),
              std::string(remedy));
}

}  // namespace

std::optional<PackageFile> parse_uri_line(std::string_view line) {
  if (!line.starts_with('\'')) return std::nullopt;
  const auto quote = line.find('\'', 1);
  if (quote == std::string_view::npos) return std::nullopt;
  PackageFile out;
  out.uri = line.substr(1, quote - 1);
  std::vector<std::string_view> words;
  for (auto rest = line.substr(quote + 1); !rest.empty();) {
    const auto word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    if (!word.empty()) words.push_back(word);
  }
  constexpr std::string_view prefix = "SHA256:";
  if (words.size() != 3 || !words[0].ends_with(".deb") || !words[2].starts_with(prefix)) return std::nullopt;
  const auto name = words[0].substr(0, words[0].size() - 4);
  const auto first = name.find('_');
  const auto last = name.rfind('_');
  const auto size = parse_number(words[1]);
  if (first == std::string_view::npos || first == last || !size) return std::nullopt;
  out.package = {std::string(name.substr(0, first)), unquote(name.substr(first + 1, last - first - 1)),
                 std::string(name.substr(last + 1)), std::string(words[2].substr(prefix.size())), *size};
  return out;
}

Result<std::vector<AptSource>> debian_sources(std::string_view printed, std::string_view codename,
                                              const std::string& suite) {
  std::optional<AptSource> archive;
  std::optional<AptSource> security;
  const std::set<std::string_view> suites{codename,   "stable",   "oldstable", "testing", "unstable", "sid",
                                          "bullseye", "bookworm", "trixie",    "forky",   "duke"};
  for (const auto line : lines_of(printed)) {
    // 'http://mirror/debian/dists/bookworm/InRelease' ...: the only address that is printed for every source.
    constexpr std::string_view tail = "/InRelease'";
    const auto end = line.find(tail);
    const auto dists = line.find("/dists/");
    if (!line.starts_with('\'') || end == std::string_view::npos || dists == std::string_view::npos || dists > end)
      continue;
    const std::string uri(line.substr(1, dists - 1));
    const auto found = line.substr(dists + 7, end - dists - 7);
    if (!archive && suites.contains(found)) archive = AptSource{uri, suite};
    const auto base = found.substr(0, found.find('-'));
    if (!security && suites.contains(base) && found == fmt::format("{}-security", base))
      security = AptSource{uri, fmt::format("{}-security", suite)};
  }
  if (!archive)
    return fail(ErrorCode::missing, "apt on this machine has no source that is a Debian archive",
                std::string(mirror_remedy));
  std::vector<AptSource> out{*archive};
  const std::set<std::string_view> without_security{"sid", "unstable", "experimental"};
  if (security && !without_security.contains(suite)) out.push_back(*security);
  return out;
}

Result<std::vector<AptSource>> find_sources(const PackageBase& base, const std::string& mirror) {
  const auto& given = mirror.empty() ? base.mirror : mirror;
  if (!given.empty()) {
    if (given.find_first_of(" \t\n[]") != std::string::npos || given.find(":/") == std::string::npos)
      return fail(ErrorCode::usage, fmt::format("the mirror \"{}\" is not an address", given),
                  "write it as http://host/debian");
    return std::vector<AptSource>{{given, base.suite}};
  }
  const auto printed =
      TRY(run_apt(apt_command({"apt-get", "update", "--print-uris"}), "reading apt's sources", mirror_remedy));
  return debian_sources(as_text(printed.output), machine_codename(), base.suite);
}

Result<Apt> Apt::create(const std::string& folder, const std::vector<AptSource>& sources,
                        const std::vector<std::string>& components) {
  TRY(check_path(folder));
  if (!fs::exists(keyring))
    return fail(ErrorCode::missing, fmt::format("{} is not there", keyring),
                "install the Debian package debian-archive-keyring");
  std::error_code code;
  for (const auto* part : {"state/lists/partial", "cache/archives/partial", "none"}) {
    fs::create_directories(fmt::format("{}/{}", folder, part), code);
    if (code) return fail(io_error(fmt::format("creating {}/{}", folder, part), code.value()));
  }
  std::string list;
  for (const auto& source : sources)
    list += fmt::format("deb [arch={} signed-by={}] {} {} {}\n", architecture, keyring, source.uri, source.suite,
                        fmt::join(components, " "));
  TRY(write_file(folder + "/sources.list", as_bytes(list)));
  TRY(write_file(folder + "/status", {}));
  TRY(write_file(folder + "/apt.conf", as_bytes(configuration(folder))));
  return Apt(folder);
}

Result<void> Apt::update() const {
  TRY(run_apt(
      apt_command({"apt-get", "-c", folder_ + "/apt.conf", "-q", "-o", "APT::Update::Error-Mode=any", "update"}),
      "fetching package lists", "check the network, or name another mirror with --mirror"));
  return write_file(folder_ + "/updated", {});
}

bool Apt::has_lists() const { return fs::exists(folder_ + "/updated"); }

Result<std::vector<PackageFile>> Apt::resolve(const std::vector<std::string>& names) const {
  std::vector<std::string> argv{"apt-get",      "-c",      folder_ + "/apt.conf", "-qq", "-y",
                                "--print-uris", "install", "?essential"};
  argv.insert(argv.end(), names.begin(), names.end());
  const auto printed =
      TRY(run_apt(apt_command(argv), "resolving packages", "check the package names in [base] and the suite"));
  std::map<std::string, PackageFile> found;
  for (const auto line : lines_of(as_text(printed.output))) {
    auto file = parse_uri_line(line);
    if (!file && line.starts_with('\''))
      return fail(ErrorCode::unsupported, fmt::format("apt gives no SHA-256 for a package: {}", line));
    if (file) found.insert_or_assign(file->package.name, *std::move(file));
  }
  if (found.empty()) return fail(ErrorCode::internal, "apt resolved to no package at all");
  std::vector<PackageFile> out;
  for (auto& [name, file] : found) out.push_back(std::move(file));
  return out;
}

Result<std::map<std::string, std::string>> Apt::uris_by_sha256(const std::vector<LockedPackage>& packages) const {
  std::set<std::string_view> wanted;
  for (const auto& package : packages) wanted.insert(package.sha256);
  const auto targets = TRY(run_apt(apt_command({"apt-get", "-c", folder_ + "/apt.conf", "indextargets", "--format",
                                                "$(REPO_URI) $(FILENAME)", "Created-By: Packages"}),
                                   "reading package lists", ""));
  std::map<std::string, std::string> found;
  for (const auto line : lines_of(as_text(targets.output))) {
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const auto uri = line.substr(0, blank);
    auto command = apt_command(
        {std::string(helper), "-c", folder_ + "/apt.conf", "cat-file", std::string(line.substr(blank + 1))});
    std::string text;  // one paragraph at a time: a whole list has 60 MB
    command.standard_output = [&](Bytes chunk) -> Result<void> {
      text += as_text(chunk);
      std::size_t from = 0;
      for (auto end = text.find("\n\n"); end != std::string::npos; end = text.find("\n\n", from)) {
        const auto paragraph = std::string_view(text).substr(from, end + 1 - from);
        const auto at = paragraph.find("\nSHA256: ");
        if (at != std::string_view::npos && wanted.contains(paragraph.substr(at + 9, 64)))
          found.emplace(paragraph.substr(at + 9, 64), fmt::format("{}{}", uri, control_fields(paragraph)["Filename"]));
        from = end + 2;
      }
      text.erase(0, from);
      return {};
    };
    TRY(run_apt(command, "reading package lists", ""));
  }
  return found;
}

Result<void> Apt::fetch(const std::vector<PackageFile>& files, const std::string& folder, Progress& progress) const {
  // In groups: a command line has a limit, and a package that is gone should not cost what was fetched before it.
  constexpr std::size_t group = 200;
  std::uint64_t done = 0;
  for (std::size_t from = 0; from < files.size(); from += group) {
    std::vector<std::string> argv{std::string(helper), "-c", folder_ + "/apt.conf", "-q", "download-file"};
    for (std::size_t i = from; i < std::min(files.size(), from + group); ++i) {
      argv.push_back(files[i].uri);
      argv.push_back(fmt::format("{}/{}.deb", folder, files[i].package.sha256));
      argv.push_back("SHA256:" + files[i].package.sha256);
    }
    auto command = apt_command(std::move(argv));
    std::string text;
    command.standard_output = [&](Bytes chunk) -> Result<void> {
      text += as_text(chunk);
      for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
        if (text.starts_with("Get:")) progress.at(std::min<std::uint64_t>(++done, files.size()), files.size());
        text.erase(0, end + 1);
      }
      return {};
    };
    TRY(run_apt(command, "fetching packages", "check the network, or name another mirror with --mirror"));
  }
  return {};
}

}  // namespace ingot::builder::detail
