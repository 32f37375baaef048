// Where the secrets of a volume that is made before its node are, and where they are not. Whoever has the private half
// of the storage root key can take them out of a header again: here the test has it.
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ingot/base/descriptor.hpp"
#include "ingot/crypto/agreement.hpp"
#include "ingot/crypto/kdf.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/signer/volume.hpp"
#include "volume_site.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

constexpr std::size_t key_bytes = 64, sector_bytes = 512, slot_sectors = 500;

struct KnownKey {
  codec::TpmPublic srk;
  Buffer private_number;
};

KnownKey known_key() {
  namespace attribute = codec::object_attribute;
  KnownKey made;
  made.private_number = crypto::random_bytes(32);
  made.private_number[0] = 1;  // below the order
  made.srk.attributes = attribute::fixed_tpm | attribute::fixed_parent | attribute::sensitive_data_origin |
                        attribute::user_with_auth | attribute::no_da | attribute::restricted | attribute::decrypt;
  // Any point will do to have the generator multiplied; this one is of key_vectors.hpp.
  codec::TpmEcc point{{codec::TpmAlg::aes, 128, codec::TpmAlg::cfb},
                      {},
                      codec::TpmCurve::p256,
                      parse_hex("14ed7b94cbcf33304abd27cadd86ebbf297253aef206bdff751995852b231a96").value(),
                      parse_hex("4c81904695c780b12820f202faebfc7e95915d49bd37faa3a1de84695620f1fc").value()};
  made.srk.key = point;
  const auto multiplied = crypto::agree(codec::public_key(made.srk).value(), made.private_number).value();
  point.x = multiplied.ephemeral_x;
  point.y = multiplied.ephemeral_y;
  made.srk.key = point;
  return made;
}

Buffer decrypt(const EVP_CIPHER* cipher, Bytes key, Bytes iv, Bytes encrypted) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  Buffer out(encrypted.size());
  int size = 0;
  REQUIRE(EVP_DecryptInit_ex(context, cipher, nullptr, key.data(), iv.data()) == 1);
  REQUIRE(EVP_DecryptUpdate(context, out.data(), &size, encrypted.data(), static_cast<int>(encrypted.size())) == 1);
  EVP_CIPHER_CTX_free(context);
  return out;
}

/// What TPM2_Import and TPM2_Unseal do (Part 1, "Outer Duplication Wrapper", undone).
Buffer unsealed(const KnownKey& key, Bytes blob) {
  Reader in{blob};
  const auto sized = [](Reader& from) { return from.bytes(from.u16be()); };
  Reader duplicate{sized(in)};
  const auto object = codec::decode_tpm_sealed_public(sized(in)).value();
  Reader point{sized(in)};
  auto ephemeral = key.srk;
  std::get<codec::TpmEcc>(ephemeral.key).x = to_buffer(sized(point));
  std::get<codec::TpmEcc>(ephemeral.key).y = to_buffer(sized(point));
  const auto& [x, y] = std::pair{std::get<codec::TpmEcc>(ephemeral.key).x, std::get<codec::TpmEcc>(key.srk.key).x};
  const auto z = crypto::agree(codec::public_key(ephemeral).value(), key.private_number).value();
  const auto seed = crypto::kdfe(HashAlg::sha256, z.z, "DUPLICATE", x, y, 256);
  const auto wrapper = crypto::kdfa(HashAlg::sha256, seed, "STORAGE", codec::sealed_name(object), {}, 128);
  (void)sized(duplicate);  // its HMAC
  const auto sensitive = decrypt(EVP_aes_128_cfb128(), wrapper, Buffer(16), duplicate.rest());
  Reader fields{sensitive};
  fields.skip(4);       // size, type
  (void)sized(fields);  // password
  (void)sized(fields);  // seedValue
  return to_buffer(sized(fields));
}

using Secrets = std::map<std::string, Buffer>;

/// Everything that must be nowhere, from a header. The volume key comes out of the stock cryptsetup.
Secrets secrets_of(const KnownKey& key, const std::string& path, const std::string& scratch_folder) {
  const auto header = read_file(path, signer::volume_header_bytes).value();
  const auto text = as_text(Bytes(header).subspan(4096, 12288));
  const auto document = nlohmann::json::parse(text.substr(0, text.find('\0')));
  const auto base64 = [](const nlohmann::json& value) { return parse_base64(value.get<std::string>()).value(); };
  Secrets out;
  out["sealed secret"] = unsealed(key, base64(document.at("tokens").at("0").at("tpm2-blob")));
  const auto passphrase = to_base64(out["sealed secret"]);
  out["passphrase"] = to_buffer(as_bytes(passphrase));
  const auto& slot = document.at("keyslots").at("0");
  const auto salt = base64(slot.at("kdf").at("salt"));
  auto& area_key = out["key of the key slot"];
  area_key.resize(key_bytes);
  PKCS5_PBKDF2_HMAC(passphrase.data(), static_cast<int>(passphrase.size()), salt.data(), static_cast<int>(salt.size()),
                    slot.at("kdf").at("iterations"),
                    EVP_get_digestbyname(slot.at("kdf").at("hash").get<std::string>().c_str()),
                    static_cast<int>(key_bytes), area_key.data());
  for (const std::size_t sector : {std::size_t{0}, slot_sectors - 1}) {
    Buffer iv(16);
    iv[0] = static_cast<std::uint8_t>(sector);
    iv[1] = static_cast<std::uint8_t>(sector >> 8);
    const auto area = std::stoul(slot.at("area").at("offset").get<std::string>());
    const auto plain =
        decrypt(EVP_aes_256_xts(), area_key, iv, Bytes(header).subspan(area + sector * sector_bytes, 512));
    out[sector == 0 ? "first stripe" : "last stripe"] =
        to_buffer(sector == 0 ? Bytes(plain).first(key_bytes) : Bytes(plain).last(key_bytes));
  }
  REQUIRE(write_file(scratch_folder + "/pass", out["passphrase"], 0600));
  output_of({"cryptsetup", "luksDump", "--batch-mode", "--dump-volume-key", "--key-file", scratch_folder + "/pass",
             "--volume-key-file", scratch_folder + "/key", path});
  out["volume key"] = read_file(scratch_folder + "/key", 1024).value();
  CHECK(out["volume key"].size() == key_bytes);
  std::filesystem::remove(scratch_folder + "/pass");
  std::filesystem::remove(scratch_folder + "/key");
  return out;
}

/// The writable memory of this process, searched for what is given as its complement: so that to look for it is not to
/// have it. A table apart from that memory holds what is looked at.
class Search {
 public:
  Search() : memory_(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC)) {
    table_ = static_cast<std::uint8_t*>(
        ::mmap(nullptr, table_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(table_ != MAP_FAILED);
  }
  ~Search() { ::munmap(table_, table_bytes); }
  std::size_t copies_of(const Buffer& complement) {
    std::uint8_t* needle = table_ + chunk_bytes;
    for (std::size_t i = 0; i < complement.size(); ++i) needle[i] = static_cast<std::uint8_t>(~complement[i]);
    std::size_t found = 0;
    for (const auto& [begin, end] : writable())
      for (std::uint64_t at = begin; at < end; at += chunk_bytes - complement.size()) {
        const auto size =
            ::pread(memory_.get(), table_, std::min<std::uint64_t>(chunk_bytes, end - at), static_cast<off_t>(at));
        if (size > 0) found += ::memmem(table_, static_cast<std::size_t>(size), needle, complement.size()) != nullptr;
      }
    return found;
  }

 private:
  static constexpr std::size_t chunk_bytes = 1u << 20, table_bytes = chunk_bytes + 4096;
  /// Without the table, which the kernel may have put beside another mapping and into one line with it.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::uint64_t>> writable() const {
    const auto mine = std::stoull(fmt::format("{}", fmt::ptr(table_)), nullptr, 16);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      if (line.find(" rw") == std::string::npos) continue;
      const auto begin = std::stoull(line, nullptr, 16),
                 end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
      if (begin <= mine && mine < end) {
        out.emplace_back(begin, mine);
        out.emplace_back(mine + table_bytes, end);
      } else {
        out.emplace_back(begin, end);
      }
    }
    return out;
  }

  Descriptor memory_;
  std::uint8_t* table_;
};

/// secrets_of(), complemented, by a process of its own: this one never has them.
Secrets complements_from_elsewhere(const KnownKey& key, const std::string& header, const std::string& scratch_folder) {
  const auto answer = scratch_folder + "/complements";
  const pid_t child = ::fork();
  if (child == 0) {
    bool is_done = false;
    try {
      nlohmann::json found;
      for (auto& [name, secret] : secrets_of(key, header, scratch_folder)) {
        for (auto& byte : secret) byte = static_cast<std::uint8_t>(~byte);
        found[name] = to_hex(secret);
      }
      is_done = write_file(answer, as_bytes(found.dump())).has_value();
    } catch (...) {  // a failed REQUIRE of Catch's
    }
    ::_exit(is_done ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  Secrets out;
  const auto file = read_file(answer, 1u << 20).value();
  const auto document = nlohmann::json::parse(as_text(file));
  for (const auto& [name, secret] : document.items()) out[name] = parse_hex(secret.get<std::string>()).value();
  return out;
}

}  // namespace

TEST_CASE("volume: nothing of a header's secrets is left in the memory of the process that made it") {
  const auto folder = scratch();
  const auto key = known_key();
  {
    const auto sealer = signer::VolumeSealer::under({"-----BEGIN PUBLIC KEY-----\n", crypto::random_bytes(32)}).value();
    const auto header = sealer.header_for(key.srk).value();
    REQUIRE(signer::header_file(header, folder.path() + "/header").value().commit_new());
  }
  const auto complements = complements_from_elsewhere(key, folder.path() + "/header", folder.path());
  REQUIRE(complements.size() == 6);
  Search search;
  for (const auto& [name, complement] : complements) {
    INFO(name);
    CHECK(search.copies_of(complement) == 0);
    // The judge sees one that is left behind, on the heap and on the stack.
    Buffer planted(complement.size());
    std::array<std::uint8_t, 128> on_stack{};
    for (std::size_t i = 0; i < planted.size(); ++i)
      planted[i] = on_stack[i] = static_cast<std::uint8_t>(~complement[i]);
    CHECK(search.copies_of(complement) >= 2);
    OPENSSL_cleanse(planted.data(), planted.size());
    OPENSSL_cleanse(on_stack.data(), on_stack.size());
  }
}

TEST_CASE("seal: nothing secret is in what the command says") {
  const Tpm tpm;
  const SealingSite site(tpm);
  const auto key = known_key();
  tpm.write("node.srk.pub", codec::encode_tpm2b(codec::encode_tpm_public(key.srk)));
  const auto done = run_tool(seal_command(tpm, tpm.file("node.srk.pub"), tpm.file("header")));
  REQUIRE(done.exit_code == 0);
  const auto told = std::string(as_text(done.output)) + done.error_tail;
  const auto holds = [&](std::string_view part) { return told.find(part) != std::string::npos; };
  CHECK(holds(to_hex(site.policy().digest)));
  for (const auto& [name, secret] : secrets_of(key, tpm.file("header"), tpm.file(""))) {
    INFO(name);
    CHECK_FALSE(holds(as_text(secret)));
    CHECK_FALSE(holds(to_hex(secret)));
    CHECK_FALSE(holds(to_base64(secret)));
  }
}

TEST_CASE("volume: stock cryptsetup opens either copy of a header, and has nothing to repair") {
  const auto folder = scratch();
  const auto key = known_key();
  const auto path = folder.path() + "/header", pass = folder.path() + "/pass";
  const auto sealer = signer::VolumeSealer::under({"-----BEGIN PUBLIC KEY-----\n", crypto::random_bytes(32)}).value();
  const auto header = sealer.header_for(key.srk).value();
  REQUIRE(signer::header_file(header, path).value().commit_new());
  REQUIRE(write_file(pass, secrets_of(key, path, folder.path()).at("passphrase"), 0600));
  const auto whole = read_file(path, signer::volume_header_bytes).value();
  const auto repaired = run_tool({"cryptsetup", "repair", "--batch-mode", path});
  CHECK(repaired.exit_code == 0);
  CHECK(repaired.error_tail.empty());
  CHECK(repaired.output.empty());
  CHECK(read_file(path, signer::volume_header_bytes).value() == whole);
  const auto opens_with = [&](const std::string& file) {
    return run_tool({"cryptsetup", "open", "--test-passphrase", "--key-file", file, path}).exit_code == 0;
  };
  CHECK(opens_with(pass));
  CHECK_FALSE(opens_with(path));  // any other passphrase
  for (const std::size_t lost : {0u, 16384u}) {
    INFO("the copy at " << lost << " is gone");
    auto half = whole;
    std::fill_n(half.begin() + static_cast<std::ptrdiff_t>(lost), 16384, std::uint8_t{0});
    REQUIRE(write_file(path, half, 0600));
    CHECK(opens_with(pass));
    CHECK(output_of({"cryptsetup", "luksUUID", path}) == header.uuid + "\n");
  }
  // Two copies of one header that differ in the numbers that make each of them unlike all others.
  const auto numbers = [&](std::size_t copy) { return to_buffer(Bytes(whole).subspan(copy + 104, 64)); };
  CHECK(numbers(0) != numbers(16384));
  CHECK(sealer.header_for(key.srk).value().uuid != header.uuid);
}
