// What Ingot and its peers need for the same work, side by side in one run. Prints ratios; nothing is asserted.
#include "bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "ingot/base/output.hpp"
#include "ingot/builder/base_tree.hpp"
#include "ingot/builder/boot_uki.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/signer/key.hpp"
#include "memory.hpp"

namespace ingot::bench {

void row(std::string_view what, std::string_view ours, std::string_view theirs, std::string_view ratio) {
  fmt::print("{:<52} {:>12} {:>12} {:>22}\n", what, ours, theirs, ratio);
  std::fflush(stdout);
}

namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t mib = 1u << 20;
constexpr int repetitions = 5;

std::string seconds(double value) { return fmt::format("{:.3f} s", value); }

Result<double> time_of(const std::function<Result<void>()>& work) {
  const auto start = std::chrono::steady_clock::now();
  TRY(work());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Both in turn, so that what else the machine does falls on both.
Result<std::pair<double, double>> medians(const std::function<Result<void>()>& ours,
                                          const std::function<Result<void>()>& theirs) {
  std::vector<double> first;
  std::vector<double> second;
  for (int i = 0; i < repetitions; ++i) {
    first.push_back(TRY(time_of(ours)));
    second.push_back(TRY(time_of(theirs)));
  }
  return std::pair{median(first), median(second)};
}

Result<void> tool(std::vector<std::string> argv) {
  TRY(builder::run_checked({.argv = std::move(argv)}));
  return {};
}

Result<void> write_random(const std::string& path, std::uint64_t size_mib) {
  auto out = TRY(OutputFile::create(path));
  for (std::uint64_t at = 0; at < size_mib; ++at) TRY(out.write_at(at * mib, crypto::random_bytes(mib)));
  return out.commit();
}

Result<void> bench_verity(const Bench& bench) {
  const std::string data = bench.file("verity-data");
  TRY(write_random(data, 200));
  const Buffer salt(32, 0x5A);
  const auto uuid = derive_guid(salt);
  const auto [ours, theirs] = TRY(medians(
      [&]() -> Result<void> {
        TRY(builder::make_verity(data, salt, uuid, bench.file("verity-ours"), builder::silent_progress()));
        return {};
      },
      [&] {
        return tool({"veritysetup", "format", data, bench.file("verity-theirs"), "--salt", to_hex(salt), "--uuid",
                     to_text(uuid)});
      }));
  TRY(tool({"cmp", bench.file("verity-ours"), bench.file("verity-theirs")}));
  row(fmt::format("verity tree over 200 MiB / veritysetup, {} cores", std::thread::hardware_concurrency()),
      seconds(ours), seconds(theirs), fmt::format("{:.1f} x faster (>= 2)", theirs / ours));
  return {};
}

/// UKI, PCR policy and signature, from the parts of a finished build.
Result<void> bench_uki(const Bench& bench) {
  const auto keys = TRY(signer::open_keys(bench.file("keys")));
  const auto tree = TRY(builder::index_tar(bench.source + "/build/rig/base.tar", builder::silent_progress()));
  auto parts = TRY(builder::boot_parts(tree));
  // 30 MiB that do not compress, as an initrd is.
  parts.initrd = memory_source(crypto::random_bytes(30 * mib));
  parts.command_line = "console=ttyS0 module.sig_enforce=1 lockdown=integrity";
  const std::string folder = bench.file("uki");
  fs::create_directories(folder);
  const auto write = [&](const std::string& name, const ByteSource& content) -> Result<void> {
    return write_file(folder + "/" + name, TRY(read_all(content, 256 * mib)));
  };
  TRY(write("stub", *parts.stub));
  TRY(write("linux", *parts.kernel));
  TRY(write("initrd", *parts.initrd));
  TRY(write_file(folder + "/osrel", as_bytes(parts.os_release)));
  for (const auto& name : {keys.key("db"), keys.certificate("db"), keys.key("pcr"), keys.public_key("pcr")})
    fs::copy_file(name, folder + "/" + fs::path(name).filename().string(), fs::copy_options::overwrite_existing);
  // One shell for all repetitions of theirs: entering the tree is not ukify's time.
  const std::string ukify =
      "ukify build --stub=stub --linux=linux --initrd=initrd --os-release=@osrel --uname=" + parts.uname +
      " '--cmdline=" + parts.command_line +
      "' --pcr-banks=sha256 --phases=enter-initrd --pcr-private-key=pcr.key --pcr-public-key=pcr.pub --signtool=sbsign "
      "--secureboot-private-key=db.key --secureboot-certificate=db.crt --output=theirs.efi";
  const std::string script = fmt::format(
      "set -e; for i in 1 2 3 4 5; do s=$(date +%s%N); {} >/dev/null 2>&1; e=$(date +%s%N); echo $((e - s)); done",
      ukify);
  std::vector<double> ours;
  for (int i = 0; i < repetitions; ++i)
    ours.push_back(TRY(time_of([&] {
      return builder::make_signed_uki(parts, builder::PcrPolicy::signed_by_pcr_key, keys, folder + "/ours.efi");
    })));
  const auto done = TRY(builder::run_checked({.argv = {bench.peers, "run", folder, "bash", "-c", script}}));
  std::vector<double> theirs;
  for (std::size_t at = 0; at < done.output.size();) {
    const auto text = as_text(done.output);
    const auto end = std::min(text.find('\n', at), text.size());
    theirs.push_back(std::stod(std::string(text.substr(at, end - at))) / 1e9);
    at = end + 1;
  }
  row(fmt::format("UKI of {} MiB, policy, signature / ukify + sbsign", fs::file_size(folder + "/ours.efi") / mib),
      seconds(median(ours)), seconds(median(theirs)),
      fmt::format("{:.1f} x faster (>= 4)", median(theirs) / median(ours)));
  return {};
}

std::vector<std::string> build_command(const Bench& bench, const std::string& profile, const std::string& out) {
  return {bench.ingot,
          "build",
          profile,
          "--keys",
          bench.file("keys"),
          "--out",
          bench.file(out),
          "--cache",
          bench.file("cache"),
          "--lock",
          bench.file(fs::path(profile).stem().string() + ".lock")};
}

/// The profile with one line of its configuration changed, so that no earlier run has built it.
Result<void> write_profile(const Bench& bench, const std::string& name, const std::string& extra = {}) {
  const auto text = TRY(read_file(bench.source + "/profiles/standalone.toml", mib));
  std::string profile(as_text(text));
  const std::string line = "This is a node";
  profile.replace(profile.find(line), line.size(), line + " " + to_hex(crypto::random_bytes(8)));
  TRY(write_file(bench.file(name), as_bytes(profile + extra)));
  for (const std::string beside : {"base.toml", "site.toml"}) {
    const auto copy = TRY(read_file(bench.source + "/profiles/" + beside, mib));
    TRY(write_file(bench.file(beside), copy));
  }
  return {};
}

Result<void> bench_rebuild(const Bench& bench) {
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) {
    TRY(write_profile(bench, "edited.toml"));
    times.push_back(TRY(time_of([&] { return tool(build_command(bench, bench.file("edited.toml"), "image")); })));
  }
  row("rebuild after one line of a profile", seconds(median(times)), "-",
      fmt::format("{:.2f} of 5 s (<= 1)", median(times) / 5));
  return {};
}

/// The four roles of the site, one after the other, with their trees in the cache and nothing that is made of them.
Result<void> bench_roles(const Bench& bench) {
  const std::vector<std::string> roles = {"training", "inference", "storage", "management"};
  const auto build_all = [&]() -> Result<void> {
    fs::remove_all(bench.file("cache") + "/steps");
    for (const auto& role : roles)
      TRY(tool(build_command(bench, bench.source + "/profiles/" + role + ".toml", "role-" + role)));
    return {};
  };
  TRY(build_all());
  std::vector<double> times;
  for (int i = 0; i < 3; ++i) times.push_back(TRY(time_of(build_all)));
  for (const auto& role : roles) fs::remove_all(bench.file("role-" + role));
  row("images of the four roles, trees cached", seconds(median(times)), "-",
      fmt::format("{:.2f} of 20 s (<= 1)", median(times) / 20));
  return {};
}

/// mkosi with the same packages; the first run fills its cache and is not measured.
Result<void> prepare_mkosi(const Bench& bench) {
  const std::string folder = bench.file("mkosi");
  fs::create_directories(folder + "/mkosi.repart");
  fs::create_directories(folder + "/cache");
  const auto mirror_line = TRY(builder::run_checked({.argv = {bench.source + "/tests/mirror"}}));
  std::string mirror(as_text(mirror_line.output));
  mirror.erase(mirror.find('\n'));
  const auto profile = TRY(builder::load_profile(bench.source + "/profiles/standalone.toml"));
  std::string packages = profile.kernel.package;
  for (const auto& package : std::get<PackageBase>(profile.base).packages) packages += "," + package;
  const auto common = TRY(read_file(bench.source + "/tests/bench/mkosi.conf", mib));
  std::string config(as_text(common));
  config += fmt::format("\n[Distribution]\nMirror={0}\nLocalMirror={0}\n\n[Content]\nPackages={1}\n", mirror, packages);
  TRY(write_file(folder + "/mkosi.conf", as_bytes(config)));
  const std::vector<std::pair<std::string, std::string>> partitions = {
      {"00-esp", "Type=esp\nFormat=vfat\nCopyFiles=/boot:/\nCopyFiles=/efi:/\nSizeMinBytes=260M\nSizeMaxBytes=260M\n"},
      {"10-root",
       "Type=root\nFormat=squashfs\nCompression=zstd\nCompressionLevel=3\nCopyFiles=/"
       "\nVerity=data\nVerityMatchKey=root\nMinimize=best\n"},
      {"20-verity", "Type=root-verity\nVerity=hash\nVerityMatchKey=root\nMinimize=best\n"}};
  for (const auto& [name, text] : partitions)
    TRY(write_file(folder + "/mkosi.repart/" + name + ".conf", as_bytes("[Partition]\n" + text)));
  if (!fs::exists(folder + "/mkosi.key")) TRY(tool({bench.peers, "run", folder, "mkosi", "genkey"}));
  return {};
}

Result<void> bench_cold(const Bench& bench) {
  const auto forget = [&] {
    for (const auto* part : {"steps", "trees"}) fs::remove_all(bench.file("cache") + "/" + part);
  };
  const auto ours = [&]() -> Result<void> {
    forget();
    return tool(build_command(bench, bench.source + "/profiles/standalone.toml", "image"));
  };
  const auto theirs = [&] { return tool({bench.peers, "run", bench.file("mkosi"), "mkosi", "--force", "build"}); };
  TRY(ours());
  TRY(theirs());
  const double our_time = TRY(time_of(ours));
  const double their_time = TRY(time_of(theirs));
  row("cold build, packages cached / mkosi", seconds(our_time), seconds(their_time),
      fmt::format("{:.2f} of its time (<= 1)", our_time / their_time));
  return {};
}

/// Highest resident set while an image is built from nothing but a base.
Result<void> bench_memory(const Bench& bench, const std::string& profile) {
  fs::remove_all(bench.file("cache") + "/steps");
  const auto peak = TRY(peak_memory(build_command(bench, bench.file(profile), "memory")));
  const auto disk = fs::file_size(bench.file("memory/disk.raw")) / mib;
  fs::remove_all(bench.file("memory"));
  row(fmt::format("peak memory, disk of {} MiB: ingot", disk), fmt::format("{} MiB", peak.own_bytes / mib), "200 MiB",
      fmt::format("{:.2f} of it (<= 1)", static_cast<double>(peak.own_bytes) / (200.0 * mib)));
  row(fmt::format("peak memory, disk of {} MiB: {}", disk, peak.largest_tool),
      fmt::format("{} MiB", peak.tool_bytes / mib), "1024 MiB",
      fmt::format("{:.2f} of it (<= 1)", static_cast<double>(peak.tool_bytes) / (1024.0 * mib)));
  return {};
}

Result<void> bench_memory_profile(const Bench& bench) {
  TRY(write_profile(bench, "memory.toml"));
  fs::remove_all(bench.file("cache") + "/trees");
  return bench_memory(bench, "memory.toml");
}

/// The same tree with 1 GiB that does not compress, as an imported root tar.
Result<void> bench_memory_large(const Bench& bench) {
  const std::string tar = bench.file("large.tar");
  for (const auto& entry : fs::directory_iterator(bench.file("cache") + "/trees"))
    if (entry.path().extension() == ".tar") fs::copy_file(entry.path(), tar, fs::copy_options::overwrite_existing);
  TRY(write_random(bench.file("ballast"), 1024));
  TRY(tool({"tar", "-C", bench.work, "--transform=s,^,./opt/,", "-rf", tar, "ballast"}));
  TRY(write_file(
      bench.file("large.toml"),
      as_bytes(
          "name = \"large\"\nversion = 1\nrole = \"bench\"\n\n[base]\nimage = \"large.tar\"\nformat = \"tar\"\n")));
  TRY(bench_memory(bench, "large.toml"));
  fs::remove(tar);
  fs::remove(bench.file("ballast"));
  return {};
}

/// What the parts about building need.
Result<void> prepare_builds(const Bench& bench) {
  TRY(tool({bench.source + "/tests/rig/base"}));
  if (!fs::exists(bench.file("keys"))) TRY(signer::init_keys(bench.file("keys")));
  return prepare_mkosi(bench);
}

/// `only`: names of parts; empty: all.
Result<void> run(const Bench& bench, const std::vector<std::string>& only) {
  fs::create_directories(bench.work);
  const auto some = [&](auto&& wants) { return only.empty() || std::any_of(only.begin(), only.end(), wants); };
  if (some([](const auto& part) { return part != "seal" && part != "sign"; })) TRY(tool({bench.peers, "make"}));
  if (some([](const auto& part) {
        return part != "segment" && part != "seal" && part != "sign" && !part.starts_with("verify");
      }))
    TRY(prepare_builds(bench));
  const std::vector<std::pair<std::string, std::function<Result<void>()>>> parts = {
      {"verity", [&] { return bench_verity(bench); }},
      {"uki", [&] { return bench_uki(bench); }},
      {"cold", [&] { return bench_cold(bench); }},
      {"rebuild", [&] { return bench_rebuild(bench); }},
      {"roles", [&] { return bench_roles(bench); }},
      {"memory", [&] { return bench_memory_profile(bench); }},
      {"memory-large", [&] { return bench_memory_large(bench); }},
      {"verify", [&] { return bench_verify(bench); }},
      {"verify-memory", [] { return bench_verify_memory(); }},
      {"seal", [&] { return bench_seal(bench); }},
      {"sign", [&] { return bench_sign(bench); }},
      {"segment", [&] { return bench_segment(bench); }},
  };
  row("", "ours", "theirs", "ratio");
  for (const auto& [name, part] : parts)
    if (only.empty() || std::find(only.begin(), only.end(), name) != only.end()) TRY_IN(name, part());
  return {};
}

}  // namespace
}  // namespace ingot::bench

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr,
               "usage: bench INGOT SOURCE "
               "[verity|uki|cold|rebuild|roles|memory|memory-large|verify|verify-memory|seal|sign|segment...]\n");
    return 3;
  }
  const std::string source = argv[2];
  const auto done = ingot::bench::run({argv[1], source, source + "/build/bench", source + "/tests/bench/peers"},
                                      {argv + 3, argv + argc});
  if (done) return 0;
  fmt::print(stderr, "bench: {}\n", ingot::describe(done.error()));
  return 3;
}
