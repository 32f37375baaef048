// A TPM that is not ours, swtpm, asked by tpm2-tools: policies and sealed secrets.
#pragma once

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/signer/seal.hpp"
#include "tool.hpp"

namespace ingot::test {

inline constexpr const char* nv_index = "0x01C20001";
inline const std::string zeroes(64, '0');

/// swtpm with what sealing needs of it.
class Tpm {
 public:
  /// recorded: each command and answer is in the file "bus", in hexadecimal.
  enum class Bus { quiet, recorded };
  explicit Tpm(Bus bus = Bus::quiet) : folder_(scratch()), tpm_(folder_.path(), {}, log_options(folder_, bus)) {}

  [[nodiscard]] std::string file(const std::string& name) const { return folder_.path() + "/" + name; }
  [[nodiscard]] Buffer read(const std::string& name) const { return read_file(file(name), 1u << 20).value(); }
  void write(const std::string& name, Bytes bytes) const { REQUIRE(write_file(file(name), bytes)); }
  std::string tool(std::vector<std::string> argv) const { return tpm_.tool(std::move(argv)); }
  [[nodiscard]] bool succeeds(std::vector<std::string> argv) const {
    return run_tool(std::move(argv), tpm_.tcti()).exit_code == 0;
  }

  [[nodiscard]] PcrValues pcrs() const {
    PcrValues values;
    for (const PcrIndex pcr : {7u, 11u}) {
      tool({"tpm2_pcrread", "sha256:" + std::to_string(pcr), "-o", file("pcr")});
      values[HashAlg::sha256][pcr] = read("pcr");
    }
    return values;
  }
  void extend(PcrIndex pcr) const { tool({"tpm2_pcrextend", std::to_string(pcr) + ":sha256=" + zeroes}); }

  /// The power goes off and on again: PCRs are as at the start, NV memory stays.
  void restart() const {
    output_of({"swtpm_ioctl", "--unix", tpm_.socket() + ".ctrl", "-i"});
    tool({"tpm2_startup", "-c"});
  }

  void start_session(bool real) const {
    std::vector<std::string> argv = {"tpm2_startauthsession", "-g", "sha256", "-S", file("session")};
    if (real) argv.emplace_back("--policy-session");
    tool(std::move(argv));
  }
  void end_session() const { tool({"tpm2_flushcontext", file("session")}); }
  /// A policy command in the session; the session's digest after it.
  Buffer policy(const std::string& command, std::vector<std::string> arguments) const {
    std::vector<std::string> argv = {"tpm2_policy" + command, "-S", file("session"), "-L", file("digest")};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    tool(std::move(argv));
    return read("digest");
  }

  /// An index that holds a policy, as TPM2_PolicyAuthorizeNV wants it: TPMT_HA.
  void define_index() const {
    tool({"tpm2_nvdefine", "-C", "o", "-s", "34", "-a", "ownerread|ownerwrite|authread|authwrite", nv_index});
  }
  void write_index(Bytes digest) const {
    write("ha", Writer{}.u16be(static_cast<std::uint16_t>(HashAlg::sha256)).bytes(digest).view());
    tool({"tpm2_nvwrite", "-C", "o", "-i", file("ha"), nv_index});
  }

  /// The storage root key, as systemd-tpm2-setup makes and keeps it.
  void make_srk(const std::string& algorithm) const {
    tool({"tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", algorithm, "-c", file("srk"), "-a",
          "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"});
    tool({"tpm2_evictcontrol", "-C", "o", "-c", file("srk"), "0x81000001"});
    forget_objects();
    // As the remedy of check_storage_key says.
    tool({"tpm2_readpublic", "-c", "0x81000001", "-o", file("srk.pub")});
    tool({"tpm2_readpublic", "-c", "0x81000001", "-f", "tpmt", "-o", file("srk.tpmt")});
  }
  void forget_srk() const { tool({"tpm2_evictcontrol", "-C", "o", "-c", "0x81000001"}); }

  /// False when the TPM does not take the parts.
  [[nodiscard]] bool import(const signer::SealedSecret& sealed) const {
    forget_objects();
    write("sealed.pub", sealed.object_public);
    write("sealed.dup", sealed.duplicate);
    write("sealed.seed", sealed.encrypted_seed);
    return succeeds({"tpm2_import", "-C", "0x81000001", "-u", file("sealed.pub"), "-i", file("sealed.dup"), "-s",
                     file("sealed.seed"), "-r", file("sealed.priv")}) &&
           succeeds({"tpm2_load", "-C", "0x81000001", "-u", file("sealed.pub"), "-r", file("sealed.priv"), "-c",
                     file("sealed")});
  }
  /// With the session as it is; nothing when the TPM refuses by its policy.
  [[nodiscard]] std::optional<Buffer> unseal() const {
    forget_objects();
    const auto done = run_tool({"tpm2_unseal", "-c", file("sealed"), "-p", "session:" + file("session")}, tpm_.tcti());
    if (done.exit_code == 0) return done.output;
    INFO(done.error_tail);
    CHECK(done.error_tail.find("0x99D") != std::string::npos);  // TPM_RC_POLICY_FAIL
    return std::nullopt;
  }
  /// There are three places for objects, and nobody manages them; saved contexts are loaded again.
  void forget_objects() const { tool({"tpm2_flushcontext", "-t"}); }

 private:
  static std::vector<std::string> log_options(const builder::TemporaryFolder& folder, Bus bus) {
    if (bus == Bus::quiet) return {};
    return {"--log", "file=" + folder.path() + "/bus,level=20"};
  }

  builder::TemporaryFolder folder_;
  Swtpm tpm_;
};

/// The line "KEY: VALUE" of an answer in YAML.
inline std::string value_of(const std::string& yaml, const std::string& key) {
  const auto at = yaml.find(key + ": ");
  REQUIRE(at != std::string::npos);
  const auto begin = at + key.size() + 2;
  return yaml.substr(begin, yaml.find('\n', begin) - begin);
}

/// The public area of the index, by the attributes that the TPM tells.
inline codec::TpmNvPublic index_public(const Tpm& tpm) {
  const auto told = tpm.tool({"tpm2_nvreadpublic", nv_index});
  codec::TpmNvPublic index{0x01C20001, HashAlg::sha256, 0, {}, 34};
  // The first "value" is the hash algorithm's.
  index.attributes =
      static_cast<std::uint32_t>(std::stoul(value_of(told.substr(told.find("attributes:")), "value"), nullptr, 16));
  CHECK(to_hex(codec::nv_name(index)) == value_of(told, "name"));
  return index;
}

}  // namespace ingot::test
