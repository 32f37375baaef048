// 1,000 kernel modules, signed from the command line: key loaded, files read, signed, written and on the disk.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "bench.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_signature.hpp"

namespace ingot::bench {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t module_count = 1'000;
constexpr int rounds = 5;
constexpr double wanted_seconds = 3;
constexpr const char* sign_file = "/usr/lib/linux-kbuild-6.1/scripts/sign-file";

Result<double> seconds_of(std::vector<std::string> argv) {
  const auto start = std::chrono::steady_clock::now();
  TRY(builder::run_checked({.argv = std::move(argv)}));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The first of this machine's kernel package, without Debian's signatures; their sizes are what modules have.
Result<std::vector<std::string>> make_modules(const std::string& folder) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator("/usr/lib/modules")) {
    if (entry.path().extension() != ".ko" || paths.size() == module_count) continue;
    const auto file = TRY(read_file(entry.path().string(), codec::module_cap_bytes));
    const auto bare = TRY(codec::without_module_signatures(file));
    paths.push_back(fmt::format("{}/{}-{}", folder, paths.size(), entry.path().filename().string()));
    TRY(write_file(paths.back(), bare));
  }
  if (paths.size() < module_count)
    return fail(ErrorCode::missing, fmt::format("this machine has {} modules, of 1,000", paths.size()),
                "install linux-image-cloud-amd64");
  return paths;
}

Result<void> bench_key(const Bench& bench, const std::string& list, const std::vector<std::string>& paths, int bits) {
  const auto key = bench.file(fmt::format("module-{}.key", bits)), certificate = key + ".crt";
  if (!fs::exists(key))
    TRY(builder::run_checked({.argv = {"openssl", "req", "-x509", "-nodes", "-newkey", fmt::format("rsa:{}", bits),
                                       "-subj", "/CN=bench", "-keyout", key, "-out", certificate}}));
  const auto out = bench.file("modules-signed");
  std::vector<double> ours, theirs;
  for (int round = 0; round < rounds; ++round) {
    fs::remove_all(out);
    ours.push_back(TRY(seconds_of({bench.ingot, "sign", "module", "--list", list, "--key", key, "--certificate",
                                   certificate, "--out", out, "--json"})));
  }
  // One process for each module: a tenth of them is enough to see.
  std::string script;
  for (std::size_t at = 0; at < paths.size(); at += 10)
    script += fmt::format("{} sha256 {} {} {} {}\n", sign_file, key, certificate, paths[at], bench.file("theirs.ko"));
  for (int round = 0; round < rounds; ++round) theirs.push_back(10 * TRY(seconds_of({"sh", "-e", "-c", script})));
  const double own = median(ours), other = median(theirs);
  row(fmt::format("{} modules, RSA-{} / sign-file", paths.size(), bits), fmt::format("{:.2f} s", own),
      fmt::format("{:.2f} s", other), fmt::format("{:.2f} of {:.0f} s (<= 1)", own / wanted_seconds, wanted_seconds));
  return {};
}

}  // namespace

Result<void> bench_module(const Bench& bench) {
  const auto paths = TRY(make_modules(bench.file("modules")));
  std::string text;
  std::uint64_t bytes = 0;
  for (const auto& path : paths) text += path + "\n", bytes += fs::file_size(path);
  const auto list = bench.file("modules.list");
  TRY(write_file(list, as_bytes(text)));
  row(fmt::format("of {} MiB", bytes >> 20), "", "", "");
  for (const int bits : {2048, 4096}) TRY(bench_key(bench, list, paths, bits));
  fs::remove_all(bench.file("modules"));
  fs::remove_all(bench.file("modules-signed"));
  return {};
}

}  // namespace ingot::bench
