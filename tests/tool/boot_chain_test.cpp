// The files of a boot chain as they come to lie on an EFI System Partition, and as they are found there again.
#include "ingot/builder/boot_chain.hpp"

#include <catch2/catch.hpp>

#include "ingot/base/output.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/check/image.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/signer/sign.hpp"
#include "oracle_tree.hpp"
#include "sign_lab.hpp"
#include "tool.hpp"
#include "verifier/pe_image.hpp"
#include "verifier/shim_image.hpp"

using namespace ingot;
using namespace ingot::builder;
using namespace ingot::test;

namespace {

struct ChainDisk {
  TemporaryFolder folder = scratch();
  std::vector<EspFile> files;

  std::string put(const std::string& name, Bytes content) const {
    REQUIRE(write_file(folder.path() + "/" + name, content));
    return folder.path() + "/" + name;
  }
  [[nodiscard]] Result<check::ImageParts> open() const {
    constexpr std::uint64_t esp_size = 260u << 20;
    const auto esp = folder.path() + "/esp", disk = folder.path() + "/disk.raw";
    REQUIRE(make_esp(files, esp_size, 1, esp));
    REQUIRE(make_disk(derive_guid(Buffer(16, 1)), {{codec::esp_type, derive_guid(Buffer(16, 2)), "esp", esp, esp_size}},
                      0, disk, silent_progress()));
    return check::open_image(file_source(disk).value());
  }
};

Buffer content(const SharedSource& source) { return read_all(*source, 1u << 20).value(); }

}  // namespace

TEST_CASE("boot chain: systemd-boot's files are found where it looks, and one UKI alone") {
  ChainDisk disk;
  const auto uki = PeImage{}.bytes;
  const auto keys = signer::init_keys(disk.folder.path() + "/keys").value();
  const auto loader =
      file_source(std::string(INGOT_SOURCE) + "/build/oracles/usr/lib/systemd/boot/efi/systemd-bootx64.efi").value();
  REQUIRE(write_chain(BootChain::systemd_boot, loader, keys, disk.folder.path()));
  const auto chain = chain_in(disk.folder.path()).value();
  disk.files = esp_files(chain, disk.put("uki", uki), "node");
  const auto found = disk.open();
  REQUIRE(found);
  CHECK(found->chain == BootChain::systemd_boot);
  CHECK(found->uki_path == "EFI/Linux/NODE.EFI");  // FAT: a short name has no case
  CHECK(content(found->uki) == uki);
  CHECK(as_text(found->loader_conf.value()) == loader_conf);
  CHECK(output_of({"sbverify", "--cert", keys.certificate("db"), chain.first_stage}).find("OK") != std::string::npos);

  const auto files = disk.files;
  disk.files.push_back({"efi/linux/other.EFI", disk.put("other", uki)});
  CHECK(disk.open().error().code == ErrorCode::malformed);
  disk.files = {files.begin(), files.end() - 1};
  CHECK(disk.open().error().code == ErrorCode::malformed);
}

TEST_CASE("boot chain: shim's second stage is the UKI, and it is put there as it is") {
  ChainDisk disk;
  ShimImage shim;
  shim.vendor = codec::encode_signature_lists({{codec::efi_cert_sha256_guid, {}, {{{}, Buffer(32, 7)}}}});
  const auto keys = signer::init_keys(disk.folder.path() + "/keys").value();
  const auto chain = write_chain(BootChain::shim, shim.source(), keys, disk.folder.path()).value();
  disk.files = esp_files(chain, disk.put("uki", PeImage{}.bytes), "node");
  const auto found = disk.open();
  REQUIRE(found);
  CHECK(found->chain == BootChain::shim);
  CHECK(found->uki_path == "EFI/BOOT/GRUBX64.EFI");
  CHECK(content(found->first_stage) == shim.bytes());
  CHECK_FALSE(found->loader_conf);

  // Without a vendor's certificate that signed it, no machine can be made for it.
  const auto own = signer::secure_boot_keys(keys).value();
  CHECK(chain_keys(BootChain::shim, own, shim.source(), own.db).error().code == ErrorCode::crypto);
  CHECK(read_db("/usr/share/OVMF/OVMF_VARS_4M.fd").error().code == ErrorCode::malformed);
  CHECK(first_stage_of(Tree{}, BootChain::shim).error().code == ErrorCode::missing);
  CHECK(first_stage_of(Tree{}, BootChain::uki).value() == nullptr);
}

TEST_CASE("boot chain: behind shim a kernel is the same image without its signature, and elsewhere as it was") {
  ChainDisk disk;
  const auto kernel = file_source(host_kernel()).value();
  CHECK(kernel_of(BootChain::uki, kernel).value() == kernel);
  CHECK(kernel_of(BootChain::systemd_boot, kernel).value() == kernel);
  const auto unsigned_kernel = kernel_of(BootChain::shim, kernel).value();
  const auto path = disk.put("kernel", read_all(*unsigned_kernel, 1u << 28).value());
  CHECK(output_of({"sbverify", "--list", host_kernel()}).find("signature 1") != std::string::npos);
  CHECK(output_of({"sbverify", "--list", path}).find("signature 1") == std::string::npos);
  CHECK(pesign_hash(path) == pesign_hash(host_kernel()));
  CHECK(kernel_of(BootChain::shim, unsigned_kernel).value() == unsigned_kernel);
  CHECK(kernel_of(BootChain::shim, memory_source(Buffer(4096, 1))).error().code == ErrorCode::malformed);
}
