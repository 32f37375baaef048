// swtpm's log of its commands. The lines are of swtpm 0.7.1 under Debian 12's OVMF.
#include <catch2/catch.hpp>

#include "ingot/rig/firmware_run.hpp"

using namespace ingot;

namespace {

const std::string startup = R"( SWTPM_IO_Read: length 12
 80 01 00 00 00 0C 00 00 01 44 00 00 
 SWTPM_IO_Write: length 10
 80 01 00 00 00 0A 00 00 00 00 
)";
const std::string extend = R"( SWTPM_IO_Read: length 203
 80 02 00 00 00 CB 00 00 01 82 00 00 00 00 00 00 
 00 09 40 00 00 09 00 00 00 00 00 00 00 00 04 00 
 04 14 89 F9 23 C4 DC A7 29 17 8B 3E 32 33 45 85 
 50 D8 DD DF 29 00 0B 96 A2 96 D2 24 F2 85 C6 7B 
 EE 93 C3 0F 8A 30 91 57 F0 DA A3 5D C5 B8 7E 41 
 0B 78 63 0A 09 CF C7 00 0C 1D D6 F7 B4 57 AD 88 
 0D 84 0D 41 C9 61 28 3B AB 68 8E 94 E4 B5 93 59 
 EA 45 68 65 81 E9 0F EC CE A3 C6 24 B1 22 61 13 
 F8 24 F3 15 EB 60 AE 0A 7C 00 0D 5E A7 1D C6 D0 
 B4 F5 7B F3 9A AD D0 7C 20 8C 35 F0 6C D2 BA C5 
 FD E2 10 39 7F 70 DE 11 D4 39 C6 2E C1 CD F3 18 
 37 58 86 5F D3 87 FC EA 0B AD A2 F6 C3 7A 4A 17 
 85 1D D1 D7 8F EF E6 F2 04 EE 54 
)";
const std::string response = R"( SWTPM_IO_Write: length 19
 80 02 00 00 00 13 00 00 00 00 00 00 00 00 00 00 
 01 00 00 
)";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

TEST_CASE("TPM log: extends of the predicted banks, in order") {
  const auto all = rig::read_extensions(startup + extend + response + extend + response).value();
  REQUIRE(all.size() == 2);
  CHECK(all[0] == all[1]);
  CHECK(all[0].pcr == 0);
  REQUIRE(all[0].digests.size() == 2);
  // printf '\0\0' | sha256sum, sha384sum: an empty version, UCS-2 with its NUL.
  CHECK(to_hex(all[0].digests.at(HashAlg::sha256)) ==
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
  CHECK(to_hex(all[0].digests.at(HashAlg::sha384)).starts_with("1dd6f7b457ad880d840d41c961283bab688e94e4b593"));
}

TEST_CASE("TPM log: one that is being written ends where its last command is not whole") {
  const auto whole = startup + extend + response + extend;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    const auto all = rig::read_extensions(std::string_view(whole).substr(0, size));
    REQUIRE(all);
    CHECK(all->size() == (size >= (startup + extend).size() ? 1u : 0u));
  }
}

TEST_CASE("TPM log: an extend that is none is an error") {
  for (const auto& [from, to] : {std::pair{"00 00 00 00 04 00 ", "00 00 00 00 14 00 "},  // 20 digests
                                 {"00 00 00 00 04 00 ", "00 00 00 00 05 00 "},           // one more than there are
                                 {"00 00 00 00 04 00 ", "00 00 00 00 03 00 "},           // one less
                                 {"\n 04 14 89", "\n 07 14 89"},                         // no hash algorithm
                                 {"length 203", "length 99999"},
                                 {"length 203", "length x"}}) {
    INFO(from << " -> " << to);
    const auto result = rig::read_extensions(replaced(extend, from, to));
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::malformed);
  }
}
