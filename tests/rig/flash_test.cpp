// Firmware layouts. The oracle is what Debian's ovmf package ships: its stores, and its builds with and without SMM.
#include "../../qemu/flash.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/variable_store.hpp"

using namespace ingot;
namespace fs = std::filesystem;

namespace {

const std::string ovmf = "/usr/share/OVMF/";
constexpr std::uint64_t cap = 64u << 20;

struct Fixture {
  builder::TemporaryFolder folder = builder::TemporaryFolder::create(fs::temp_directory_path(), "ingot-test-").value();
  std::string vars = folder.path() + "/VARS.fd";

  Result<rig::Flash> prepare(const std::string& firmware, const std::string& from) {
    return rig::prepare_flash(firmware, from, vars, folder.path());
  }
};

}  // namespace

TEST_CASE("flash: an empty store is byte for byte the one that the ovmf package ships") {
  for (const auto* name : {"OVMF_VARS.fd", "OVMF_VARS_4M.fd"}) {
    INFO(name);
    const auto shipped = read_file(ovmf + name, cap).value();
    CHECK(rig::empty_variable_store(shipped.size()).value() == shipped);
  }
  CHECK(rig::empty_variable_store(12345).error().code == ErrorCode::unsupported);
}

TEST_CASE("flash: each shipped build is told from the next") {
  struct Row {
    const char* firmware;
    const char* vars;
    bool smm;
  };
  const Row row = GENERATE(values<Row>({{"OVMF_CODE.fd", "OVMF_VARS.fd", false},
                                        {"OVMF_CODE.secboot.fd", "OVMF_VARS.ms.fd", true},
                                        {"OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", false},
                                        {"OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd", true}}));
  INFO(row.firmware);
  Fixture fixture;
  const auto flash = fixture.prepare(ovmf + row.firmware, ovmf + row.vars);
  REQUIRE(flash);
  CHECK(flash->smm == row.smm);
  CHECK(flash->code == ovmf + row.firmware);
  CHECK(read_file(flash->vars, cap).value() == read_file(ovmf + row.vars, cap).value());
}

TEST_CASE("flash: variables follow the firmware into another layout") {
  struct Row {
    const char* firmware;
    const char* vars;
    std::uint64_t size_bytes;
  };
  const Row row = GENERATE(values<Row>({{"OVMF_CODE.secboot.fd", "OVMF_VARS_4M.ms.fd", 0x20000},
                                        {"OVMF_CODE_4M.secboot.fd", "OVMF_VARS.ms.fd", 0x84000}}));
  INFO(row.firmware);
  Fixture fixture;
  const auto flash = fixture.prepare(ovmf + row.firmware, ovmf + row.vars);
  REQUIRE(flash);
  const auto written = read_file(flash->vars, cap).value();
  CHECK(written.size() == row.size_bytes);
  const auto before = codec::decode_variable_store(read_file(ovmf + row.vars, cap).value()).value();
  CHECK(before.size() >= 5);
  CHECK(codec::decode_variable_store(written).value() == before);
}

TEST_CASE("flash: one file with variables and code is split") {
  Fixture fixture;
  const auto flash = fixture.prepare("/usr/share/ovmf/OVMF.fd", ovmf + "OVMF_VARS.fd");
  REQUIRE(flash);
  const auto whole = read_file("/usr/share/ovmf/OVMF.fd", cap).value();
  CHECK(read_file(flash->code, cap).value() == to_buffer(Bytes(whole).subspan(0x20000)));
}

TEST_CASE("flash: a node's own variables are kept, and never handed to another layout") {
  Fixture fixture;
  REQUIRE(fixture.prepare(ovmf + "OVMF_CODE_4M.fd", ovmf + "OVMF_VARS_4M.ms.fd"));
  const auto first = read_file(fixture.vars, cap).value();
  REQUIRE(fixture.prepare(ovmf + "OVMF_CODE_4M.fd", ovmf + "OVMF_VARS_4M.fd"));
  CHECK(read_file(fixture.vars, cap).value() == first);
  const auto other = fixture.prepare(ovmf + "OVMF_CODE.fd", ovmf + "OVMF_VARS.fd");
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::usage);
}

TEST_CASE("flash: what is no firmware or no store is refused") {
  Fixture fixture;
  const std::string junk = fixture.folder.path() + "/junk";
  REQUIRE(write_file(junk, Buffer(1u << 20, 0x5A)));
  CHECK(fixture.prepare(junk, ovmf + "OVMF_VARS_4M.fd").error().code == ErrorCode::malformed);
  CHECK(fixture.prepare(ovmf + "OVMF_CODE_4M.fd", junk).error().code == ErrorCode::malformed);
  // Cut at a block boundary it still decodes as a volume or not at all; either way no layout of OVMF's fits it.
  auto code = read_file(ovmf + "OVMF_CODE_4M.fd", cap).value();
  code.resize(code.size() - 4096);
  REQUIRE(write_file(junk, code));
  CHECK_FALSE(fixture.prepare(junk, ovmf + "OVMF_VARS_4M.fd"));
  CHECK_FALSE(fs::exists(fixture.vars));
}
