// What tests of signatures have in common: signers made by openssl, and the program under test.
#pragma once

#include <filesystem>
#include <string>

#include "ingot/base/output.hpp"
#include "signer.hpp"
#include "tool.hpp"

namespace ingot::test {

inline const std::string sign_program = std::string(INGOT_BUILD) + "/ingot";
/// Unsigned, of packages.txt, and no multiple of 8 long.
inline const std::string plain_pe = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

struct SignLab {
  builder::TemporaryFolder folder = scratch();

  [[nodiscard]] std::string at(const std::string& name) const { return folder.path() + "/" + name; }
  /// NAME.key and NAME.crt, self-signed.
  void make_signer(const std::string& name, int bits = 2048) const { (void)Signer(folder.path(), name, bits); }
  /// NAME.key and NAME.crt, issued by another signer.
  void make_issued(const std::string& name, const std::string& issuer) const {
    output_of({"openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", at(name + ".key"), "-out",
               at(name + ".csr"), "-subj", "/CN=" + name});
    output_of({"openssl", "x509", "-req", "-in", at(name + ".csr"), "-CA", at(issuer + ".crt"), "-CAkey",
               at(issuer + ".key"), "-CAcreateserial", "-days", "30", "-out", at(name + ".crt")});
  }
  builder::Completed ingot(std::vector<std::string> arguments,
                           const std::map<std::string, std::string>& environment = {}) const {
    arguments.insert(arguments.begin(), sign_program);
    return run_tool(std::move(arguments), environment);
  }
  /// `ingot sign pe`, which must succeed.
  void sign(const std::string& from, const std::string& signer, const std::string& to,
            const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {
        "sign", "pe", from, "--key", at(signer + ".key"), "--certificate", at(signer + ".crt"), "--out", to};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto done = ingot(arguments);
    INFO(done.error_tail);
    REQUIRE(done.exit_code == 0);
  }
  void sbsign(const std::string& from, const std::string& signer, const std::string& to) const {
    output_of({"sbsign", "--key", at(signer + ".key"), "--cert", at(signer + ".crt"), "--output", to, from});
  }
  [[nodiscard]] bool sbverifies(const std::string& file, const std::string& signer) const {
    return run_tool({"sbverify", "--cert", at(signer + ".crt"), file}).exit_code == 0;
  }
};

inline Buffer bytes_of(const std::string& path) { return read_file(path, 1u << 28).value(); }

/// The digest that pesign makes of a file of a multiple of 8 bytes.
inline std::string pesign_hash(const std::string& path) {
  const auto told = output_of({"pesign", "--hash", "--in", path});
  const auto at = told.find("hash: ");
  REQUIRE(at != std::string::npos);
  return told.substr(at + 6, 64);
}

}  // namespace ingot::test
