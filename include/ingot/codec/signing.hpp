// A request for signatures and its answer, which travel between a machine that builds and one that has the keys.
// builder/pipeline/signing.md says who makes what of them.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/model/boot_chain.hpp"

namespace ingot::codec {

/// One of the contents behind a request's first line.
struct RequestContent {
  std::string name;  ///< "stub", "kernel", "initrd", "probe-initrd", "partition-table"
  std::uint64_t size_bytes = 0;
  std::string sha256;  ///< hexadecimal
  bool operator==(const RequestContent&) const = default;
};
/// The contents of a request, in their order.
inline constexpr const char* request_contents[] = {"stub", "kernel", "initrd", "probe-initrd", "partition-table"};
/// One more behind them when the chain is not "uki": systemd-boot, not signed yet, or shim.
inline constexpr const char* first_stage_content = "first-stage";

/// The first line of a request.
struct RequestHead {
  Baseline draft;  ///< without events and values: who signs predicts them from what is signed
  std::string command_line;
  std::string probe_command_line;
  std::string os_release;
  std::string uname;
  std::string sbat;
  std::string execution_policy;
  std::vector<std::string> phases;
  std::vector<Guid> allowed_partitions;
  std::uint64_t disk_size_bytes = 0;
  BootChain chain = BootChain::uki;
  Buffer vendor_db;  ///< signature lists: the certificate that shim is signed under; empty otherwise
  /// SHA-256 of SubjectPublicKeyInfo, hexadecimal, of the keys that are to sign.
  std::string db_key, pcr_key, baseline_key;
  std::string pcr_system_key = {};       ///< signs the policies of all phases but the first; empty: nobody does
  std::vector<RequestContent> contents;  ///< request_contents, each once, and first_stage_content where there is one
  bool operator==(const RequestHead&) const = default;
};
/// One line of JSON with its line feed; equal heads are equal bytes.
std::string encode_request_head(const RequestHead& head);
/// `line` may have its line feed. Errors (malformed): not such JSON, members that nobody knows, other contents.
Result<RequestHead> decode_request_head(Bytes line);
inline constexpr std::uint64_t request_head_cap_bytes = 64u << 20;

/// One signature and what it is of.
struct AnsweredSignature {
  std::string what;     ///< in plain words
  std::string key_id;   ///< crypto::PublicKey::key_id()
  std::string message;  ///< SHA-256 of what was signed, hexadecimal
  Buffer signature;
  bool operator==(const AnsweredSignature&) const = default;
};
struct SigningAnswer {
  std::string request;  ///< SHA-256 of the request's file, hexadecimal
  std::vector<AnsweredSignature> signatures;
  bool operator==(const SigningAnswer&) const = default;
};
std::string encode_signing_answer(const SigningAnswer& answer);
/// Errors (malformed): not such JSON, members that nobody knows, two signatures of one message by one key.
Result<SigningAnswer> decode_signing_answer(Bytes json);
inline constexpr std::uint64_t signing_answer_cap_bytes = 16u << 20;

}  // namespace ingot::codec
