// The steps from a tree to a bootable disk. Each is a function from named inputs to named outputs.
#pragma once

#include "ingot/base/guid.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/progress.hpp"
#include "ingot/builder/tree.hpp"
#include "ingot/codec/gpt.hpp"
#include "ingot/codec/verity.hpp"
#include "ingot/model/profile.hpp"

namespace ingot::builder {

/// Writes the root file system image; size is a multiple of 4096. The same tree gives the same bytes. squashfs needs no
/// privilege and unpacks nothing; erofs needs root and unpacks the tree into a private folder below `scratch`. Errors
/// (unsupported): a compression the file system does not have, extended attributes it cannot carry.
Result<void> make_root_image(const Tree& tree, const Profile::Root& root, const Guid& uuid, const std::string& out_path,
                             const std::string& scratch, Progress& progress);

struct Verity {
  Buffer root_hash;  ///< 32 bytes
  codec::VeritySuperblock superblock;
};
/// dm-verity hash device (superblock and tree) for a data file, byte-identical to `veritysetup format` with the same
/// salt and UUID, SHA-256, 4096-byte blocks. Hashes on all cores.
Result<Verity> make_verity(const std::string& data_path, Bytes salt, const Guid& uuid, const std::string& out_path,
                           Progress& progress);

struct InitrdOptions {
  std::vector<std::string> extra_modules = {};   ///< refused when the kernel has none of that name
  std::vector<std::string> extra_files = {};     ///< absolute; refused when the tree does not have one
  std::vector<std::string> extra_units = {};     ///< of systemd; refused when the tree does not have one
  std::vector<std::string> wished_modules = {};  ///< passed over when the kernel has none of that name
};
/// The initrd as a zstd-compressed newc cpio, made of files of the tree.
Result<void> make_initrd(const Tree& tree, const InitrdOptions& options, const std::string& out_path,
                         Progress& progress);
/// Any tree as an initrd: sorted, with fixed times and inode numbers. Extended attributes are left out, hard links
/// copied.
Result<void> write_initrd(const Tree& content, const std::string& out_path, Progress& progress);

/// Initrd of the probe: the agent as /init and nothing else. The kernels of Debian's cloud flavour have TPM and
/// virtio-serial drivers built in.
Result<void> make_probe_initrd(const SharedSource& agent, const std::string& out_path);
inline constexpr const char* probe_command_line = "console=ttyS0 panic=-1 module.sig_enforce=1 lockdown=integrity";

struct UkiParts {
  SharedSource stub;    ///< systemd's linuxx64.efi.stub, unsigned
  SharedSource kernel;  ///< the bzImage, becomes .linux
  SharedSource initrd;
  std::string os_release;
  std::string command_line;  ///< complete, roothash= included
  std::string uname;
  std::string sbat;                ///< lines to add to the stub's own, without its header line; may be empty
  std::string pcr_public_key_pem;  ///< may be empty: no .pcrpkey
  std::string pcr_signature_json;  ///< may be empty: no .pcrsig
  std::uint32_t generation = 0;    ///< that the signature names; 0: none (make_signed_uki() alone looks at it)
  /// With a generation: boot phases whose policies the key pcr-system signs, all but the first, each with those before
  /// it; none: it signs nothing.
  std::vector<std::string> system_phases = {};
};
/// An unsigned UKI, put together while it is read: CheckSum 0, TimeDateStamp and alignments the stub's own, no bytes
/// between headers and sections. Errors: truncated stub (malformed), signed or foreign stub (unsupported), empty parts
/// (malformed), 2 GiB and more (limit).
Result<SharedSource> uki_source(const UkiParts& parts);
/// uki_source() in a file, whole or not at all.
Result<void> write_uki(const UkiParts& parts, const std::string& out_path);

struct EspFile {
  std::string path;  ///< "EFI/BOOT/BOOTX64.EFI"
  std::string from;  ///< host path
};
/// FAT32 image, sparse, the same for the same inputs. `size_bytes`: whole MiB, 260 MiB or more, so that FAT32 is FAT32.
Result<void> make_esp(const std::vector<EspFile>& files, std::uint64_t size_bytes, std::uint32_t volume_id,
                      const std::string& out_path);

struct DiskPartition {
  Guid type;
  Guid unique;
  std::string name;
  std::string content;           ///< host path; empty: an empty partition
  std::uint64_t size_bytes = 0;  ///< at least the content's; rounded up to 1 MiB
};
/// The table that make_disk() writes; a partition with a size may lack its content.
Result<codec::Gpt> plan_disk(const Guid& disk_guid, const std::vector<DiskPartition>& partitions,
                             std::uint64_t room_bytes);
/// A sparse raw disk with a GPT, partitions aligned to 1 MiB, the first at 1 MiB; behind the last `room_bytes` (whole
/// MiB) that no partition has, and one more MiB.
Result<codec::Gpt> make_disk(const Guid& disk_guid, const std::vector<DiskPartition>& partitions,
                             std::uint64_t room_bytes, const std::string& out_path, Progress& progress);

}  // namespace ingot::builder
