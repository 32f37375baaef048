// How many volumes one core can seal, for nodes that are not there yet.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <filesystem>

#include "../../signer/luks_key_slot.hpp"
#include "bench.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/tpm.hpp"
#include "ingot/crypto/agreement.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/fleet/storage_key.hpp"
#include "ingot/signer/key.hpp"
#include "ingot/signer/sign.hpp"
#include "ingot/signer/volume.hpp"

namespace ingot::bench {
namespace {
namespace fs = std::filesystem;

constexpr int node_count = 10'000;
constexpr int rounds = 3;
constexpr int sample = 1'000;
constexpr double wanted = 500;  // headers/s

/// Time that processors were at work for it.
struct CoreTime {
  double user = 0, system = 0;
  [[nodiscard]] double all() const { return user + system; }
};

/// What else the machine does is not in it, but for shared caches and the like.
CoreTime core_time(int who) {
  rusage used{};
  ::getrusage(who, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return {seconds(used.ru_utime), seconds(used.ru_stime)};
}
/// Each of `count`, since `before`.
CoreTime since(const CoreTime& before, int who, int count) {
  const auto now = core_time(who);
  return {(now.user - before.user) / count, (now.system - before.system) / count};
}

ExpectedEvent event(PcrIndex pcr, const std::string& cause, std::string_view data) {
  return {pcr, EventType::EV_IPL, crypto::hash_banks(as_bytes(data)), cause, "", {}};
}

/// A storage root key whose private half nobody has: another point of the curve each time.
Result<codec::TpmPublic> storage_key() {
  namespace attribute = codec::object_attribute;
  codec::TpmPublic key;
  key.attributes = attribute::fixed_tpm | attribute::fixed_parent | attribute::sensitive_data_origin |
                   attribute::user_with_auth | attribute::no_da | attribute::restricted | attribute::decrypt;
  auto base = key;
  // A point of P-256 to multiply: NIST SP 800-186, "P-256", G.
  base.key = codec::TpmEcc{{codec::TpmAlg::aes, 128, codec::TpmAlg::cfb},
                           {},
                           codec::TpmCurve::p256,
                           parse_hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296").value(),
                           parse_hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5").value()};
  auto made = TRY(crypto::agree(TRY(codec::public_key(base))));
  auto ecc = std::get<codec::TpmEcc>(base.key);
  ecc.x = made.ephemeral_x;
  ecc.y = made.ephemeral_y;
  key.key = std::move(ecc);
  return key;
}

/// Signed statements and storage keys, as an operator has them.
Result<measure::VolumePolicy> write_site(const std::string& folder) {
  fs::create_directories(folder + "/nodes");
  const auto keys = TRY(signer::init_keys(folder + "/keys"));
  const auto signing = TRY(signer::SigningKey::load(keys.key("baseline")));
  const auto policy_key = TRY(signer::SigningKey::load(keys.key("pcr")));
  Platform platform;
  platform.name = "machine";
  platform.events = {event(7, "SecureBoot", "1"), event(7, "separator", "2")};
  Baseline image;
  image.profile = "bench";
  image.version = 1;
  image.events = {event(7, "db authority", "3"), event(11, ".pcrpkey", policy_key.public_key().pem())};
  const auto write = [&](const std::string& name, const std::string& statement) -> Result<void> {
    const auto envelope = TRY(signer::sign_dsse("application/vnd.in-toto+json", as_bytes(statement), signing));
    return write_file(folder + name, as_bytes(codec::encode_dsse(envelope)));
  };
  TRY(write("/platform.json", codec::encode_platform_statement(platform)));
  TRY(write("/baseline.json", codec::encode_baseline_statement(image)));
  std::vector<OutputFile> files;
  for (int node = 0; node < node_count; ++node) {
    files.push_back(TRY(OutputFile::create(fmt::format("{}/nodes/{:05}.srk.pub", folder, node))));
    TRY(files.back().write(codec::encode_tpm2b(codec::encode_tpm_public(TRY(storage_key())))));
    if (files.size() == 500) TRY(commit_all_new(std::exchange(files, {})));
  }
  return measure::volume_policy(image, platform, policy_key.public_key());
}

/// What PBKDF2 takes for the passphrase of one: what the sealer calls.
CoreTime key_derivation() {
  const Buffer passphrase(44, 'a'), salt(32, 1);
  const auto before = core_time(RUSAGE_SELF);
  for (int i = 0; i < sample; ++i) signer::pbkdf2(passphrase, salt, 1000, signer::luks_key_bytes);
  return since(before, RUSAGE_SELF, sample);
}

Result<CoreTime> in_memory(const signer::VolumeSealer& sealer) {
  const auto key = TRY(storage_key());
  const auto before = core_time(RUSAGE_SELF);
  for (int i = 0; i < sample; ++i) TRY(sealer.header_for(key));
  return since(before, RUSAGE_SELF, sample);
}

struct FileTime {
  CoreTime core;
  double wall = 0;
};

/// The command, for all nodes; on one core, whatever the machine has.
Result<FileTime> into_files(const Bench& bench, const std::string& folder, const std::string& out) {
  const auto start = std::chrono::steady_clock::now();
  const auto before = core_time(RUSAGE_CHILDREN);
  TRY(builder::run_checked(
      {.argv = {"taskset", "-c", "0", bench.ingot, "seal", "--srk", folder + "/nodes", "--baseline",
                folder + "/baseline.json", "--platform", folder + "/platform.json", "--key",
                folder + "/keys/baseline.pub", "--policy-key", folder + "/keys/pcr.pub", "--out", out}}));
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return FileTime{since(before, RUSAGE_CHILDREN, node_count), wall.count() / node_count};
}

void show(std::string_view what, double seconds, const std::string& remark) {
  row(what, fmt::format("{:.2f} ms", seconds * 1e3), "-",
      fmt::format("{:.0f}/s, {:.2f} of {:.0f} (>= 1){}", 1 / seconds, 1 / seconds / wanted, wanted, remark));
}

}  // namespace

Result<void> bench_seal(const Bench& bench) {
  const auto folder = bench.file("seal");
  fs::remove_all(folder);
  const auto policy = TRY(write_site(folder));
  const auto sealer = TRY(signer::VolumeSealer::under(policy));
  for (int round = 1; round <= rounds; ++round) {
    const auto derivation = key_derivation().all();
    const auto memory = TRY(in_memory(sealer));
    const auto out = fmt::format("{}/headers{}", folder, round);
    const auto files = TRY(into_files(bench, folder, out));
    // Emptied, not removed: ext4 goes over all inodes of the last five minutes' removed files for each new one.
    for (const auto& file : fs::directory_iterator(out)) fs::resize_file(file.path(), 0);
    show(fmt::format("seal {}: core, all but the passphrase's PBKDF2", round), files.core.all() - derivation,
         fmt::format("; {:.2f} ms of it in the kernel", files.core.system * 1e3));
    show(fmt::format("seal {}: core, the same without files", round), memory.all() - derivation, "");
    show(fmt::format("seal {}: wall, {} files on the disk, PBKDF2 and all", round, node_count), files.wall, "");
    row(fmt::format("seal {}: core, the passphrase's PBKDF2", round), fmt::format("{:.2f} ms", derivation * 1e3), "-",
        fmt::format("{:.0f} % of all core time", 100 * derivation / files.core.all()));
  }
  fs::remove_all(folder);
  return {};
}

}  // namespace ingot::bench
