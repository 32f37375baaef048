#include "ingot/codec/variable_store.hpp"

#include <catch2/catch.hpp>

#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "store_image.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

using test::empty_store;
constexpr std::size_t volume_header = test::store_volume_header;
constexpr std::size_t first_variable = test::store_first_variable;
constexpr std::size_t store_end = test::store_end;

std::vector<Variable> example() {
  return {{"PK", efi_global_variable_guid, 0x27, {2024, 2, 29, 23, 59, 58}, {1, 2, 3, 4, 5}},
          {"Name é", efi_custom_mode_enable_guid, 0x03, {}, {0}},
          {"db", efi_image_security_database_guid, 0x27, {2025, 1, 1, 0, 0, 0}, Buffer(100, 0x30)}};
}

Buffer flash_with(const std::vector<Variable>& variables) { return write_variables(empty_store(), variables).value(); }

}  // namespace

TEST_CASE("variable store: what is written is read, and every other byte stays") {
  const auto before = empty_store();
  CHECK(decode_variable_store(before)->empty());
  const auto after = write_variables(before, example());
  REQUIRE(after);
  CHECK(decode_variable_store(*after) == example());
  REQUIRE(after->size() == before.size());
  const std::size_t written = 60 + 6 + 5 + 1 + 60 + 14 + 1 + 1 + 60 + 6 + 100 + 2;
  CHECK(std::equal(before.begin(), before.begin() + first_variable, after->begin()));
  CHECK(std::equal(before.begin() + first_variable + written, before.end(), after->begin() + first_variable + written));
  CHECK(write_variables(before, {}) == before);
}

TEST_CASE("variable store: the record is edk2's AUTHENTICATED_VARIABLE_HEADER") {
  const auto flash = flash_with({example()[0]});
  const std::string record = to_hex(Bytes(flash).subspan(first_variable, 72));
  CHECK(record == std::string("aa553f00"
                              "27000000"
                              "0000000000000000") +
                      "e807021d"
                      "173b3a00"
                      "00000000"
                      "00000000" +
                      "00000000"
                      "06000000"
                      "05000000"
                      "61dfe48bca93d211aa0d00e098032b8c"
                      "50004b000000"
                      "0102030405"
                      "ff");
}

TEST_CASE("variable store: variables are added behind those that are there") {
  auto flash = flash_with({example()[0], example()[1]});
  const auto more = write_variables(flash, {example()[2]});
  REQUIRE(more);
  CHECK(decode_variable_store(*more) == example());
}

TEST_CASE("variable store: the state says which variables live") {
  struct Row {
    const char* name;
    std::uint8_t first, second;  ///< states of two records of one variable
    std::vector<Buffer> live;    ///< their data
  };
  const Row rows[] = {
      {"both added, which firmware never leaves behind", 0x3F, 0x3F, {{1}, {2}}},
      {"the first deleted", 0x3D, 0x3F, {{2}}},
      {"the first in transition, the new one whole", 0x3E, 0x3F, {{2}}},
      {"the first in transition, the new one cut off", 0x3E, 0x7F, {{1}}},
      {"the first in transition, the new one's header cut off", 0x3E, 0xFF, {{1}}},
      {"both deleted", 0x3C, 0x3D, {}},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    auto flash = flash_with({{"v", efi_global_variable_guid, 3, {}, {1}}});
    const std::size_t size = 60 + 4 + 1 + 3;
    Buffer second(flash.begin() + first_variable, flash.begin() + first_variable + size);
    std::copy(second.begin(), second.end(), flash.begin() + first_variable + size);
    flash[first_variable + 2] = row.first;
    flash[first_variable + size + 2] = row.second;
    flash[first_variable + size + 64] = 2;
    const auto variables = decode_variable_store(flash);
    REQUIRE(variables);
    std::vector<Buffer> live;
    for (const auto& variable : *variables) live.push_back(variable.data);
    CHECK(live == row.live);
  }
}

TEST_CASE("variable store: damage is an error that says what it is") {
  struct Row {
    const char* name;
    void (*damage)(Buffer&);
    ErrorCode code;
    const char* said;
  };
  constexpr auto malformed = ErrorCode::malformed;
  const auto put32 = [](Buffer& b, std::size_t at, std::uint32_t value) {
    const auto bytes = Writer{}.u32le(value).take();
    std::copy(bytes.begin(), bytes.end(), b.begin() + static_cast<std::ptrdiff_t>(at));
  };
  static const auto put = put32;
  const Row rows[] = {
      {"another kind of volume", [](Buffer& b) { b[16] ^= 1; }, malformed, "no firmware volume"},
      {"no _FVH", [](Buffer& b) { b[40] = 'X'; }, malformed, "no firmware volume"},
      {"volume larger than the file", [](Buffer& b) { put(b, 32, 4097); }, malformed, "truncated"},
      {"volume of 16 EiB", [](Buffer& b) { put(b, 36, 0xFFFFFFFF); }, malformed, "truncated"},
      {"volume header larger than the volume", [](Buffer& b) { b[49] = 0xFF; }, malformed, "truncated"},
      {"volume header of 0 bytes", [](Buffer& b) { b[48] = 0; }, malformed, "truncated"},
      {"volume header of odd size", [](Buffer& b) { b[48] = volume_header + 2; }, malformed, "unaligned"},
      {"volume header changed", [](Buffer& b) { b[60] ^= 1; }, malformed, "checksum"},
      {"another kind of store", [](Buffer& b) { b[volume_header] ^= 1; }, ErrorCode::unsupported, "authenticated"},
      {"not formatted", [](Buffer& b) { b[volume_header + 20] = 0xFF; }, malformed, "formatted"},
      {"not healthy", [](Buffer& b) { b[volume_header + 21] = 0xFF; }, malformed, "healthy"},
      {"store larger than the volume", [](Buffer& b) { put(b, volume_header + 16, 4096); }, malformed,
       "leaves its volume"},
      {"store of 4 GiB", [](Buffer& b) { put(b, volume_header + 16, 0xFFFFFFFF); }, malformed, "leaves its volume"},
      {"store smaller than its header", [](Buffer& b) { put(b, volume_header + 16, 27); }, malformed,
       "leaves its volume"},
      {"store that ends inside a variable", [](Buffer& b) { put(b, volume_header + 16, 28 + 63); }, malformed,
       "truncated: a variable"},
      {"store that ends inside a header", [](Buffer& b) { put(b, volume_header + 16, 28 + 10); }, malformed,
       "truncated: a variable"},
      {"name of 4 GiB", [](Buffer& b) { put(b, first_variable + 36, 0xFFFFFFFE); }, malformed, "truncated: a variable"},
      {"data of 4 GiB", [](Buffer& b) { put(b, first_variable + 40, 0xFFFFFFFF); }, malformed, "truncated: a variable"},
      {"name and data that overflow together",
       [](Buffer& b) {
         put(b, first_variable + 36, 0x80000000);
         put(b, first_variable + 40, 0x80000000);
       },
       malformed, "truncated: a variable"},
      {"name of odd size", [](Buffer& b) { put(b, first_variable + 36, 5); }, malformed, "name"},
      {"name without its NUL", [](Buffer& b) { b[first_variable + 60 + 4] = 'x'; }, malformed, "name"},
      {"no name", [](Buffer& b) { put(b, first_variable + 36, 2); }, malformed, "name"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    auto flash = flash_with(example());
    row.damage(flash);
    const auto variables = decode_variable_store(flash);
    REQUIRE_FALSE(variables);
    CHECK(variables.error().code == row.code);
    CHECK_THAT(variables.error().message, Catch::Contains(row.said));
    CHECK_FALSE(write_variables(flash, {}));
  }
}

TEST_CASE("variable store: no prefix of a volume is one") {
  const auto flash = flash_with(example());
  for (std::size_t size = 0; size < flash.size(); ++size) {
    const auto variables = decode_variable_store(Bytes(flash).first(size));
    if (variables) FAIL("a prefix of " << size << " bytes was taken");
    if (variables.error().code != ErrorCode::malformed) FAIL(describe(variables.error()));
  }
}

TEST_CASE("variable store: what cannot be written is refused") {
  struct Row {
    const char* name;
    std::vector<Variable> variables;
    ErrorCode code;
  };
  const auto named = [](std::string name) { return Variable{std::move(name), efi_global_variable_guid, 3, {}, {1}}; };
  auto elsewhere = named("PK");
  elsewhere.guid = efi_custom_mode_enable_guid;
  auto without_data = named("x");
  without_data.data.clear();
  auto large = named("x");
  large.data = Buffer(0x800);
  const Row rows[] = {
      {"no name", {named("")}, ErrorCode::usage},
      {"a NUL in the name", {named(std::string("a\0b", 3))}, ErrorCode::usage},
      {"a name too long", {named(std::string(1024, 'n'))}, ErrorCode::usage},
      {"no data, which means deleted", {without_data}, ErrorCode::usage},
      {"one that is there", {named("PK")}, ErrorCode::usage},
      {"the same twice", {named("x"), named("x")}, ErrorCode::usage},
      {"too large", {large}, ErrorCode::limit},
      {"too many",
       std::vector<Variable>{[&] {
                               auto v = named("a");
                               v.data = Buffer(950);
                               return v;
                             }(),
                             [&] {
                               auto v = named("b");
                               v.data = Buffer(950);
                               return v;
                             }()},
       ErrorCode::limit},
  };
  const auto flash = flash_with({example()[0]});
  for (const auto& row : rows) {
    INFO(row.name);
    const auto written = write_variables(flash, row.variables);
    REQUIRE_FALSE(written);
    CHECK(written.error().code == row.code);
  }
  CHECK(write_variables(flash, {elsewhere}));
}

TEST_CASE("variable store: one that fits to the last byte is taken, one byte more is not") {
  const std::size_t room = store_end - first_variable;
  Variable variable{"v", efi_global_variable_guid, 3, {}, Buffer(room - 60 - 4, 9)};
  const auto full = write_variables(empty_store(), {variable});
  REQUIRE(full);
  CHECK(decode_variable_store(*full) == std::vector<Variable>{variable});
  CHECK(write_variables(*full, {example()[1]}).error().code == ErrorCode::limit);
  variable.data.push_back(9);
  CHECK(write_variables(empty_store(), {variable}).error().code == ErrorCode::limit);
}

TEST_CASE("variable store: flash that is not erased is not written over") {
  auto flash = empty_store();
  flash[first_variable + 30] = 0xFE;
  CHECK(write_variables(flash, {example()[0]}).error().code == ErrorCode::malformed);
}

TEST_CASE("variable store: Debian's stores are read, and its empty ones enrolled as its enrolled ones are") {
  for (const char* kind : {"", "_4M"}) {
    const std::string base = std::string("/usr/share/OVMF/OVMF_VARS") + kind;
    const auto empty = read_file(base + ".fd", 16u << 20);
    const auto enrolled = read_file(base + ".ms.fd", 16u << 20);
    if (!empty || !enrolled) {
      WARN("skipped: package ovmf is not installed");
      return;
    }
    INFO(base);
    CHECK(decode_variable_store(*empty)->empty());
    const auto theirs = decode_variable_store(*enrolled).value();
    const auto find = [&](const std::string& name) -> const Variable& {
      for (const auto& variable : theirs)
        if (variable.name == name) return variable;
      FAIL("Debian's store has no " << name);
      return theirs[0];
    };
    const auto ours =
        secure_boot_variables({find("PK").data, find("KEK").data, find("db").data, find("dbx").data, find("PK").time});
    REQUIRE(ours.size() == 7);
    for (const auto& variable : ours) {
      INFO(variable.name);
      auto wanted = find(variable.name);
      if (wanted.attributes == 0x27) wanted.time = variable.time;  // dbx was enrolled at another second
      CHECK(variable == wanted);
    }
    const auto written = write_variables(*empty, ours);
    REQUIRE(written);
    CHECK(decode_variable_store(*written) == ours);
  }
}

TEST_CASE("variable store: lists that are empty are not enrolled") {
  const auto variables = secure_boot_variables({{1}, {2}, {3}, {}, {}});
  CHECK(variables.size() == 6);
  for (const auto& variable : variables) CHECK(variable.name != "dbx");
}
