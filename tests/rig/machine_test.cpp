#include "../../qemu/machine.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "../../qemu/http_server.hpp"

using namespace ingot;

namespace {

rig::MachineFiles files() {
  rig::MachineFiles out;
  out.flash = {"/fw/CODE.fd", "/run/VARS.fd", true};
  out.disk = "/images/disk.raw";
  out.tpm_socket = "/run/tpm";
  out.evidence_socket = "/run/evidence";
  out.serial = "/run/serial";
  return out;
}

bool has(const std::vector<std::string>& argv, const std::string& word) {
  return std::find(argv.begin(), argv.end(), word) != argv.end();
}

}  // namespace

TEST_CASE(
    "machine: the command line is the same every time, and parts that are there do not move for parts that come") {
  const auto plain = rig::machine_command({}, {}, files());
  CHECK(plain == rig::machine_command({}, {}, files()));
  rig::MachineShape wide;
  wide.nic = true;
  const auto with_nic = rig::machine_command(wide, {}, files());
  CHECK(has(with_nic, "virtio-net-pci,netdev=net0,mac=52:54:00:69:6e:67,addr=0x6"));
  for (const auto& word : plain) CHECK(has(with_nic, word));
}

TEST_CASE("machine: firmware without SMM gets a machine without it") {
  auto without = files();
  without.flash.smm = false;
  const auto argv = rig::machine_command({}, {}, without);
  CHECK(has(argv, "q35,smm=off"));
  CHECK_FALSE(has(argv, "driver=cfi.pflash01,property=secure,value=on"));
  CHECK(has(rig::machine_command({}, {}, files()), "q35,smm=on"));
}

TEST_CASE("machine: a raw disk is never written to, an overlay is") {
  CHECK(has(rig::machine_command({}, {}, files()), "if=none,id=disk0,format=raw,file=/images/disk.raw,snapshot=on"));
  auto node = files();
  node.disk = "/node/disk.qcow2";
  node.disk_is_overlay = true;
  CHECK(has(rig::machine_command({}, {}, node), "if=none,id=disk0,format=qcow2,file=/node/disk.qcow2"));
}

TEST_CASE("machine: media are read only, start nothing and move nothing") {
  const auto plain = rig::machine_command({}, {}, files());
  rig::MachineShape shape;
  using Drive = rig::Medium::Drive;
  shape.media = {{Drive::usb, "/a,b.img"}, {Drive::cd, "/c.iso"}, {Drive::disk, "/d.img"}};
  const auto argv = rig::machine_command(shape, {}, files());
  for (const auto& word : plain) CHECK(has(argv, word));
  for (const auto* word : {"if=none,id=medium0,format=raw,readonly=on,file=/a,,b.img", "qemu-xhci,id=usb,addr=0x17",
                           "usb-storage,drive=medium0,bus=usb.0,removable=on", "ide-cd,drive=medium1,bus=ide.1",
                           "virtio-blk-pci,drive=medium2,addr=0x1a"})
    CHECK(has(argv, word));
  shape.media = {{Drive::cd, "/c.iso"}};
  for (const auto& word : rig::machine_command(shape, {}, files())) CHECK(word.find("usb") == std::string::npos);
}

TEST_CASE("machine: media as the command line has them") {
  const auto refused = [](const char* text) { return rig::parse_medium(text).error().code; };
  for (const auto* text : {"", "disk", "/dev/null", "tape:/etc/passwd", ":/etc/passwd"})
    CHECK(refused(text) == ErrorCode::usage);
  for (const auto* text : {"disk:", "usb:/dev", "cd:/nowhere"}) CHECK(refused(text) == ErrorCode::missing);
  const auto medium = rig::parse_medium("cd:/etc/passwd").value();
  CHECK(medium.drive == rig::Medium::Drive::cd);
  CHECK(medium.file == "/etc/passwd");
}

TEST_CASE("machine: commas in paths and credentials stay what they are") {
  auto odd = files();
  odd.disk = "/a,b/disk.raw";
  const auto argv = rig::machine_command({}, {"io.systemd.credential:x=1,2"}, odd);
  CHECK(has(argv, "if=none,id=disk0,format=raw,file=/a,,b/disk.raw,snapshot=on"));
  CHECK(has(argv, "type=11,value=io.systemd.credential:x=1,,2"));
}

TEST_CASE("machine: a boot over HTTP has no boot disk, and asks the same address whatever the port") {
  auto first = files(), second = files();
  first.http_port = 40001;
  second.http_port = 40002;
  const auto argv = rig::machine_command({}, {}, first);
  for (const auto& word : argv) CHECK(word.find("drive=disk0") == std::string::npos);
  CHECK(has(argv, "virtio-net-pci,netdev=net0,mac=52:54:00:69:6e:67,bootindex=1,addr=0x6"));
  const auto network =
      std::find_if(argv.begin(), argv.end(), [](const auto& word) { return word.starts_with("user,"); });
  REQUIRE(network != argv.end());
  CHECK(network->find("restrict=on") != std::string::npos);
  const auto address = [](const std::string& word) { return word.substr(0, word.find("guestfwd")); };
  const auto other = rig::machine_command({}, {}, second);
  const auto its = std::find_if(other.begin(), other.end(), [](const auto& word) { return word.starts_with("user,"); });
  CHECK(address(*network) == address(*its));
  CHECK(*network != *its);
}

TEST_CASE("http server: its port is read from a whole line only") {
  CHECK(rig::served_port("Serving HTTP on 127.0.0.1 port 43211 (http://127.0.0.1:43211/) ...\n") == 43211u);
  CHECK_FALSE(rig::served_port("Serving HTTP on 127.0.0.1 port 432"));
  CHECK_FALSE(rig::served_port("Serving HTTP on 127.0.0.1"));
  CHECK_FALSE(rig::served_port(""));
}
