#include "ingot/rig/probe_disk.hpp"

#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::rig {

Result<void> make_probe_disk(const std::string& uki, const std::string& out_path, const builder::ChainFiles& chain) {
  constexpr std::uint64_t esp_size = 260u << 20;  // FAT32 needs 65525 clusters
  const auto digest = TRY(crypto::hash_source(HashAlg::sha256, *TRY(file_source(uki))));
  const std::string esp = out_path + ".esp";
  const Bytes bytes = digest;
  TRY(builder::make_esp(builder::esp_files(chain, uki, "probe"), esp_size, 0x49504F52, esp));
  TRY(builder::make_disk(derive_guid(bytes.last(16)),
                         {{codec::esp_type, derive_guid(bytes.first(16)), "esp", esp, esp_size}}, 0, out_path,
                         builder::silent_progress()));
  std::error_code ignored;
  std::filesystem::remove(esp, ignored);
  return {};
}

}  // namespace ingot::rig
