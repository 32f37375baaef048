// A site whose image and machine a software TPM can play, and volumes that the systemd of Debian 13 opens with it.
#pragma once

#include <fmt/format.h>

#include <filesystem>

#include "ingot/codec/baseline.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/measure/volume_policy.hpp"
#include "ingot/model/profile.hpp"
#include "ingot/signer/sign.hpp"
#include "seal_tpm.hpp"

namespace ingot::test {

inline const std::string oracles = std::string(INGOT_SOURCE) + "/build/oracles";

/// Without a recovery key.
inline Volume test_volume(const std::string& name, const std::string& mount) {
  Volume volume;
  volume.name = name;
  volume.mount = mount;
  volume.size_bytes = 64u << 20;
  volume.recovery = false;
  return volume;
}

inline ExpectedEvent event(PcrIndex pcr, const std::string& cause, std::string_view data) {
  return {pcr, EventType::EV_IPL, crypto::hash_banks(as_bytes(data)), cause, "", {}};
}

/// What the initrd's ingot-release.service runs.
inline std::vector<std::string> admit_command(const Tpm& tpm, const std::string& key) {
  return {std::string(INGOT_BUILD) + "/ingot-agent",
          "admit-release",
          "--signature",
          tpm.file("run/tpm2-pcr-signature.json"),
          "--key",
          key,
          "--policy",
          tpm.file("run/pcrlock.json"),
          "--tpm",
          tpm.file("tpm")};
}

/// A machine, an image, and what they were signed with, as files of the TPM's folder.
struct SealingSite {
  explicit SealingSite(const Tpm& tpm)
      : keys(signer::init_keys(tpm.file("keys")).value()),
        policy_key(signer::SigningKey::load(keys.key("pcr")).value()) {
    platform.name = "machine";
    platform.events = {event(7, "SecureBoot", "1"), event(7, "db", "2"), event(7, "separator", "3")};
    image.profile = "training";
    image.version = 1;
    image.events = {event(7, "db authority", "4"), event(11, ".linux", "5"),
                    event(11, ".pcrpkey", policy_key.public_key().pem()), event(11, "phase enter-initrd", "6")};
    write(tpm, "platform.json", codec::encode_platform_statement(platform));
    write(tpm, "baseline.json", codec::encode_baseline_statement(image));
  }
  void write(const Tpm& tpm, const std::string& name, const std::string& statement) const {
    const auto key = signer::SigningKey::load(keys.key("baseline")).value();
    const auto envelope = signer::sign_dsse("application/vnd.in-toto+json", as_bytes(statement), key).value();
    tpm.write(name, as_bytes(codec::encode_dsse(envelope)));
  }
  [[nodiscard]] measure::VolumePolicy policy() const {
    return measure::volume_policy(image, platform, policy_key.public_key()).value();
  }
  /// The TPM is told what this image on this machine measures; .pcrsig lies in /run/systemd, as the UKI brings it.
  void measure(const Tpm& tpm, std::uint32_t generation) const {
    for (const auto* share : {&platform.events, &image.events})
      for (const auto& one : *share)
        tpm.tool({"tpm2_pcrextend", fmt::format("{}:sha256={}", one.pcr, to_hex(one.digests.at(HashAlg::sha256)))});
    const auto pcrs = measure::replay_expected(image.events, {});
    const Baseline::PhaseValue phase{"enter-initrd", {{HashAlg::sha256, pcrs.at(HashAlg::sha256).at(11)}}};
    std::filesystem::create_directories(tpm.file("run"));
    tpm.write("run/tpm2-pcr-signature.json",
              as_bytes(signer::release_signature_json(phase, generation, policy_key).value()));
  }
  /// That, as far as ingot-release.service.
  void boot(const Tpm& tpm) const {
    measure(tpm, 1);
    output_of(admit_command(tpm, tpm.file("keys/pcr.pub")));
  }

  signer::KeyFolder keys;
  signer::SigningKey policy_key;
  Platform platform;
  Baseline image;
};

/// The real program. Its last argument is `out`.
inline std::vector<std::string> seal_command(const Tpm& tpm, const std::string& storage_key, const std::string& out) {
  return {std::string(INGOT_BUILD) + "/ingot",
          "seal",
          "--json",
          "--srk",
          storage_key,
          "--baseline",
          tpm.file("baseline.json"),
          "--platform",
          tpm.file("platform.json"),
          "--key",
          tpm.file("keys/baseline.pub"),
          "--policy-key",
          tpm.file("keys/pcr.pub"),
          "--out",
          out};
}

inline std::string digest_of(const std::string& path) {
  return to_hex(crypto::hash_source(HashAlg::sha256, *file_source(path).value()).value());
}

inline bool no_systemd() { return skipped(oracles + "/usr/bin/systemd-cryptenroll", "no systemd 257 to open volumes"); }

/// What systemd says of the volume in the TPM's folder; exit status 0 when it opens.
inline builder::Completed unlock(const Tpm& tpm) {
  tpm.forget_objects();
  return run_tool({std::string(INGOT_SOURCE) + "/tests/tool/stock-unlock", oracles,
                   std::filesystem::path(tpm.file("")).parent_path()});
}

inline bool opens(const Tpm& tpm) {
  const auto done = unlock(tpm);
  if (done.exit_code != 0) UNSCOPED_INFO(done.error_tail);
  return done.exit_code == 0;
}

}  // namespace ingot::test
