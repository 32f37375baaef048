// Names of TPM response codes. The oracle is tpm2_rc_decode of tpm2-tools.
#include "ingot/codec/tpm_response.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "ingot/builder/process.hpp"

using namespace ingot;

namespace {

/// tpm2_rc_decode: "tpm:handle(1):the handle is not correct for the use" or "tpm:warn(2.0): ...".
std::string decoded_by_tool(std::uint32_t code) {
  const auto done = builder::run_checked({.argv = {"tpm2_rc_decode", fmt::format("0x{:x}", code)}});
  return done ? std::string(as_text(done->output)) : "error: " + describe(done.error());
}

struct Row {
  std::uint32_t code;
  const char* ours;
  const char* tool;  ///< words of the tool that say the same
};

}  // namespace

TEST_CASE("TPM response codes: name and argument, as tpm2_rc_decode has them") {
  const Row row = GENERATE(values<Row>({
      {0x100, "TPM_RC_INITIALIZE (0x100)", "TPM not initialized"},
      {0x101, "TPM_RC_FAILURE (0x101)", "commands not being accepted because of a TPM failure"},
      {0x120, "TPM_RC_DISABLED (0x120)", "command is disabled"},
      {0x149, "TPM_RC_NV_AUTHORIZATION (0x149)", "NV access authorization fails"},
      {0x14A, "TPM_RC_NV_UNINITIALIZED (0x14a)", "an NV Index is used before being initialized"},
      {0x18B, "TPM_RC_HANDLE (handle 1, 0x18b)", "tpm:handle(1):the handle is not correct for the use"},
      {0x1C4, "TPM_RC_VALUE (parameter 1, 0x1c4)", "tpm:parameter(1):value is out of range"},
      {0x2D5, "TPM_RC_SIZE (parameter 2, 0x2d5)", "tpm:parameter(2):structure is the wrong size"},
      {0x98E, "TPM_RC_AUTH_FAIL (session 1, 0x98e)", "tpm:session(1):the authorization HMAC check failed"},
      {0x9A2, "TPM_RC_BAD_AUTH (session 1, 0x9a2)", "tpm:session(1):authorization failure without DA implications"},
      {0x902, "TPM_RC_OBJECT_MEMORY (0x902)", "out of memory for object contexts"},
      {0x921, "TPM_RC_LOCKOUT (0x921)", "lockout mode"},
      {0x922, "TPM_RC_RETRY (0x922)", "the TPM was not able to start the command"},
  }));
  INFO(fmt::format("0x{:x}", row.code));
  CHECK(codec::tpm_response_text(row.code) == row.ours);
  const auto theirs = decoded_by_tool(row.code);
  INFO(theirs);
  CHECK(theirs.find(row.tool) != std::string::npos);
}

TEST_CASE("TPM response codes: what has no name is a number") {
  CHECK(codec::tpm_response_text(0x0) == "0x000");
  CHECK(codec::tpm_response_text(0x1BF) == "0x1bf");
  CHECK(codec::tpm_response_text(0xFFFFFFFF).find("TPM_RC_") == std::string::npos);
}

TEST_CASE("TPM response codes: retries and unknown handles") {
  for (const std::uint32_t code : {0x908u, 0x90Au, 0x922u}) CHECK(codec::tpm_asks_for_retry(code));
  for (const std::uint32_t code : {0x0u, 0x100u, 0x101u, 0x18Bu, 0x921u}) CHECK_FALSE(codec::tpm_asks_for_retry(code));
  for (const std::uint32_t code : {0x08Bu, 0x18Bu, 0x28Bu}) CHECK(codec::tpm_knows_no_such_handle(code));
  for (const std::uint32_t code : {0x1CBu, 0x10Bu, 0x18Cu}) CHECK_FALSE(codec::tpm_knows_no_such_handle(code));
}
