#include "ingot/check/image.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingot/codec/fat.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/boot_chain.hpp"
#include "ingot/measure/predict.hpp"

namespace ingot::check {
namespace {

/// FAT compares names without case.
std::string folded(std::string_view name) {
  std::string out(name);
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}
bool is_at(const codec::FatFile& file, std::string_view path) { return folded(file.path) == folded(path); }

/// One that systemd-boot would offer: EFI/Linux/NAME.efi.
bool is_loader_entry(const codec::FatFile& file) {
  const auto path = folded(file.path), folder = folded(measure::uki_folder);
  return path.starts_with(folder) && path.ends_with(".efi") && path.find('/', folder.size()) == std::string::npos;
}

Result<SharedSource> partition(const SharedSource& disk, const codec::Gpt& gpt, const Guid& type,
                               std::string_view what) {
  const auto found =
      std::find_if(gpt.partitions.begin(), gpt.partitions.end(), [&](const auto& entry) { return entry.type == type; });
  if (found == gpt.partitions.end())
    return fail(ErrorCode::malformed, fmt::format("the disk has no {} partition", what));
  return slice_source(disk, found->first_lba * codec::lba_size_bytes,
                      (found->last_lba - found->first_lba + 1) * codec::lba_size_bytes);
}

Finding image_finding(std::string subject, std::string expected, std::string observed, std::string cause) {
  return {FindingKind::image_differs, std::move(subject), std::move(expected),
          std::move(observed),        std::move(cause),   Remedy::redeploy};
}

void compare_partition_ids(const codec::Gpt& gpt, Bytes root_hash, std::vector<Finding>& findings) {
  const auto expect = [&](const Guid& type, const Guid& unique, std::string_view name) {
    for (const auto& entry : gpt.partitions)
      if (entry.type == type && entry.unique != unique)
        findings.push_back(image_finding(fmt::format("GPT, {} partition", name), to_text(unique), to_text(entry.unique),
                                         "the partition's id does not follow from the baseline's root hash"));
  };
  expect(codec::root_x86_64_type, guid_from_big_endian(root_hash.first(16)), "root");
  expect(codec::root_verity_x86_64_type, guid_from_big_endian(root_hash.last(16)), "root-verity");
}

/// Events of the image against those of the baseline, PCR by PCR; PCR 7 only when db is known.
void compare_events(const Baseline& observed, const Baseline& expected, bool with_authority,
                    std::vector<Finding>& findings) {
  for (PcrIndex pcr = 0; pcr < pcr_count; ++pcr) {
    if (pcr == 7 && !with_authority) continue;
    std::vector<const ExpectedEvent*> left, right;
    for (const auto& event : expected.events)
      if (event.pcr == pcr) left.push_back(&event);
    for (const auto& event : observed.events)
      if (event.pcr == pcr) right.push_back(&event);
    for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
      const auto text = [](const ExpectedEvent* event) {
        return event->text.empty() ? to_hex(event->digests.at(HashAlg::sha256)) : event->text;
      };
      if (i < left.size() && i < right.size() && left[i]->digests == right[i]->digests) continue;
      findings.push_back(
          image_finding(fmt::format("pcr {}, {}", pcr, i < left.size() ? left[i]->cause : right[i]->cause),
                        i < left.size() ? text(left[i]) : "nothing", i < right.size() ? text(right[i]) : "nothing",
                        "the image would measure something else than its baseline says"));
      break;
    }
  }
}

/// What firmware finds on the ESP, and what that finds.
Result<void> read_chain(const std::vector<codec::FatFile>& files, ImageParts& image) {
  const auto find = [&](std::string_view path) -> const codec::FatFile* {
    const auto found = std::find_if(files.begin(), files.end(), [&](const auto& file) { return is_at(file, path); });
    return found == files.end() ? nullptr : &*found;
  };
  const auto* first = find(measure::first_stage_path);
  if (first == nullptr)
    return fail(ErrorCode::malformed, fmt::format("the EFI system partition has no {}", measure::first_stage_path));
  // What cannot be told is taken for a UKI, and whoever looks into that finds that it is none.
  if (const auto chain = measure::boot_chain_of(*first->content)) image.chain = *chain;
  const codec::FatFile* uki = first;
  if (image.chain == BootChain::shim) uki = find(measure::second_stage_path);
  if (image.chain == BootChain::systemd_boot) {
    uki = nullptr;
    for (const auto& file : files) {
      if (!is_loader_entry(file)) continue;
      if (uki != nullptr)
        return fail(ErrorCode::malformed, fmt::format("{} and {} are both on the EFI system partition: systemd-boot "
                                                      "chooses by their versions",
                                                      uki->path, file.path));
      uki = &file;
    }
    if (const auto* conf = find(measure::loader_conf_path))
      image.loader_conf = TRY_IN(conf->path, read_all(*conf->content, measure::loader_conf_cap_bytes));
  }
  if (uki == nullptr)
    return fail(ErrorCode::malformed,
                fmt::format("the EFI system partition has {}, but no UKI that it would start", to_text(image.chain)));
  image.uki = uki->content;
  image.uki_path = uki->path;
  if (image.chain != BootChain::uki) image.first_stage = first->content;
  return {};
}

/// The files that a build puts on the ESP.
std::vector<std::string> files_of_build(const ImageParts& image) {
  std::vector<std::string> paths = {std::string(measure::first_stage_path)};
  if (image.chain != BootChain::uki) paths.push_back(image.uki_path);
  if (image.chain == BootChain::systemd_boot) paths.emplace_back(measure::loader_conf_path);
  return paths;
}

void compare_esp_files(const ImageParts& image, std::vector<Finding>& findings) {
  const auto expected = files_of_build(image);
  for (const auto& path : image.esp_files)
    if (std::find(expected.begin(), expected.end(), path) == expected.end())
      findings.push_back(
          image_finding("EFI system partition", fmt::format("{} alone", fmt::join(expected, ", ")), path,
                        "a file that no build put there; the stub would measure addons and credentials into PCR 12"));
}

}  // namespace

Result<ImageParts> open_image(SharedSource disk) {
  ImageParts image;
  image.gpt = TRY_IN("GPT", codec::decode_gpt(*disk));
  const auto esp = TRY(partition(disk, image.gpt, codec::esp_type, "EFI system"));
  // A probe's disk has an ESP alone; who needs the others asks for them.
  if (auto root = partition(disk, image.gpt, codec::root_x86_64_type, "root")) image.root = *std::move(root);
  if (auto verity = partition(disk, image.gpt, codec::root_verity_x86_64_type, "root-verity"))
    image.verity = *std::move(verity);
  const auto files = TRY_IN("EFI system partition", codec::list_fat32(esp));
  for (const auto& file : files) image.esp_files.push_back(file.path);
  TRY(read_chain(files, image));
  image.disk = std::move(disk);
  return image;
}

Result<std::optional<VerityMismatch>> check_verity(const ByteSource& data, const ByteSource& hashes, Bytes root_hash) {
  constexpr std::size_t block_size = 4096;
  constexpr std::size_t digest_size = 32;
  constexpr std::uint64_t digests_per_block = block_size / digest_size;
  const auto block = TRY(read_part(hashes, 0, codec::verity_superblock_size_bytes, block_size));
  const auto superblock = TRY(codec::decode_verity_superblock(block));
  if (superblock.algorithm != "sha256" || superblock.data_block_size != block_size ||
      superblock.hash_block_size != block_size)
    return fail(ErrorCode::unsupported, "verity other than SHA-256 with 4096-byte blocks");

  // 1. Blocks per level: 0 is the data, each next one holds the digests of the one below, the last is one block.
  std::vector<std::uint64_t> counts = {superblock.data_blocks};
  while (counts.back() > 1) counts.push_back((counts.back() + digests_per_block - 1) / digests_per_block);
  // 2. The top level comes first behind the superblock.
  std::vector<std::uint64_t> offsets(counts.size(), 0);
  std::uint64_t next = block_size;
  for (std::size_t level = counts.size() - 1; level > 0; --level) {
    offsets[level] = next;
    next += counts[level] * block_size;
  }
  // 3. Every block's digest must be the one that the level above holds, and the top one's the root hash.
  crypto::Hasher hasher(HashAlg::sha256);
  Buffer parent;
  for (std::size_t level = counts.size(); level-- > 0;) {
    const ByteSource& source = level == 0 ? data : hashes;
    std::uint64_t index = 0;
    std::optional<VerityMismatch> mismatch;
    const auto walk =
        for_each_chunk(source, offsets[level], counts[level] * block_size, [&](Bytes chunk) -> Result<void> {
          for (; !chunk.empty() && !mismatch; chunk = chunk.subspan(block_size), ++index) {
            const auto digest = hasher.update(superblock.salt).update(chunk.first(block_size)).finish();
            if (level + 1 < counts.size() && index % digests_per_block == 0)
              parent = TRY(read_part(hashes, offsets[level + 1] + index / digests_per_block * block_size, block_size,
                                     block_size));
            const Bytes wanted = level + 1 == counts.size()
                                     ? root_hash
                                     : Bytes(parent).subspan(index % digests_per_block * digest_size, digest_size);
            if (!std::equal(digest.begin(), digest.end(), wanted.begin(), wanted.end()))
              mismatch = VerityMismatch{static_cast<std::uint32_t>(level), index};
          }
          return {};
        });
    TRY(Result<void>(walk));
    if (mismatch) return mismatch;
  }
  return std::nullopt;
}

Result<std::vector<Finding>> check_image(const ImageParts& image, const Baseline& baseline, Bytes db, Bytes mok_list) {
  std::vector<Finding> findings;
  const auto root_hash = parse_hex(baseline.root_hash);
  if (!root_hash || root_hash->size() != 32)
    return fail(ErrorCode::malformed, "the baseline's root hash is not 32 bytes of hexadecimal");
  if (!image.root || !image.verity)
    return fail(ErrorCode::malformed, "the disk has no root or no root-verity partition",
                "give the disk.raw of a full image");
  compare_partition_ids(image.gpt, *root_hash, findings);
  compare_esp_files(image, findings);
  const auto uki_digest = to_hex(TRY(crypto::hash_source(HashAlg::sha256, *image.uki)));
  if (uki_digest != baseline.uki_sha256)
    findings.push_back(image_finding("UKI on the ESP", baseline.uki_sha256, uki_digest,
                                     "the UKI was replaced, changed or signed again"));
  std::vector<std::string> phases;
  if (!baseline.phases.empty()) {
    std::string_view path = baseline.phases.back().phase_path;
    for (; !path.empty();
         path = path.find(':') == std::string_view::npos ? std::string_view{} : path.substr(path.find(':') + 1))
      phases.emplace_back(path.substr(0, path.find(':')));
  }
  const auto observed = TRY(
      measure::predict_image({image.disk.get(), image.uki.get(), to_buffer(db), phases, {}, image.first(mok_list)}));
  compare_events(observed, baseline, !db.empty(), findings);
  if (const auto mismatch = TRY(check_verity(*image.root, *image.verity, *root_hash)))
    findings.push_back(
        image_finding(mismatch->level == 0
                          ? fmt::format("root file system, block {} (byte {})", mismatch->block, mismatch->block * 4096)
                          : fmt::format("verity tree, level {} block {}", mismatch->level, mismatch->block),
                      "the digest that the tree above it holds", "another digest",
                      "bits of the root file system or its verity tree were changed"));
  return findings;
}

Result<std::vector<Finding>> check_artifacts(const std::vector<codec::BuildArtifact>& artifacts,
                                             const std::function<Result<SharedSource>(const std::string&)>& open) {
  std::vector<Finding> findings;
  for (const auto& [name, sha256] : artifacts) {
    const auto file = open(name);
    if (!file && file.error().code != ErrorCode::missing) return fail(Error(file.error()));
    const auto found =
        file ? to_hex(TRY_IN(name, crypto::hash_source(HashAlg::sha256, **file))) : std::string("no such file");
    if (found != sha256)
      findings.push_back(
          image_finding(name, sha256, found,
                        file ? "the file was changed after the build" : "the file was taken away after the build"));
  }
  return findings;
}

}  // namespace ingot::check
