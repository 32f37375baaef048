// Writes seeds: for each format one sound input and one for each branch that a fuzzer would search long for.
#include <cstdio>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/any_log.hpp"
#include "ingot/codec/cel.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/codec/enrolment.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/event_data.hpp"
#include "ingot/codec/gpt.hpp"
#include "ingot/codec/ima.hpp"
#include "ingot/codec/signature_log.hpp"
#include "ingot/codec/state.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/codec/verity.hpp"
#include "verifier/fat_volume.hpp"
#include "verifier/pe_image.hpp"
#include "verifier/shim_image.hpp"
#include "verifier/store_image.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

constexpr Guid owner = make_guid("77fa9abd-0359-4d32-bd60-28f4e78f784b");
std::string corpus;
bool failed = false;

void seed(const std::string& name, Bytes bytes) {
  const std::string path = corpus + "/" + name;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  if (const auto written = write_file(path, bytes); !written) {
    std::fprintf(stderr, "%s\n", describe(written.error()).c_str());
    failed = true;
  }
}

void pe_seeds() {
  using test::PeImage;
  PeImage image;
  seed("pe/unsigned", image.bytes);
  image.append(Buffer(3, 7));
  seed("pe/unaligned", image.bytes);
  auto table = test::win_certificate(as_bytes("one"));
  const auto second = test::win_certificate(as_bytes("second"), 0x0EF1);
  table.insert(table.end(), second.begin(), second.end());
  image.sign(table);
  seed("pe/signed", image.bytes);
  PeImage gap;
  gap.bytes.resize(0xA00);
  gap.put32(PeImage::section(1, 20), 0x800);
  seed("pe/gap-between-sections", gap.bytes);
  PeImage overlap;
  overlap.put32(PeImage::section(1, 20), 0x5FF);
  seed("pe/sections-overlap", overlap.bytes);
  PeImage wild;
  wild.put32(60, 0xFFFFFFF8);
  seed("pe/header-offset-overflows", wild.bytes);
  PeImage bare;
  bare.put16(PeImage::pe_header + 6, 0);
  seed("pe/no-sections", Bytes(bare.bytes).first(0x400));
  test::ShimImage shim;
  shim.vendor = encode_signature_lists({x509_list(owner, Buffer(60, 0x30))});
  seed("pe/shim", shim.bytes());
}

void esl_seeds() {
  const SignatureList digests{efi_cert_sha256_guid, {}, {{owner, Buffer(32, 1)}, {Guid{}, Buffer(32, 2)}}};
  const SignatureList other{make_guid("826ca512-cf10-4ac9-b187-be01496631bd"), {9, 8, 7}, {{owner, {1}}}};
  seed("esl/empty", {});
  seed("esl/three-lists", encode_signature_lists({x509_list(owner, Buffer(60, 0x30)), digests, other}));
  seed("esl/no-entries", encode_signature_lists({{owner, {1, 2}, {}}}));
  auto overflow = encode_signature_lists({digests});
  overflow[19] = 0xFF;
  seed("esl/list-size-overflows", overflow);
}

void variable_store_seeds() {
  const auto empty = test::empty_store();
  seed("variable_store/empty", empty);
  const auto enrolled =
      write_variables(empty, secure_boot_variables({{1}, {2}, {3, 3}, {4}, {2024, 2, 29, 23, 59, 58}}));
  seed("variable_store/enrolled", enrolled.value());
  auto transition = enrolled.value();
  transition[test::store_first_variable + 2] = 0x3E;
  seed("variable_store/in-transition", transition);
  transition[test::store_first_variable + 2] = 0xFF;
  seed("variable_store/header-cut-off", transition);
  auto wild = enrolled.value();
  wild[test::store_first_variable + 39] = 0xFF;
  seed("variable_store/name-size-overflows", wild);
}

void gpt_seeds() {
  const auto guid = [](std::uint8_t value) { return derive_guid(Buffer(16, value)); };
  const Gpt gpt{
      guid(1), 256, {{esp_type, guid(2), 40, 99, 0, "esp"}, {root_x86_64_type, guid(3), 100, 222, 1, "root é"}}};
  const auto sound = encode_gpt(gpt)->primary;
  // The rest of a disk is zeros, which the target adds.
  constexpr std::size_t used = 1024 + 2 * 128;
  seed("gpt/two-partitions", Bytes(sound).first(used));
  seed("gpt/empty", Bytes(encode_gpt({guid(1), 256, {}})->primary).first(1024));
  auto overlap = sound;
  overlap[1024 + 128 + 32] = 99;
  seed("gpt/overlap", Bytes(overlap).first(used));
  auto few = sound;
  few[512 + 80] = 4;
  seed("gpt/four-entries", Bytes(few).first(used));
  auto wild = sound;
  wild[512 + 79] = 0xFF;
  seed("gpt/entries-offset-overflows", Bytes(wild).first(used));
}

void verity_seeds() {
  VeritySuperblock superblock;
  superblock.uuid = owner;
  superblock.data_blocks = 1000;
  superblock.salt = Buffer(32, 0xA5);
  seed("verity/sha256", encode_verity_superblock(superblock));
  superblock.salt = Buffer(256, 1);
  superblock.algorithm = "sha512";
  seed("verity/largest-salt", encode_verity_superblock(superblock));
  superblock.data_blocks = ~std::uint64_t{0};
  seed("verity/data-size-overflows", encode_verity_superblock(superblock));
}

void signature_log_seeds() {
  SignatureEntry entry{
      empty_signature_log_head(), "2026-11-29T21:40:00Z", "root", "", "host", "what", {}, Buffer(32), Buffer(32)};
  const auto first = encode_signature_entry(entry).value_or("");
  entry.previous = signature_line_hash(first);
  entry.login = "alice";
  entry.digest = Buffer(32, 7);
  const auto second = encode_signature_entry(entry).value_or("");
  seed("signature_log/two", as_bytes(first + "\n" + second + "\n"));
  seed("signature_log/broken", as_bytes(second + "\n"));
  seed("signature_log/no-line-feed", as_bytes(first));
}

void dsse_seeds() {
  seed("dsse/signed", as_bytes(encode_dsse({in_toto_payload_type, {1, 2, 3}, {{"key", {4, 5}}, {"", {}}}})));
  seed("dsse/no-signatures", as_bytes(encode_dsse({"t", {}, {}})));
  seed("dsse/member-twice", as_bytes(R"({"payloadType":"t","payload":"","payload":"YQ==","signatures":[]})"));
  seed("dsse/nested", as_bytes(R"({"payloadType":"t","x":)" + std::string(200, '[')));
  seed("dsse/escapes", as_bytes(R"({"payloadType":"\u0000\ud83d\ude00\ud800","payload":"","signatures":[]})"));
}

void fat_seeds() {
  const test::FatVolume volume;
  const auto part = [&](std::size_t at, std::size_t size) { return Bytes(volume.bytes).subspan(at, size); };
  Writer out;
  out.bytes(part(0, 512)).bytes(part(test::fat_reserved_sectors * 512, 512));
  out.bytes(part(test::FatVolume::cluster_at(2), 4 * 512));
  seed("fat/one-file", out.view());
  auto loop = out.take();
  loop[512 + 3 * 4] = 3;
  seed("fat/chain-loops", loop);
}

/// A volume that holds one file with one section, which is a volume again.
Buffer nested_volume(const Buffer& inner) {
  const auto u24 = [](Writer& out, std::size_t value) {
    out.u16le(static_cast<std::uint16_t>(value)).u8(static_cast<std::uint8_t>(value >> 16));
  };
  Writer out;
  const std::size_t file = inner.empty() ? 0 : 24 + 4 + inner.size();
  out.fill(16).bytes(
      Writer{}.u32le(0x8C8CE578).u16le(0x8A3D).u16le(0x4F1C).text("\x99\x35\x89\x61\x85\xC3\x2D\xD3").view());
  out.u64le(56 + file).text("_FVH").fill(4).u16le(56).fill(6);
  if (inner.empty()) return out.take();
  out.fill(19).u8(0);
  u24(out, file);
  out.u8(0);
  u24(out, 4 + inner.size());
  return out.u8(0x17).bytes(inner).take();
}

void firmware_seeds() {
  auto volume = nested_volume({});
  seed("firmware/empty-volume", volume);
  for (int i = 0; i < 3; ++i) volume = nested_volume(volume);
  seed("firmware/nested", volume);
  for (int i = 0; i < 20; ++i) volume = nested_volume(volume);
  seed("firmware/nested-too-deeply", volume);
}

void provenance_seeds() {
  seed(
      "provenance/one-file",
      as_bytes(
          R"({"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1","subject":[{"name":"uki.efi","digest":{"sha256":")" +
          std::string(64, 'a') + R"("}}]})"));
}

void ima_seeds() {
  std::vector<ImaEntry> entries;
  for (const auto* name : {"ima", "ima-ng", "ima-sig", "ima-buf", "ima-modsig", "ima-sigv2", "evm-sig"}) {
    ImaEntry entry;
    entry.template_name = name;
    entry.digest_type = "verity";
    entry.digest_alg = "sha1";
    entry.digest = Buffer(20, 1);
    entry.path = "/x";
    entry.modsig_digest = Writer{}.text("sha1:").u8(0).fill(20, 7).take();
    failed = failed || !seal_ima_entry(entry);
    entries.push_back(entry);
  }
  seed("ima/binary", encode_ima(entries));
  entries.pop_back();  // evm-sig has no ASCII form
  seed("ima/ascii", as_bytes(encode_ima_ascii(entries)));
}

void cel_seeds() {
  const Digests digests = {{HashAlg::sha1, Buffer(20, 1)}, {HashAlg::sha256, Buffer(32, 2)}};
  ImaEntry ima;
  ima.template_name = "ima-ng";
  ima.digest_alg = "sha1";
  ima.digest = Buffer(20, 1);
  ima.path = "/x";
  failed = failed || !seal_ima_entry(ima);
  const std::vector<CelRecord> records = {{0, 0, digests, CelPcClient{EventType::EV_S_CRTM_VERSION, {0, 0}}},
                                          {1, 11, {}, CelSystemd{"ready"}},
                                          {2, 10, digests, CelImaTemplate{ima.template_name, ima.template_data}},
                                          {3, 4, {}, CelOther{"4", {1}}}};
  seed("cel/tlv", encode_cel_tlv(records));
  seed("cel/json", as_bytes(encode_cel_json(records)));
}

/// PCR, type and data, as the target reads them.
void event_data_seed(const std::string& name, EventType type, Bytes data) {
  seed("event_data/" + name, Writer{}.u8(4).u32le(static_cast<std::uint32_t>(type)).bytes(data).take());
}

void event_data_seeds() {
  const Buffer path = {2, 1, 12, 0, 0xD0, 0x41, 3, 10, 0, 0, 0, 0, 3, 20, 6, 0, 1, 0, 0x7F, 0xFF, 4, 0};
  const auto variable = [](const char* name, Buffer data) {
    return encode_measured_variable({owner, name, std::move(data)});
  };
  event_data_seed("db", EventType::EV_EFI_VARIABLE_DRIVER_CONFIG,
                  variable("db", encode_signature_lists({x509_list(owner, Buffer(60, 0x30))})));
  event_data_seed("boot-entry", EventType::EV_EFI_VARIABLE_BOOT2,
                  variable("Boot0001", encode_load_option({1, "x", path, {}})));
  event_data_seed("boot-order", EventType::EV_EFI_VARIABLE_BOOT, variable("BootOrder", {1, 0, 2, 0}));
  event_data_seed("authority", EventType::EV_EFI_VARIABLE_AUTHORITY, variable("db", Buffer(40, 0x30)));
  event_data_seed("image", EventType::EV_EFI_BOOT_SERVICES_APPLICATION,
                  Writer{}.u64le(1).u64le(2).u64le(0).u64le(path.size()).bytes(path).take());
  event_data_seed("blob", EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB, Writer{}.u64le(1).u64le(2).take());
  event_data_seed("blob2", EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB2,
                  Writer{}.u8(2).text("FV").u64le(1).u64le(2).take());
  event_data_seed("tables", EventType::EV_EFI_HANDOFF_TABLES, Writer{}.u64le(1).bytes(owner.bytes).u64le(9).take());
  event_data_seed("tables2", EventType::EV_EFI_HANDOFF_TABLES2,
                  Writer{}.u8(2).text("SM").u64le(1).bytes(owner.bytes).u64le(9).take());
  event_data_seed("gpt", EventType::EV_EFI_GPT_EVENT, Writer{}.fill(92, 1).u64le(1).fill(128, 2).take());
  event_data_seed("tagged", EventType::EV_EVENT_TAG, Writer{}.u32le(load_options_tag).u32le(2).fill(2, 1).take());
  event_data_seed("spdm", EventType::EV_EFI_SPDM_FIRMWARE_BLOB,
                  Writer{}
                      .text(std::string_view("SPDM Device Sec\0", 16))
                      .u16le(1)
                      .u16le(0)
                      .u32le(2)
                      .u32le(1)
                      .u16le(0x0101)
                      .u16le(1)
                      .u8(7)
                      .u64le(path.size())
                      .bytes(path)
                      .take());
  event_data_seed("spdm2", EventType::EV_EFI_SPDM_FIRMWARE_BLOB,
                  Writer{}
                      .text("SPDM Device Sec2")
                      .u16le(2)
                      .u16le(0)
                      .u32le(0)
                      .u32le(1)
                      .u32le(0)
                      .u32le(1)
                      .u64le(5)
                      .u64le(path.size())
                      .bytes(path)
                      .u8(7)
                      .take());
  event_data_seed("locality", EventType::EV_NO_ACTION,
                  Writer{}.text(std::string_view("StartupLocality\0", 16)).u8(3).take());
  event_data_seed("nv-index", EventType::EV_NO_ACTION, Writer{}.text("NvIndexInstance ").u64le(1).u8(1).take());
  event_data_seed("manifest", EventType::EV_NO_ACTION, Writer{}.text("SP800-155 Event3").u32le(1).fill(20).take());
}

void enrolment_seeds() {
  const TpmIdentity identity{{1, 2}, {3}, {{4}, {5, 6}}, {7}, {}};
  seed("enrolment/identity", as_bytes(encode_identity(identity)));
  seed("enrolment/challenge", as_bytes(encode_challenge({"gpu-07", {1}, {2}, {3}, {4}})));
  seed("enrolment/activation", as_bytes(encode_activation({"gpu-07", {1}})));
  seed("enrolment/pending",
       as_bytes(encode_pending({"gpu-07", identity, Buffer(32, 1), "allow-list", {"nv-padding"}})));
  seed("enrolment/statement",
       as_bytes(encode_enrolment_statement({"gpu-07", std::string(64, 'a'), {1}, "allow-list", {}})));
  seed("enrolment/state", as_bytes(encode_node_state({"gpu-07", 1, 2, 3, 4, {{HashAlg::sha256, Buffer(32, 1)}}})));
  seed("enrolment/accepted", as_bytes(encode_accepted({{"inference", 3}})));
  seed("enrolment/revocations", as_bytes(encode_revocations_statement({{"inference", 2, "why"}})));
}

void profile_seeds() {
  seed("profile/whole", as_bytes(R"(name = "inference"
version = 2
not_after = 2027-06-01T00:00:00Z
role = "inference"
[base]
suite = "trixie"
packages = ["systemd", "systemd-cryptsetup", "systemd-repart", "e2fsprogs"]
[kernel]
command_line = ["quiet", "console=ttyS0"]
[root]
filesystem = "erofs"
compression = "lz4hc"
compression_level = 9
[disk]
esp_size = "260MiB"
allowed_partitions = ["4d21b016-b534-45c2-a9fb-5c16e091fd2d"]
[boot]
phases = ["enter-initrd"]
secure_boot = true
[[volume]]
name = "state"
mount = "/var/lib/ingot"
size = "1GiB"
[[volume]]
name = "models"
mount = "/srv/models"
size = "64MiB"
grow = true
key = "tpm"
[keyserver]
url = "http://[fd00::1]:7500"
thumbprint = "fgOgG3vJSrNZtFvc2nWZsQYKGIR28smGTWJmIrDLSM4"
[files]
"/etc/motd" = { content = "hello", mode = "0644", uid = 0 }
)"));
  seed("profile/image",
       as_bytes("name = \"x\"\nversion = 1\nrole = \"x\"\n[base]\nimage = \"a.qcow2\"\nformat = \"disk\"\n"));
}

void site_seeds() {
  // Every kind of plane, address, flow and policy once.
  const std::string whole = R"(bastion = "hub"
collector = "hub"
time = "hub"
[planes.mgmt]
kind = "vlan"
vlan = 10
link = "nic"
subnets = ["10.1.0.0/24", "fd00:1::/64"]
[planes.under]
kind = "plain"
link = "nic"
mtu = 9000
subnets = ["10.2.0.0/24"]
rdma = true
[planes.over]
kind = "vxlan"
vni = 77
port = 4790
underlay = "under"
mtu = 8950
subnets = ["10.3.0.0/24"]
vteps = ["10.2.0.1", "10.2.0.2"]
[planes.front]
kind = "vlan"
vlan = 20
link = "edge"
subnets = ["10.4.0.0/24", "fd00:4::/64"]
gateways = ["10.4.0.254", "fd00:4::fe"]
[roles.hub.planes]
mgmt = ["10.1.0.1", "fd00:1::1"]
front = ["10.4.0.1", "fd00:4::1"]
[roles.work.planes]
mgmt = ["10.1.0.16/28", "fd00:1::10-fd00:1::1f"]
under = ["10.2.0.1-10.2.0.9"]
over = ["10.3.0.1-10.3.0.9"]
[roles.mute]
ssh = false
[roles.mute.planes]
mgmt = ["10.1.0.99"]
[zones.people]
plane = "front"
addresses = ["192.0.2.0/24"]
[[flows]]
name = "login"
from = ["people"]
to = ["hub"]
plane = "front"
ports = ["tcp/22"]
why = "people log in"
[[flows]]
name = "ssh"
from = ["hub"]
to = ["work"]
plane = "mgmt"
ports = ["tcp/22", "icmp"]
why = "onward"
[[flows]]
name = "logs"
from = ["work", "mute"]
to = ["hub"]
plane = "mgmt"
ports = ["tcp/19532", "udp/123", "udp/67", "udp/547"]
why = "records"
[[flows]]
name = "peers"
from = ["work"]
to = ["work"]
plane = "over"
ports = ["tcp/5000-5010", "udp/5000"]
why = "work"
[[flows]]
name = "leases"
from = ["work"]
to = ["work"]
plane = "under"
ports = ["udp/67"]
why = "addresses"
[[policies]]
name = "closed"
kind = "never"
from = ["people"]
to = ["work"]
trusted = ["hub"]
why = "no way in"
[[policies]]
name = "ssh"
kind = "only-from"
from = ["hub"]
to = ["work"]
ports = ["tcp/22"]
why = "recorded"
[[policies]]
name = "models"
kind = "only-through"
through = ["hub"]
to = ["work"]
ports = ["tcp/8000"]
why = "limits"
[[policies]]
name = "logs"
kind = "always"
from = ["work"]
to = ["hub"]
ports = ["tcp/19532"]
why = "they leave"
[[policies]]
name = "apart"
kind = "isolated"
plane = "over"
to = ["work"]
why = "its own"
)";
  const auto with = [&](const std::string& from, const std::string& to) {
    auto text = whole;
    const auto at = text.find(from);
    failed = failed || at == std::string::npos;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
  };
  seed("site/whole", as_bytes(whole));
  seed("site/dhcp", as_bytes(with("rdma = true", "addressing = \"dhcp\"")));
  seed("site/why-is-a-rule", as_bytes(with("people log in", "x\\n    accept\\u007f\\u2028 accept")));
  seed("site/everybody", as_bytes(with("addresses = [\"192.0.2.0/24\"]\n", "")));
  seed("site/flow-contradicts-policy", as_bytes(with("ports = [\"tcp/5000-5010\"", "ports = [\"tcp/8000\"")));
  seed("site/smallest", as_bytes(R"(collector = "a"
[planes.p]
kind = "plain"
link = "l"
subnets = ["fd00::/16"]
[roles.a]
ssh = false
planes = { p = ["fd00::1-fd00:ffff::"] }
)"));
}

void any_log_seeds() {
  EventLog firmware;
  firmware.algorithms = algorithm_sizes(std::vector{HashAlg::sha256});
  firmware.events = {{0, EventType::EV_SEPARATOR, {{HashAlg::sha256, Buffer(32, 1)}}, Buffer(4)}};
  const std::vector<Event> userspace = {
      {11, EventType::EV_IPL, {{HashAlg::sha256, Buffer(32, 2)}}, to_buffer(as_bytes("ready"))}};
  seed("any_log/crypto-agile", encode_event_log(firmware));
  seed("any_log/systemd", encode_userspace_log(userspace));
  seed("any_log/cel-tlv", encode_cel_tlv(cel_records(firmware, userspace, {})));
  seed("any_log/cel-json", as_bytes(encode_cel_json(cel_records(firmware, userspace, {}))));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: fuzz_seeds CORPUS\n", stderr), 3;
  corpus = argv[1];
  pe_seeds();
  esl_seeds();
  variable_store_seeds();
  gpt_seeds();
  verity_seeds();
  dsse_seeds();
  signature_log_seeds();
  fat_seeds();
  firmware_seeds();
  provenance_seeds();
  ima_seeds();
  cel_seeds();
  event_data_seeds();
  any_log_seeds();
  enrolment_seeds();
  profile_seeds();
  site_seeds();
  return failed ? 3 : 0;
}
