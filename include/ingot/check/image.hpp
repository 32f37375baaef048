// Is a disk image what its baseline says? Every byte that a boot trusts is read from the image itself.
#pragma once

#include <functional>

#include "ingot/codec/gpt.hpp"
#include "ingot/codec/provenance.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/codec/verity.hpp"
#include "ingot/measure/boot_chain.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/model/finding.hpp"

namespace ingot::check {

/// The parts of a disk image, as views of it.
struct ImageParts {
  SharedSource disk;
  codec::Gpt gpt;
  SharedSource uki;                    ///< as it lies on the ESP
  std::string uki_path;                ///< there
  BootChain chain = BootChain::uki;    ///< what the ESP's own files say
  SharedSource first_stage;            ///< systemd-boot or shim; null: firmware starts the UKI itself
  std::optional<Buffer> loader_conf;   ///< systemd-boot's configuration
  SharedSource root;                   ///< null on a probe's disk
  SharedSource verity;                 ///< null on a probe's disk
  std::vector<std::string> esp_files;  ///< every file on the ESP

  /// For measure::predict_image(), as long as this lives. `mok_list`: the variable of the machine, which shim measures.
  [[nodiscard]] measure::FirstStage first(Bytes mok_list) const {
    return {first_stage.get(), loader_conf, to_buffer(mok_list)};
  }
};
/// Errors (malformed): no GPT, no ESP, no UKI on the ESP, or several of which the boot would choose one.
Result<ImageParts> open_image(SharedSource disk);

/// Where a verity check stopped.
struct VerityMismatch {
  std::uint32_t level = 0;  ///< 0: data blocks; above: hash blocks
  std::uint64_t block = 0;
};
/// Hashes the whole data device against the tree and the tree against `root_hash`; nothing when all of it matches.
Result<std::optional<VerityMismatch>> check_verity(const ByteSource& data, const ByteSource& hashes, Bytes root_hash);

/// Compares an image with its baseline: partition ids, files on the ESP, UKI, expected events, root hash, every root
/// block. `db` is the db variable's data; empty: the authority that lets the UKI start is not judged. `mok_list`:
/// MokList's, for an image that shim starts.
Result<std::vector<Finding>> check_image(const ImageParts& image, const Baseline& baseline, Bytes db,
                                         Bytes mok_list = {});

/// Compares the files of a build with the digests that its provenance has of them. `open` gives a file by its name; one
/// that it cannot give for want of it (missing) is a finding, any other error is the result.
Result<std::vector<Finding>> check_artifacts(const std::vector<codec::BuildArtifact>& artifacts,
                                             const std::function<Result<SharedSource>(const std::string&)>& open);

}  // namespace ingot::check
