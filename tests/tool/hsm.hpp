// A site's SoftHSM with tokens of its own, and a key folder whose private keys are in one of them.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ingot/base/output.hpp"
#include "ingot/signer/key.hpp"
#include "tool.hpp"

namespace ingot::test {

/// Writes down every call that it hands on to SoftHSM.
inline const std::string spy_module = "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so";

/// SoftHSM reads its configuration once in a process, and OpenSSL looks for tokens once: one for all tests, with the
/// tokens "site" (all keys), "other" and "gone" (db and pcr). The PIN of "other" is 8765, of all others 4321.
class Hsm {
 public:
  static const Hsm& shared() {
    static const Hsm made;
    return made;
  }
  [[nodiscard]] std::string at(const std::string& name) const { return folder_.path() + "/" + name; }
  /// Where SoftHSM keeps its tokens, for programs that run on their own.
  [[nodiscard]] std::map<std::string, std::string> environment() const {
    return {{"SOFTHSM2_CONF", at("softhsm2.conf")},
            {"PKCS11_MODULE_PATH", spy_module},
            {"PKCS11SPY", "/usr/lib/softhsm/libsofthsm2.so"},
            {"PKCS11SPY_OUTPUT", at("spy")},
            {"XDG_STATE_HOME", at("state")}};
  }
  void make_token(const std::string& label) const {
    output_of(
        {"softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", pin_of(label)},
        environment());
  }
  void import(const std::string& token, const std::string& name, const std::string& id, const std::string& pem) const {
    output_of({"softhsm2-util", "--import", pem, "--token", token, "--label", name, "--id", id, "--pin", pin_of(token)},
              environment());
  }
  /// So far, by all processes.
  [[nodiscard]] int logins() const {
    std::ifstream lines(at("spy"));
    int count = 0;
    for (std::string line; std::getline(lines, line);) count += line.ends_with(": C_Login") ? 1 : 0;
    return count;
  }
  static std::string pin_of(const std::string& token) { return token == "other" ? "8765" : "4321"; }
  [[nodiscard]] std::string uri(const std::string& token, const std::string& name) const {
    return fmt::format("pkcs11:token={};object={};type=private?pin-source=file:{}", token, name,
                       at("pin-" + pin_of(token)));
  }
  /// The key folder of files; its baseline key is RSA, since the pkcs11 engine of Debian 12 knows no Ed25519.
  [[nodiscard]] const signer::KeyFolder& files() const { return files_; }
  /// The same keys in the token "site".
  [[nodiscard]] const signer::KeyFolder& token() const { return token_; }

 private:
  Hsm() : folder_(scratch()) {
    std::filesystem::create_directory(at("tokens"));
    (void)write_file(at("softhsm2.conf"), as_bytes(fmt::format("directories.tokendir = {}\nobjectstore.backend = file\n"
                                                               "log.level = ERROR\nslots.removable = false\n",
                                                               at("tokens"))));
    for (const std::string pin : {"4321", "8765"}) (void)write_file(at("pin-" + pin), as_bytes(pin + "\n"), 0600);
    for (const auto& [name, value] : environment()) ::setenv(name.c_str(), value.c_str(), 1);
    for (const auto* label : {"site", "other", "gone"}) make_token(label);
    files_ = signer::init_keys(at("files")).value();
    output_of({"openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out",
               files_.key("baseline")});
    output_of({"openssl", "pkey", "-in", files_.key("baseline"), "-pubout", "-out", files_.public_key("baseline")});
    for (const auto* label : {"other", "gone"}) {
      import(label, "db", "01", files_.key("db"));
      import(label, "pcr", "02", files_.key("pcr"));
    }
    token_ = signer::KeyFolder{at("token")};
    std::filesystem::copy(files_.path, token_.path);
    int id = 10;
    for (const std::string name : {"PK", "KEK", "db", "pcr", "baseline", "verdict"}) {
      import("site", name, std::to_string(id++), files_.key(name));
      std::filesystem::remove(token_.path + "/" + name + ".key");
      (void)write_file(token_.path + "/" + name + ".uri", as_bytes(uri("site", name) + "\n"), 0600);
    }
  }
  builder::TemporaryFolder folder_;
  signer::KeyFolder files_, token_;
};

}  // namespace ingot::test
