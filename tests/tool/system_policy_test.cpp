// systemd-measure as the judge of a UKI whose running system has policies of its own.
#include <nlohmann/json.hpp>

#include "ingot/builder/boot_uki.hpp"
#include "ingot/codec/pe.hpp"
#include "oracle_tree.hpp"

using namespace ingot;
using namespace ingot::test;

TEST_CASE(
    "system policy: .pcrsig has what systemd-measure signs, the initrd's by one key and later phases' by another") {
  if (skipped(oracles + "/usr/lib/systemd/systemd-measure", "policies were not compared with systemd-measure")) return;
  const auto folder = builder::TemporaryFolder::create(oracles + "/tmp", "ingot-test-").value();
  const auto inside = folder.path().substr(oracles.size());
  const auto keys = signer::init_keys(folder.path() + "/keys").value();
  const auto stub = oracles + "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
  builder::UkiParts parts;
  parts.stub = file_source(stub).value();
  parts.kernel = file_source(stub).value();  // any PE file will do: nobody boots this
  parts.initrd = memory_source(Buffer(100001, 7));
  parts.os_release = "ID=debian\nIMAGE_ID=training\nIMAGE_VERSION=7\n";
  parts.command_line = "quiet roothash=00";
  parts.uname = "6.12.0-test";
  parts.sbat = "ingot.training,3,Ingot,training,7,x\n";
  parts.generation = 3;
  parts.system_phases = {"enter-initrd", "leave-initrd", "sysinit", "ready"};
  const auto uki = folder.path() + "/uki.efi";
  REQUIRE(builder::make_signed_uki(parts, builder::PcrPolicy::signed_by_pcr_key, keys, uki));

  const auto file = file_source(uki).value();
  const auto pe = codec::decode_pe(*file).value();
  // As it is in memory: without what fills it up in the file, and with the zeros that the file leaves out.
  const auto section = [&](const std::string& name) {
    const auto* found = pe.find("." + name);
    REQUIRE(found != nullptr);
    const auto to = folder.path() + "/" + name;
    const auto in_file = std::min(found->virtual_size, found->raw_size);
    auto bytes = read_part(*file, found->raw_offset, in_file, 1u << 24).value();
    bytes.resize(found->virtual_size);
    REQUIRE(write_file(to, bytes));
    return to;
  };
  const auto signed_by = [&](const std::string& key, const std::vector<std::string>& phases) {
    std::vector<std::string> argv = {"chroot",
                                     oracles,
                                     "/usr/lib/systemd/systemd-measure",
                                     "sign",
                                     "--bank=sha256",
                                     "--private-key=" + inside + "/keys/" + key + ".key",
                                     "--public-key=" + inside + "/keys/" + key + ".pub"};
    for (const auto& phase : phases) argv.push_back("--phase=" + phase);
    for (const std::string name : {"linux", "osrel", "cmdline", "initrd", "uname", "sbat", "pcrpkey"}) {
      section(name);
      argv.push_back("--" + name + "=" + inside + "/" + name);
    }
    return nlohmann::json::parse(output_of(argv))["sha256"];
  };
  auto theirs = signed_by("pcr", {"enter-initrd"});
  for (const auto& entry : signed_by("pcr-system", {"enter-initrd:leave-initrd", "enter-initrd:leave-initrd:sysinit",
                                                    "enter-initrd:leave-initrd:sysinit:ready"}))
    theirs.push_back(entry);
  REQUIRE(theirs.size() == 4);
  const auto ours = nlohmann::json::parse(as_text(read_file(section("pcrsig"), 1u << 20).value()));
  CHECK(ours["sha256"] == theirs);
  CHECK(ours["ingot"]["generation"] == 3);
}
