#include "ingot/measure/boot_chain.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>

#include "../../verifier/measure/first_stage.hpp"
#include "../../verifier/measure/shim.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/event_data.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/codec/pe_names.hpp"
#include "ingot/measure/uki.hpp"
#include "pe_image.hpp"
#include "shim_image.hpp"

using namespace ingot;
using test::PeImage;
using test::ShimImage;

namespace {

/// A file whose .data section has another name and content.
SharedSource with_section(std::string_view name, std::string_view content) {
  PeImage image;
  image.put(PeImage::section(1, 0), Buffer(8));
  image.put(PeImage::section(1, 0), as_bytes(name));
  image.put32(PeImage::section(1, 8), static_cast<std::uint32_t>(content.size()));
  image.put(PeImage::data, as_bytes(content));
  return image.source();
}

ShimImage with_vendor(Buffer vendor) {
  ShimImage image;
  image.vendor = std::move(vendor);
  return image;
}

Buffer no_list() { return codec::encode_signature_lists({{codec::efi_cert_sha256_guid, {}, {{{}, Buffer(32, 7)}}}}); }

struct RealLog {
  std::vector<Event> of_shim;  ///< PCR 14, and PCR 7's events of shim's own variables
  Buffer vendor;               ///< certificate that let the second stage start
};
/// Red Hat CoreOS, whose shim has one certificate and forbids nothing.
RealLog coreos_log(const std::string& path) {
  RealLog out;
  const auto log = codec::decode_event_log(read_file(path, 1u << 22).value()).value();
  for (const auto& event : log.events) {
    const auto variable = codec::decode_measured_variable(event.data);
    const bool authority = event.type == EventType::EV_EFI_VARIABLE_AUTHORITY && variable;
    if (authority && variable->name == "Shim") out.vendor = variable->data;
    if (event.pcr == 14 || (authority && variable->name == "SbatLevel")) out.of_shim.push_back(event);
  }
  return out;
}

}  // namespace

TEST_CASE("boot chain: each first stage is told by what it says of itself, anything else is refused") {
  const auto loader = [](std::string_view version) {
    return with_section(".sdmagic", "#### LoaderInfo: systemd-boot " + std::string(version) + " ####");
  };
  CHECK(measure::boot_chain_of(*with_section(".linux", "x")) == BootChain::uki);
  CHECK(measure::boot_chain_of(*loader("257.9-1~deb13u1")) == BootChain::systemd_boot);
  CHECK(measure::boot_chain_of(*with_vendor(no_list()).source()) == BootChain::shim);
  CHECK(measure::boot_chain_of(*PeImage{}.source()).error().code == ErrorCode::unsupported);
  CHECK(measure::boot_chain_of(*memory_source(Buffer(512))).error().code == ErrorCode::malformed);
  CHECK(measure::describe_first_stage(*loader("257.9-1~deb13u1")) == "systemd-boot 257");
  CHECK(measure::describe_first_stage(*with_vendor(no_list()).source()) == "shim 16.1");
  // A stub is no loader, and what nobody has checked is not guessed.
  CHECK(measure::boot_chain_of(*with_section(".sdmagic", "#### LoaderInfo: systemd-stub 257 ####")).error().code ==
        ErrorCode::unsupported);
  for (const char* version : {"256.7", "258~rc1", "", "x"}) {
    INFO(version);
    CHECK(measure::describe_first_stage(*loader(version)).error().code == ErrorCode::unsupported);
  }
  auto old = with_vendor(no_list());
  old.ident = "UEFI SHIM\n$Version: 15.8 $\n";
  CHECK(measure::describe_first_stage(*old.source()).error().code == ErrorCode::unsupported);
  for (const auto chain : {BootChain::uki, BootChain::systemd_boot, BootChain::shim})
    CHECK(parse_boot_chain(to_text(chain)) == chain);
}

TEST_CASE("boot chain: a damaged shim is malformed, whatever the damage") {
  struct Row {
    const char* name;
    void (*damage)(ShimImage&);
  };
  const Row rows[] = {
      {"no version", [](ShimImage& one) { one.ident = "UEFI SHIM\n$Version: 16.1"; }},
      {"another format of .sbatlevel", [](ShimImage& one) { one.sbat_format = 1; }},
      {"no revocations in .sbatlevel", [](ShimImage& one) { one.sbat_level = "tabs,1\n"; }},
      {"vendor outside of its section", [](ShimImage& one) { one.vendor_place = 0xFFFFFFF0; }},
      {"vendor that is neither certificate nor list", [](ShimImage& one) { one.vendor.resize(40); }},
      {"forbidden entries that are no list", [](ShimImage& one) { one.forbidden = Buffer(5, 1); }},
  };
  for (const auto& [name, damage] : rows) {
    INFO(name);
    auto image = with_vendor(no_list());
    damage(image);
    const auto found = measure::describe_first_stage(*image.source());
    REQUIRE_FALSE(found);
    CHECK(found.error().code == ErrorCode::malformed);
  }
  const auto whole = with_vendor(no_list()).bytes();
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    INFO(size);
    CHECK_FALSE(measure::describe_first_stage(
        *memory_source(Buffer(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)))));
  }
}

TEST_CASE("PE: section names in the string table are found, and places outside of it are refused") {
  auto image = with_vendor(no_list());
  const auto find = [&](std::string_view name) {
    const auto file = image.source();
    const auto pe = codec::decode_pe(*file).value();
    const auto section = codec::find_long_section(*file, pe, name);
    return section.map([&](const codec::PeSection* one) { return one == nullptr ? "" : one->name; });
  };
  CHECK(find(".data.ident") == "/4");
  CHECK(find(".vendor_cert") == "/27");
  CHECK(find(".sbat") == "");
  image.name_place = 3;
  CHECK(find(".data.ident").error().code == ErrorCode::malformed);
  image.name_place = 5000;
  CHECK(find(".data.ident").error().code == ErrorCode::malformed);
  const auto short_names = PeImage{};
  const auto pe = short_names.decode().value();
  CHECK(codec::find_long_section(*short_names.source(), pe, ".data").value() == pe.find(".data"));
}

TEST_CASE("boot chain: what is predicted of a shim's state is what a real shim measured") {
  const auto path = std::string(INGOT_SHARED) + "/vectors/eventlogs/rhcos.bin";
  if (!std::filesystem::exists(path)) {
    std::cerr << "SKIPPED: a real shim's state was not looked at (no " << path << ")\n";
    return;
  }
  const auto log = coreos_log(path);
  REQUIRE_FALSE(log.vendor.empty());
  auto image = with_vendor(log.vendor);
  const auto file = image.source();
  const auto shim = measure::read_shim(*file, codec::decode_pe(*file).value()).value();
  const auto predicted = measure::shim_state_events(shim, {});
  REQUIRE(predicted.size() == log.of_shim.size());
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    INFO(predicted[i].cause);
    CHECK(predicted[i].pcr == log.of_shim[i].pcr);
    CHECK(predicted[i].type == log.of_shim[i].type);
    CHECK(predicted[i].digests.at(HashAlg::sha256) == log.of_shim[i].digests.at(HashAlg::sha256));
    CHECK(predicted[i].cause == codec::describe_event(log.of_shim[i]).component);
  }
  // An owner's key and a forbidden entry count.
  image.forbidden = no_list();
  const auto other = measure::read_shim(*image.source(), codec::decode_pe(*image.source()).value()).value();
  CHECK(measure::shim_state_events(shim, no_list())[0].digests != predicted[0].digests);
  CHECK(measure::shim_state_events(other, {})[1].digests != predicted[1].digests);
}

TEST_CASE("boot chain: a digest in db or MokList lets a second stage start, db first") {
  const auto image = with_vendor(no_list());
  const auto file = image.source();
  const auto shim = measure::read_shim(*file, codec::decode_pe(*file).value()).value();
  const PeImage second;
  const auto pe = second.decode().value();
  const auto source = second.source();
  const auto digests = measure::authenticode_digests(*source, pe, predicted_banks).value();
  const auto list = codec::encode_signature_lists(
      {{codec::efi_cert_sha256_guid, {}, {{measure::shim_lock_guid, Buffer(digests.at(HashAlg::sha256))}}}});
  const measure::JudgedFile judged{"the UKI", *source, pe, digests};
  CHECK(measure::shim_authority_event(shim, judged, {}, list).value().cause == "MokListRT authority");
  CHECK(measure::shim_authority_event(shim, judged, list, list).value().cause == "db authority");
  CHECK(measure::shim_authority_event(shim, judged, {}, {}).error().code == ErrorCode::crypto);
}
