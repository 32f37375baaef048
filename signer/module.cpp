#include "ingot/signer/module.hpp"

#include <atomic>
#include <mutex>
#include <thread>

#include "ingot/base/source.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_signature.hpp"
#include "ingot/crypto/hash.hpp"
#include "pkcs7.hpp"

namespace ingot::signer {

Result<Buffer> module_signature(Bytes content, const SigningKey& key, std::string_view what) {
  if (!key.public_key().rsa_numbers())
    return fail(ErrorCode::crypto, "signatures of kernel modules need an RSA key here",
                "use the db key, which the firmware wants to be RSA as well");
  return sign_pkcs7({.digest_algorithm = bare_sha256_algorithm}, content, key,
                    {std::string(what), crypto::sha256(content)});
}

Result<SignedModule> sign_module(Bytes file, const SigningKey& key, OldSignature old) {
  const auto compression = codec::module_compression(file);
  Buffer unpacked;
  if (compression != codec::ModuleCompression::none) unpacked = TRY(codec::decompress_module(file, compression));
  const Bytes module = unpacked.empty() ? file : Bytes(unpacked);
  const auto content = TRY(codec::without_module_signatures(module));
  if (content.size() != module.size() && old == OldSignature::refused)
    return fail(ErrorCode::usage, "the module is signed already", "say --replace to take that signature away");
  auto info = TRY(codec::decode_module_info(content));
  auto bytes =
      codec::append_module_signature(content, TRY(module_signature(content, key, "kernel module " + info.name)));
  if (compression != codec::ModuleCompression::none) bytes = TRY(codec::compress_module(bytes, compression));
  return SignedModule{std::move(info), std::move(bytes)};
}

Result<std::vector<SignedModule>> sign_modules(const std::vector<std::string>& paths, const SigningKey& key,
                                               OldSignature old) {
  std::vector<SignedModule> out(paths.size());
  std::atomic<std::size_t> next = 0;
  std::mutex guard;
  std::size_t failed = paths.size();
  Result<void> result;
  const auto one = [&](std::size_t at) -> Result<void> {
    const auto file = TRY(read_file(paths[at], codec::module_cap_bytes));
    out[at] = TRY_IN(paths[at], sign_module(file, key, old));
    return {};
  };
  const auto work = [&] {
    for (auto at = next++; at < paths.size(); at = next++) {
      auto done = one(at);
      if (done) continue;
      // Files are taken in order, so whoever comes to the first bad one has not been stopped by a later one.
      const std::lock_guard lock(guard);
      if (at < failed) failed = at, result = std::move(done);
      next = paths.size();
    }
  };
  std::vector<std::thread> helpers;
  // Each waits for the log to be on the disk before it goes on, and those that wait together share one sync.
  const auto count = std::max(16U, std::thread::hardware_concurrency());
  for (unsigned i = 1; i < count && i < paths.size(); ++i) helpers.emplace_back(work);
  work();
  for (auto& helper : helpers) helper.join();
  TRY(std::move(result));
  return out;
}

}  // namespace ingot::signer
