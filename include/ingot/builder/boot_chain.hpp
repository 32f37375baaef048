// The files of a boot chain on the EFI System Partition, and the keys of a machine that starts it.
// builder/image/chains.md says why they are as they are.
#pragma once

#include <string>
#include <vector>

#include "ingot/builder/image.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/measure/boot_chain.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::builder {

/// systemd-boot's configuration: one UKI is there, and nobody at the console chooses another thing or changes its
/// command line (loader.conf(5)).
inline constexpr std::string_view loader_conf =
    "timeout menu-disabled\neditor no\nauto-entries no\nauto-firmware no\nsecure-boot-enroll off\n";

/// What a base tree has for the chain's beginning: systemd-boot or shim; null when firmware starts the UKI. Errors:
/// missing, with the package that brings it; unsupported, a release whose measurements nobody has checked.
Result<SharedSource> first_stage_of(const Tree& base, BootChain chain);

/// The kernel as its UKI carries it. shim hashes the section `.linux` as an image of its own, in all the memory that it
/// gets, and takes a certificate table that does not end there for damage: behind shim, the kernel's signatures are
/// taken off (nobody looks at them: the UKI's is over these bytes, too). Errors: a kernel that is no PE (malformed).
Result<SharedSource> kernel_of(BootChain chain, const SharedSource& kernel);

/// A chain's files on this machine.
struct ChainFiles {
  BootChain chain = BootChain::uki;
  std::string first_stage;  ///< empty: none
  std::string loader_conf;  ///< empty: none
};
/// Writes them into `folder` (builder/build.hpp, output): systemd-boot signed with the folder's db key, shim as it is.
Result<ChainFiles> write_chain(BootChain chain, const SharedSource& first_stage, const signer::KeyFolder& keys,
                               const std::string& folder);
/// Those that an output folder has.
Result<ChainFiles> chain_in(const std::string& folder);

/// Where all files of the chain go. `name`: of the UKI, for systemd-boot.
std::vector<EspFile> esp_files(const ChainFiles& chain, const std::string& uki, std::string_view name);

/// What an image's chain finds in the variables of its machine.
struct ChainKeys {
  codec::SecureBootKeys secure_boot;
  Buffer mok_list;  ///< shim's MokList; empty: none
};
/// `own`: of the key folder. A machine for shim has the one certificate of `vendor_db` in db that shim is signed under,
/// and our db certificate as its owner's (MOK). Errors (crypto): no certificate of `vendor_db` signed shim.
Result<ChainKeys> chain_keys(BootChain chain, const codec::SecureBootKeys& own, const SharedSource& first_stage,
                             Bytes vendor_db);
/// The db variable of a variable store in a file. Error (malformed): it has none.
Result<Buffer> read_db(const std::string& vars_path);
inline constexpr const char* default_vendor_vars = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd";

std::vector<codec::Variable> chain_variables(const ChainKeys& keys);

}  // namespace ingot::builder
