// The execution policy, as openssl reads it: it is signed by db's key over exactly this text, and the same each time.
// That the kernel takes it, and what it then refuses, is for tests/rig to see.
#include "ingot/builder/execution_policy.hpp"

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/signer/sign.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;

TEST_CASE("execution policy: openssl makes the same bytes, and finds db's signature in them, for db's key alone") {
  const auto folder = scratch();
  const auto keys = signer::init_keys(folder.path() + "/keys").value();
  const auto db = signer::SigningKey::load(keys.key("db"), keys.certificate("db")).value();
  const auto text = builder::execution_policy(std::string(64, 'a'), 0x1'0002'0003);
  const auto policy = signer::sign_ipe_policy(text, db).value();
  CHECK(policy == signer::sign_ipe_policy(text, db).value());
  REQUIRE(write_file(folder.path() + "/policy", as_bytes(text)));
  output_of({"openssl", "smime", "-sign", "-binary", "-nodetach", "-noattr", "-nocerts", "-md", "sha256", "-outform",
             "DER", "-in", folder.path() + "/policy", "-signer", keys.certificate("db"), "-inkey", keys.key("db"),
             "-out", folder.path() + "/theirs.p7b"});
  CHECK(policy == read_file(folder.path() + "/theirs.p7b", 1u << 20).value());
  const auto path = folder.path() + "/policy.p7b";
  REQUIRE(write_file(path, policy));
  const auto verify = [&](const std::string& certificate) {
    return run_tool({"openssl", "smime", "-verify", "-binary", "-inform", "DER", "-in", path, "-certfile", certificate,
                     "-nointern", "-noverify"});
  };
  const auto good = verify(keys.certificate("db"));
  CHECK(good.exit_code == 0);
  CHECK(std::string(as_text(good.output)) == text);
  CHECK(verify(keys.certificate("KEK")).exit_code != 0);
}

TEST_CASE("execution policy: nothing by default, the initrd and the root by name") {
  const auto text = builder::execution_policy(std::string(64, 'b'), 0x1'0002'0003);
  CHECK(text.starts_with("policy_name=ingot policy_version=1.2.3\nDEFAULT action=DENY\n"));
  for (const std::string operation : {"EXECUTE", "KMODULE", "FIRMWARE", "POLICY"}) {
    CHECK(text.find("op=" + operation + " boot_verified=TRUE action=ALLOW\n") != std::string::npos);
    CHECK(text.find("op=" + operation + " dmverity_roothash=sha256:" + std::string(64, 'b') + " action=ALLOW\n") !=
          std::string::npos);
  }
  CHECK(text.find("KEXEC") == std::string::npos);
}

TEST_CASE("execution policy: a key that is not RSA is refused") {
  const auto folder = scratch();
  const auto keys = signer::init_keys(folder.path() + "/keys").value();
  const auto verdict = signer::SigningKey::load(keys.key("verdict")).value();
  CHECK(!signer::sign_ipe_policy("policy_name=a policy_version=0.0.0\n", verdict));
}
