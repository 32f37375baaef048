// What of a build takes private keys, apart from all the rest: so that it can be done where the keys are, on a machine
// without network, and comes out the same to the byte. builder/pipeline/signing.md tells who does what.
#pragma once

#include <string>
#include <vector>

#include "ingot/builder/image.hpp"
#include "ingot/builder/progress.hpp"
#include "ingot/codec/signing.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/model/boot_chain.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::builder {

/// All that an image's signatures are made from. The root file system is in it by its root hash alone.
struct ToSign {
  BootChain chain = BootChain::uki;
  SharedSource first_stage = {};  ///< systemd-boot, not signed yet, or shim; null when firmware starts the UKI
  Buffer vendor_db = {};          ///< signature lists: the certificate that shim is signed under
  UkiParts uki;                   ///< without the policy's key and signature; initrd without the execution policy
  std::string execution_policy;   ///< text of the IPE policy; empty: what executes is not restricted
  SharedSource probe_initrd;      ///< the probe has stub, kernel and os-release of the UKI
  std::string probe_command_line;
  Baseline draft;          ///< what no prediction gives: name, version, root hash, manifest, settings, volumes
  Buffer partition_table;  ///< of the disk, codec::EncodedGpt::primary
  std::uint64_t disk_size_bytes = 0;
  std::vector<Guid> allowed_partitions;  ///< types of partitions that the node may add
  std::vector<std::string> phases;
};

/// Writes root.hash.p7s, uki.efi, probe.efi, baseline.json, baseline.pub, the chain's first stage with its
/// configuration and, where there is an execution policy, its archive (builder/build.hpp, output) into `folder`. Same
/// wish and keys, same bytes. Errors: those of make_signed_uki(), of the signer and of the prediction.
Result<Baseline> sign_image(const ToSign& wish, const signer::KeyFolder& keys, const std::string& folder,
                            Progress& progress);

/// A wish for somebody else's machine, in one file: a line of JSON (codec/signing.hpp), and what it names behind it.
struct SigningRequest {
  std::string id;  ///< SHA-256 of the file, hexadecimal: what people compare on both machines
  codec::RequestHead head;
  ToSign wish;
};
/// Written whole or not at all; returns its id. Of `keys` only certificates and public keys are read. Errors
/// (malformed): texts that are not UTF-8.
Result<std::string> write_request(const ToSign& wish, const signer::KeyFolder& keys, const std::string& path);
/// Errors (malformed): decode_request_head()'s, contents that are not what the line says, bytes behind them.
Result<SigningRequest> read_request(const std::string& path);

/// What a request wants signed, in plain words, a line each. Error (malformed) when something in it does not go with
/// the rest (command line, execution policy and partition table must name the root hash of the baseline, os-release its
/// name and version): nobody could say what that would sign.
Result<std::vector<std::string>> explain(const SigningRequest& request);

/// Signs what a request wants. Errors: explain()'s; keys that are not those that the request is for (crypto).
Result<codec::SigningAnswer> answer_request(const SigningRequest& request, const signer::KeyFolder& keys,
                                            Progress& progress);

}  // namespace ingot::builder
