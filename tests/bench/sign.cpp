// One signature over a UKI, by the commands as people run them: starting, reading keys and writing the result included.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <filesystem>

#include "bench.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::bench {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t mib = 1u << 20;
constexpr int repetitions = 15;

/// Of a command, in seconds. On a machine that does other things, too, the processor's time is what can be compared.
struct Cost {
  double elapsed = 0, processor = 0;
};
double processor_seconds_of_children() {
  rusage used{};
  ::getrusage(RUSAGE_CHILDREN, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}
Result<Cost> cost_of(const std::vector<std::string>& argv) {
  const auto start = std::chrono::steady_clock::now();
  const double before = processor_seconds_of_children();
  TRY(builder::run_checked({.argv = argv}));
  return Cost{std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
              processor_seconds_of_children() - before};
}

/// Stub and kernel of this machine, and 30 MiB that do not compress, as an initrd is.
Result<void> write_large_uki(const std::string& path) {
  builder::UkiParts parts;
  parts.stub = TRY(file_source("/usr/lib/systemd/boot/efi/linuxx64.efi.stub"));
  for (const auto& entry : fs::directory_iterator("/boot"))
    if (entry.path().filename().string().starts_with("vmlinuz-")) parts.kernel = TRY(file_source(entry.path()));
  if (!parts.kernel) return fail(ErrorCode::missing, "no kernel in /boot", "install linux-image-cloud-amd64");
  parts.initrd = memory_source(crypto::random_bytes(30 * mib));
  parts.os_release = "ID=bench\n";
  parts.command_line = "quiet";
  parts.uname = "bench";
  return builder::write_uki(parts, path);
}

}  // namespace

Result<void> bench_sign(const Bench& bench) {
  const std::string folder = bench.file("sign");
  fs::remove_all(folder);
  fs::create_directories(folder);
  const auto keys = TRY(signer::init_keys(folder + "/keys"));
  const std::string uki = folder + "/uki.efi";
  TRY(write_large_uki(uki));
  const std::string outputs[] = {folder + "/ours.efi", folder + "/theirs.efi", folder + "/digest",
                                 folder + "/copy.efi"};
  const std::vector<std::vector<std::string>> commands = {
      {bench.ingot, "sign", "pe", uki, "--key", keys.key("db"), "--certificate", keys.certificate("db"), "--out",
       outputs[0]},
      {"sbsign", "--key", keys.key("db"), "--cert", keys.certificate("db"), "--output", outputs[1], uki},
      {"openssl", "dgst", "-sha256", "-out", outputs[2], uki},
      {"cp", uki, outputs[3]},
  };
  // In turn, so that what else the machine does falls on all.
  std::vector<std::vector<double>> times(commands.size()), processor(commands.size());
  for (int i = 0; i < repetitions; ++i)
    for (std::size_t k = 0; k < commands.size(); ++k) {
      // Each writes a new file: to empty one that is there takes sbsign and cp a third of their time.
      fs::remove(outputs[k]);
      const auto cost = TRY(cost_of(commands[k]));
      times[k].push_back(cost.elapsed);
      processor[k].push_back(cost.processor);
    }
  TRY(builder::run_checked({.argv = {"sbverify", "--cert", keys.certificate("db"), outputs[0]}}));
  const auto text = [&](std::size_t k) { return fmt::format("{:.3f} s", median(times[k])); };
  const auto least = [&](std::size_t k) { return *std::min_element(times[k].begin(), times[k].end()); };
  row(fmt::format("signature on a UKI of {} MiB / sbsign", fs::file_size(uki) / mib), text(0), text(1),
      fmt::format("{:.1f} x faster (>= 2)", median(times[1]) / median(times[0])));
  row("  fastest of each", fmt::format("{:.3f} s", least(0)), fmt::format("{:.3f} s", least(1)),
      fmt::format("{:.1f} x", least(1) / least(0)));
  row("  user and system time of each", fmt::format("{:.3f} s", median(processor[0])),
      fmt::format("{:.3f} s", median(processor[1])),
      fmt::format("{:.1f} x", median(processor[1]) / median(processor[0])));
  row("  its floor: openssl dgst -sha256 + cp", text(0), fmt::format("{:.3f} s", median(times[2]) + median(times[3])),
      fmt::format("{:.2f} of it", median(times[0]) / (median(times[2]) + median(times[3]))));
  fs::remove_all(folder);
  return {};
}

}  // namespace ingot::bench
