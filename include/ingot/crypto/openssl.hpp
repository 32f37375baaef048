// OpenSSL's error queue as an Error. Handles of OpenSSL stay in the .cpp files that use them.
#pragma once

#include "ingot/base/result.hpp"

namespace ingot::crypto {

/// Drains the whole queue: "what: reason; reason".
Error openssl_error(ErrorCode code, std::string what);

/// Deleter for any OpenSSL object: std::unique_ptr<X509, Deleter<X509_free>>.
template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

}  // namespace ingot::crypto
