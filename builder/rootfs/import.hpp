// Bases that exist already. Each importer ends in uncompressed tars in the cache, under a name made of the input's
// digest.
#pragma once

#include "archive.hpp"
#include "cache.hpp"
#include "ingot/builder/base_tree.hpp"

namespace ingot::builder::detail {

struct Imported {
  Tree tree;
  std::string sha256;  ///< of the file; of the manifest for OCI
};

Result<Imported> import_tar_file(const std::string& path, const std::string& cache, Progress& progress);
Result<Imported> import_oci_layout(const std::string& path, const std::string& cache, Progress& progress);
Result<Imported> import_disk_image(const std::string& path, const std::string& cache, Progress& progress);

/// Decompresses `source` (gzip, bzip2, xz, lzma, zstd, lz4, compress, or nothing at all) into a new file, and gives the
/// SHA-256 of the bytes that it read.
Result<std::string> decompress(const SharedSource& source, const std::string& to, Progress& progress);

/// "raw" or "qcow2", from the header. A qcow2 with a backing file is refused: it would name another file.
Result<std::string> disk_format(const std::string& path);

/// SHA-256 of a whole file, with progress.
Result<std::string> file_digest(const ByteSource& source, Progress& progress);

}  // namespace ingot::builder::detail
