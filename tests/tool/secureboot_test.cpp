// libefivar as the judge of how the agent reads and writes Secure Boot's variables.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "ingot/base/source.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string ingot_program = std::string(INGOT_BUILD) + "/ingot";
const std::string agent_program = std::string(INGOT_BUILD) + "/ingot-agent";

Buffer bytes_of(const std::string& path) {
  auto bytes = read_file(path, 4u << 20);
  if (!bytes) FAIL(describe(bytes.error()));
  return *std::move(bytes);
}

constexpr const char* global_guid = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
constexpr const char* security_guid = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";

/// libefivar looks for efivarfs once, when it is loaded: in a process of its own that is told where.
constexpr const char* libefivar_script = R"(
import ctypes, sys, uuid
lib = ctypes.CDLL("libefivar.so.1", use_errno=True)
class Guid(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_ubyte * 16)]
guid = Guid((ctypes.c_ubyte * 16)(*uuid.UUID(sys.argv[2]).bytes_le))
name = sys.argv[1].encode()
if len(sys.argv) == 5:
    data = bytes.fromhex(sys.argv[4])
    lib.efi_set_variable.argtypes = [Guid, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint]
    sys.exit(lib.efi_set_variable(guid, name, data, len(data), int(sys.argv[3]), 0o644) != 0)
data, size, attributes = ctypes.POINTER(ctypes.c_ubyte)(), ctypes.c_size_t(), ctypes.c_uint32()
if lib.efi_get_variable(guid, name, ctypes.byref(data), ctypes.byref(size), ctypes.byref(attributes)) == 0:
    print(attributes.value, bytes(data[: size.value]).hex())
)";

/// A folder that stands for efivarfs, for the agent and for libefivar alike.
struct Efivars {
  explicit Efivars(const std::string& folder) : path(folder + "/") {
    fs::create_directory(folder);
    set("SetupMode", global_guid, Buffer{1}, 0x6);
    set("SecureBoot", global_guid, Buffer{0}, 0x6);
  }
  void set(const char* name, const char* guid, const Buffer& data, std::uint32_t attributes) const {
    // It writes over what is there, which replaces a variable but not a longer file.
    fs::remove(path + name + "-" + guid);
    output_of({"python3", "-c", libefivar_script, name, guid, std::to_string(attributes), to_hex(data)},
              {{"EFIVARFS_PATH", path}});
  }
  /// What libefivar reads; empty: there is none.
  [[nodiscard]] std::pair<Buffer, std::uint32_t> get(const char* name, const char* guid) const {
    std::istringstream said(output_of({"python3", "-c", libefivar_script, name, guid}, {{"EFIVARFS_PATH", path}}));
    std::uint32_t attributes = 0;
    std::string hex;
    said >> attributes >> hex;
    return {parse_hex(hex).value(), attributes};
  }
  [[nodiscard]] builder::Completed agent(std::vector<std::string> words) const {
    std::vector<std::string> argv = {agent_program, "secureboot"};
    argv.insert(argv.end(), words.begin(), words.end());
    for (const char* word : {"--efivars", path.c_str()}) argv.push_back(word);
    return run_tool(std::move(argv));
  }
  std::string path;
};

std::string keys_and_updates(const std::string& folder, const std::string& name) {
  output_of({ingot_program, "keys", "init", folder + "/" + name});
  output_of({ingot_program, "sign", "variables", "--keys", folder + "/" + name, "--out", folder + "/" + name + "-out"});
  return folder + "/" + name + "-out/loader/keys/auto";
}

}  // namespace

TEST_CASE("agent secureboot: reads what libefivar writes, and writes what libefivar reads") {
  const auto folder = scratch();
  const auto updates = keys_and_updates(folder.path(), "site");
  const Efivars efivars(folder.path() + "/efivars");
  const auto done = efivars.agent({"enroll", updates});
  INFO(done.error_tail);
  REQUIRE(done.exit_code == 0);
  const std::string said(as_text(done.output));
  const auto at = [&](const char* line) { return said.find(line); };
  CHECK(at("enrolled dbx") < at("enrolled db,"));
  CHECK(at("enrolled db,") < at("enrolled KEK"));
  CHECK(at("enrolled KEK") < at("enrolled PK"));
  CHECK(at("CN=Ingot Platform Key") != std::string::npos);
  for (const auto& [name, guid] : {std::pair<const char*, const char*>{"PK", global_guid},
                                   {"KEK", global_guid},
                                   {"db", security_guid},
                                   {"dbx", security_guid}}) {
    INFO(name);
    const auto [data, attributes] = efivars.get(name, guid);
    CHECK(data == bytes_of(updates + "/" + name + ".auth"));
    CHECK(attributes == 0x27);
    // No firmware here that would take the list out of it.
    efivars.set(name, guid, bytes_of(updates + "/" + name + ".esl"), 0x27);
  }
  const auto status = efivars.agent({"status", "--json"});
  INFO(status.error_tail);
  REQUIRE(status.exit_code == 0);
  const auto json = nlohmann::json::parse(as_text(status.output));
  CHECK(json.at("setup_mode") == true);
  CHECK(json.at("secure_boot") == false);
  CHECK(json.at("dbx").at(0).at("sha256") == std::string(64, '0'));
  const auto print = output_of({"openssl", "x509", "-in", folder.path() + "/site/db.crt", "-noout", "-fingerprint",
                                "-sha256", "-subject", "-nameopt", "RFC2253"});
  std::string fingerprint;
  for (const char c : print.substr(print.find('=') + 1, 95))
    if (c != ':') fingerprint += static_cast<char>(std::tolower(c));
  CHECK(json.at("db").at(0).at("sha256") == fingerprint);
  CHECK_THAT(print, Catch::Contains("subject=" + json.at("db").at(0).at("subject").get<std::string>() + "\n"));
}

TEST_CASE("agent secureboot: outside setup mode takes what the enrolled keys signed, and looks before it writes") {
  const auto folder = scratch();
  const auto ours = keys_and_updates(folder.path(), "site"), strangers = keys_and_updates(folder.path(), "stranger");
  const Efivars efivars(folder.path() + "/efivars");
  efivars.set("SetupMode", global_guid, Buffer{0}, 0x6);
  for (const char* name : {"PK", "KEK"}) efivars.set(name, global_guid, bytes_of(ours + "/" + name + ".esl"), 0x27);
  const auto refused = efivars.agent({"enroll", strangers});
  CHECK(refused.exit_code == 2);
  CHECK_THAT(refused.error_tail, Catch::Contains("not in setup mode") && Catch::Contains("CN=Ingot Key Exchange Key"));
  CHECK(efivars.get("dbx", security_guid).first.empty());
  // A good dbx beside a foreign db: neither is written.
  fs::create_directory(folder.path() + "/mixed");
  fs::copy_file(ours + "/dbx.auth", folder.path() + "/mixed/dbx.auth");
  fs::copy_file(strangers + "/db.auth", folder.path() + "/mixed/db.auth");
  CHECK(efivars.agent({"enroll", folder.path() + "/mixed"}).exit_code == 2);
  CHECK(efivars.get("dbx", security_guid).first.empty());
  // No update at all: a signature list alone.
  fs::copy_file(ours + "/db.esl", folder.path() + "/mixed/db.auth", fs::copy_options::overwrite_existing);
  const auto torn = efivars.agent({"enroll", folder.path() + "/mixed"});
  CHECK(torn.exit_code == 2);
  CHECK_THAT(torn.error_tail, Catch::Contains("mixed/db.auth"));
  CHECK(efivars.get("dbx", security_guid).first.empty());
  fs::remove(folder.path() + "/mixed/db.auth");
  const auto appended = efivars.agent({"enroll", folder.path() + "/mixed", "--append"});
  CHECK(appended.exit_code == 0);
  CHECK(efivars.get("dbx", security_guid).second == 0x67);
}

TEST_CASE("agent secureboot: an error says what was written before it") {
  const auto folder = scratch();
  const auto updates = keys_and_updates(folder.path(), "site");
  const Efivars efivars(folder.path() + "/efivars");
  fs::create_symlink("/nowhere/KEK", efivars.path + "KEK-8be4df61-93ca-11d2-aa0d-00e098032b8c");
  const auto done = efivars.agent({"enroll", updates});
  CHECK(done.exit_code == 3);
  CHECK_THAT(done.error_tail, Catch::Contains("KEK (written before it: dbx, db)"));
  CHECK(efivars.get("db", security_guid).first == bytes_of(updates + "/db.auth"));
  CHECK(efivars.get("PK", global_guid).first.empty());
  const auto none = run_tool({agent_program, "secureboot", "status", "--efivars", folder.path()});
  CHECK(none.exit_code == 3);
  CHECK_THAT(none.error_tail, Catch::Contains("mount -t efivarfs"));
  const auto empty = efivars.agent({"enroll", folder.path()});
  CHECK(empty.exit_code == 3);
  for (const auto& words : {std::vector<std::string>{}, {"enroll"}, {"status", "x"}, {"status", "--append"}})
    CHECK(efivars.agent(words).exit_code == 3);
}
