// A PE file with another certificate table. Internal to signer/.
#pragma once

#include <functional>

#include "ingot/base/output.hpp"
#include "ingot/codec/pe.hpp"

namespace ingot::signer {

/// What is not the certificate table is copied once, and each part is shown to who wants to hash it.
class PeOutput final : public ByteSource {
 public:
  static Result<PeOutput> copy(const ByteSource& file, const codec::Pe& pe, const std::string& out_path,
                               const std::function<void(Bytes)>& also, Durability durability = Durability::synced);
  /// What was copied, for parts that are hashed out of their order.
  [[nodiscard]] std::uint64_t size() const override { return end_; }
  Result<void> read(std::uint64_t offset, MutableBytes into) const override;
  /// CheckSum as the file that was read should have it. `table` is its certificate table.
  [[nodiscard]] std::uint32_t checksum_before(Bytes table) const;
  /// Sets data directory, certificate table (none when empty) and CheckSum, and gives the file its name.
  Result<void> finish(Bytes table);

 private:
  PeOutput(OutputFile out, const codec::Pe& pe, Durability durability)
      : out_(std::move(out)), pe_(pe), durability_(durability) {}
  Result<void> read_from(const ByteSource& file, const std::function<void(Bytes)>& also);

  OutputFile out_;
  codec::Pe pe_;
  codec::PeChecksum sum_;  ///< of what was copied, without CheckSum
  std::uint64_t end_ = 0;  ///< of what was copied
  Durability durability_;
};

}  // namespace ingot::signer
