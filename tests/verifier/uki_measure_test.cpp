#include <catch2/catch.hpp>

#include "boot_vectors.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/measure/uki.hpp"

using namespace ingot;

namespace {

struct Section {
  std::string name;
  Buffer content;
  std::uint32_t virtual_size;  ///< 0: the content's size
};

Section section(std::string name, std::string_view text, std::uint32_t virtual_size = 0) {
  return {std::move(name), to_buffer(as_bytes(text)), virtual_size};
}

/// A PE file with these sections, each at 64 KiB of memory of its own.
SharedSource pe_with(const std::vector<Section>& sections) {
  constexpr std::uint32_t headers = 0x1000;
  Writer out;
  out.text("MZ").fill(58).u32le(0x80).fill(0x80 - 64);
  out.u32le(0x00004550)
      .u16le(0x8664)
      .u16le(static_cast<std::uint16_t>(sections.size()))
      .fill(12)
      .u16le(240)
      .u16le(0x22E);
  out.u16le(0x020B)
      .fill(30)
      .u32le(0x1000)
      .u32le(0x200)
      .fill(16)
      .u32le(0x1000000)
      .u32le(headers)
      .fill(44)
      .u32le(16)
      .fill(16 * 8);
  std::uint32_t raw = headers, memory = 0x10000;
  Writer contents;
  for (const auto& one : sections) {
    const auto size = static_cast<std::uint32_t>((one.content.size() + 511) / 512 * 512);
    out.text(one.name).fill(8 - one.name.size());
    out.u32le(one.virtual_size != 0 ? one.virtual_size : static_cast<std::uint32_t>(one.content.size()))
        .u32le(memory)
        .u32le(size)
        .u32le(raw);
    out.fill(12).u32le(0x40000040);
    contents.bytes(one.content).align(512, 0xEE);
    raw += size;
    memory += 0x10000;
  }
  out.fill(headers - out.size()).bytes(contents.view());
  return memory_source(out.take());
}

std::vector<Section> uki_sections() {
  return {section(".sdmagic", "#### LoaderInfo: systemd-stub 257.9-1~deb13u1 ####\0"),
          section(".cmdline", "quiet root=x"), section(".linux", "kernel"), section(".initrd", "initrd")};
}

std::vector<ExpectedEvent> events_of(const std::vector<ExpectedEvent>& events, PcrIndex pcr) {
  std::vector<ExpectedEvent> out;
  for (const auto& event : events)
    if (event.pcr == pcr) out.push_back(event);
  return out;
}

Result<std::vector<ExpectedEvent>> measured(const std::vector<Section>& sections) {
  const auto file = pe_with(sections);
  return measure::section_events(*file, TRY(codec::decode_pe(*file)));
}

Buffer sha256_of(std::string_view text) { return crypto::sha256(as_bytes(text)); }

}  // namespace

TEST_CASE("stub version: the number that .sdmagic starts with") {
  const std::pair<std::string, std::uint32_t> good[] = {
      {"257.9-1~deb13u1", 257}, {"252.39-1~deb12u1", 252}, {"258~rc1-2", 258}, {"257", 257}};
  for (const auto& [text, version] : good) {
    const auto file =
        pe_with({section(".sdmagic", "#### LoaderInfo: systemd-stub " + text + " ####" + std::string(3, '\0'))});
    CHECK(measure::stub_version(*file, codec::decode_pe(*file).value()).value() == version);
  }
  for (const char* text : {"", "#### LoaderInfo: systemd-boot 257 ####", "#### LoaderInfo: systemd-stub v257 ####",
                           "#### LoaderInfo: systemd-stub 257", "#### LoaderInfo: systemd-stub 99999999999 ####",
                           "#### LoaderInfo: systemd-stub 0 ####"}) {
    const auto file = pe_with({section(".sdmagic", text, 100)});
    CHECK_FALSE(measure::stub_version(*file, codec::decode_pe(*file).value()));
  }
  const auto none = pe_with({section(".text", "x")});
  CHECK(measure::stub_version(*none, codec::decode_pe(*none).value()).error().code == ErrorCode::unsupported);
}

TEST_CASE("measured sections: only versions whose order is known") {
  using Names = std::vector<std::string>;
  CHECK(measure::measured_sections(252).value() ==
        Names{".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".pcrpkey"});
  CHECK(measure::measured_sections(255).value() ==
        Names{".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey"});
  CHECK(measure::measured_sections(257).value().at(4) == ".ucode");
  for (const std::uint32_t version : {0u, 251u, 258u, 300u})
    CHECK(measure::measured_sections(version).error().code == ErrorCode::unsupported);
}

TEST_CASE("section events: name with NUL, then what is in memory") {
  auto sections = uki_sections();
  sections.push_back(section(".uname", "6.12", 6));  // memory shows more of the file than was meant
  sections.push_back(section(".osrel", "ID=x\nPRETTY_NAME=\"X 1\"\n"));
  sections.push_back(section(".sbat", "sbat,1 and more", 6));  // the file has more than memory shows
  sections.push_back(section(".pcrsig", "{}"));                // never measured
  const auto events = measured(sections).value();
  const std::pair<const char*, std::string> wanted[] = {
      {".linux", "kernel"},         {".osrel", "ID=x\nPRETTY_NAME=\"X 1\"\n"},
      {".cmdline", "quiet root=x"}, {".initrd", "initrd"},
      {".uname", "6.12\xEE\xEE"},   {".sbat", "sbat,1"}};
  REQUIRE(events.size() == 2 * std::size(wanted));
  for (std::size_t i = 0; i < std::size(wanted); ++i) {
    const std::string name = wanted[i].first;
    CHECK(events[2 * i].digests.at(HashAlg::sha256) == sha256_of(std::string_view(name.c_str(), name.size() + 1)));
    CHECK(events[2 * i + 1].digests.at(HashAlg::sha256) == sha256_of(wanted[i].second));
    CHECK(events[2 * i + 1].digests.at(HashAlg::sha384) == crypto::hash(HashAlg::sha384, as_bytes(wanted[i].second)));
    CHECK(events[2 * i + 1].cause == name);
  }
  CHECK(events[3].text == "X 1");
  CHECK(events[5].text == "quiet root=x");
}

TEST_CASE("section events: what cannot be predicted is refused") {
  REQUIRE(measured(uki_sections()));
  const std::pair<const char*, Section> rows[] = {{"two command lines", section(".cmdline", "quiet init=/bin/sh")},
                                                  {"profiles", section(".profile", "ID=main")},
                                                  {"device trees to choose from", section(".dtbauto", "x")},
                                                  {"hardware ids", section(".hwids", "x")}};
  for (const auto& [defect, extra] : rows) {
    INFO(defect);
    auto sections = uki_sections();
    sections.push_back(extra);
    CHECK_FALSE(measured(sections));
  }
  auto sections = uki_sections();
  sections.erase(sections.begin() + 1);
  CHECK(measured(sections).error().message.find(".cmdline") != std::string::npos);
  sections = uki_sections();
  sections.erase(sections.begin() + 2);
  CHECK(measured(sections).error().message.find(".linux") != std::string::npos);
}

TEST_CASE("section events: large sections are hashed as small ones are") {
  auto sections = uki_sections();
  sections[3].content = Buffer(40960, 7);
  sections[3].virtual_size = 9u << 20;
  Buffer loaded = sections[3].content;
  loaded.resize(9u << 20, 0);
  const auto events = measured(sections).value();
  CHECK(events.back().digests == crypto::hash_banks(loaded));
}

TEST_CASE("phases: values after each one, on top of the sections") {
  const auto sections = measured(uki_sections()).value();
  const auto values = measure::phase_values(sections, {"enter-initrd", "leave-initrd"}).value();
  REQUIRE(values.size() == 2);
  CHECK(values[0].phase_path == "enter-initrd");
  CHECK(values[1].phase_path == "enter-initrd:leave-initrd");
  const auto before = measure::replay_expected(sections, {}).at(HashAlg::sha256).at(11);
  const auto first = codec::extend(HashAlg::sha256, before, sha256_of("enter-initrd"));
  CHECK(values[0].value.at(HashAlg::sha256) == first);
  CHECK(values[1].value.at(HashAlg::sha256) == codec::extend(HashAlg::sha256, first, sha256_of("leave-initrd")));
}

TEST_CASE("replay of expected events: optional blocks are not taken, PCRs without events start at zero") {
  std::vector<ExpectedEvent> events = {{4, EventType::EV_ACTION, crypto::hash_banks(as_bytes("a")), "a", "", ""},
                                       {4, EventType::EV_ACTION, crypto::hash_banks(as_bytes("b")), "b", "", "block"}};
  constexpr PcrIndex also[] = {12};
  auto values = measure::replay_expected(events, also);
  CHECK(values.at(HashAlg::sha256).at(4) == codec::extend(HashAlg::sha256, Buffer(32, 0), sha256_of("a")));
  CHECK(values.at(HashAlg::sha384).at(12) == Buffer(48, 0));
  events[0].digests.erase(HashAlg::sha384);
  CHECK_FALSE(measure::replay_expected(events, also).contains(HashAlg::sha384));
}

TEST_CASE("kernel command line: as systemd-stub hands it on") {
  const std::pair<std::string, std::string> rows[] = {{"quiet", "quiet"},   {"  quiet  \n", "quiet"},
                                                      {"a\tb\nc", "a b c"}, {std::string("a\0b", 3), "a"},
                                                      {"a  b", "a  b"},     {"", ""},
                                                      {" \n\t", ""},        {"a\x7F", "a"}};
  for (const auto& [section_text, line] : rows) CHECK(measure::kernel_command_line(as_bytes(section_text)) == line);
}

TEST_CASE("uki events: PCR 4, 9 and 11 and nothing else") {
  const auto events = measure::uki_events(*pe_with(uki_sections()), {"enter-initrd"}).value();
  for (const PcrIndex pcr : {12u, 13u, 14u}) CHECK(events_of(events, pcr).empty());
  const auto boot = events_of(events, 4);
  REQUIRE(boot.size() == 5);
  CHECK(boot[0].digests.at(HashAlg::sha256) == sha256_of("Calling EFI Application from Boot Option"));
  CHECK(boot[4].cause == "UKI");
  CHECK(events_of(events, 11).back().cause == "phase enter-initrd");
}

TEST_CASE("load options: UTF-16 with NUL; what is not ASCII is refused") {
  const auto events = measure::uki_events(*pe_with(uki_sections()), {}).value();
  auto utf16 = to_utf16le("quiet root=x");
  utf16.insert(utf16.end(), 2, 0);
  CHECK(events_of(events, 9).at(0).digests.at(HashAlg::sha256) == crypto::sha256(utf16));
  auto sections = uki_sections();
  sections[1] = section(".cmdline", "quiet \xC3\xA9");
  CHECK_FALSE(measure::uki_events(*pe_with(sections), {}));
}

TEST_CASE("initrd: alone it is measured as it is, with others each part is padded to 4 bytes") {
  const auto initrd = [](const std::vector<Section>& sections) {
    return events_of(measure::uki_events(*pe_with(sections), {}).value(), 9).at(1).digests.at(HashAlg::sha256);
  };
  auto sections = uki_sections();
  CHECK(initrd(sections) == sha256_of("initrd"));
  sections.push_back(section(".ucode", "u"));
  CHECK(initrd(sections) == sha256_of(std::string_view("u\0\0\0initrd\0\0", 12)));
}

TEST_CASE("initrd: embedded files are newc archives in systemd-stub's own form") {
  auto sections = uki_sections();
  sections.push_back(section(".pcrsig", "{}"));
  // cpio's own reading of this archive: /.extra (0555), /.extra/tpm2-pcr-signature.json (0444, "{}").
  const std::string archive = std::string("initrd\0\0", 8) +
                              "070701"
                              "00000001"
                              "0000416d"
                              "00000000"
                              "00000000"
                              "00000001"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000007"
                              "00000000"
                              ".extra" +
                              std::string(4, '\0') +
                              "070701"
                              "00000002"
                              "00008124"
                              "00000000"
                              "00000000"
                              "00000001"
                              "00000000"
                              "00000002"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000000"
                              "0000001f"
                              "00000000"
                              ".extra/tpm2-pcr-signature.json" +
                              std::string(4, '\0') + "{}" + std::string(2, '\0') +
                              "070701"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000001"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000000"
                              "00000000"
                              "0000000B"
                              "00000000"
                              "TRAILER!!!" +
                              std::string(4, '\0');
  CHECK(events_of(measure::uki_events(*pe_with(sections), {}).value(), 9).at(1).digests.at(HashAlg::sha256) ==
        sha256_of(archive));
}
