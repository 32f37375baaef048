// A key and its certificate, made by openssl for a test.
#pragma once

#include <string>

#include "tool.hpp"

namespace ingot::test {

/// FOLDER/NAME.key and FOLDER/NAME.crt: RSA, self-signed, "/CN=NAME", good for 30 days.
struct Signer {
  Signer(const std::string& folder, const std::string& name, int bits = 2048)
      : key(folder + "/" + name + ".key"), certificate(folder + "/" + name + ".crt") {
    output_of({"openssl", "req", "-x509", "-newkey", "rsa:" + std::to_string(bits), "-nodes", "-keyout", key, "-out",
               certificate, "-days", "30", "-subj", "/CN=" + name});
  }
  std::string key, certificate;
};

}  // namespace ingot::test
