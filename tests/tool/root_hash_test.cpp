// openssl as the judge of root hashes' signatures; the kernel's dm-verity takes what it makes.
#include "ingot/signer/sign.hpp"
#include "sign_lab.hpp"

using namespace ingot;
using namespace ingot::test;

TEST_CASE("root hash: its signature is the one that openssl makes, byte for byte") {
  const SignLab lab;
  lab.make_signer("db");
  const std::string hash(64, 'a');
  REQUIRE(write_file(lab.at("hash"), as_bytes(hash)));
  output_of({"openssl", "smime", "-sign", "-binary", "-noattr", "-nosmimecap", "-in", lab.at("hash"), "-signer",
             lab.at("db.crt"), "-inkey", lab.at("db.key"), "-outform", "DER", "-out", lab.at("theirs")});
  std::filesystem::permissions(lab.at("db.key"), std::filesystem::perms::owner_read);
  const auto key = signer::SigningKey::load(lab.at("db.key"), lab.at("db.crt")).value();
  CHECK(signer::sign_root_hash(hash, key).value() == bytes_of(lab.at("theirs")));
}
