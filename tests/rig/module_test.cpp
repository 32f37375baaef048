// Which keys Debian's kernel takes for modules, told by booting it: Secure Boot on, module.sig_enforce=1, lockdown.
// What loads says so itself on the console; what is refused, the kernel and the agent say so.
#include "ingot/signer/module.hpp"

#include <algorithm>

#include "guest.hpp"
#include "ingot/base/output.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_signature.hpp"
#include "ingot/codec/report.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/signer/sign.hpp"

using namespace ingot;
using namespace ingot::test;
using rig::BootEnd;

namespace {

using codec::shim_lock_guid;
/// NV, BS and RT: what a running system may write for itself.
constexpr std::uint32_t any_time_and_kept = 7;

constexpr std::string_view loop_says = "loop: module loaded";
constexpr std::string_view brd_says = "brd: module loaded";
constexpr std::string_view tun_says = "tun: Universal TUN/TAP device driver";

/// One of the kernel's own modules without Debian's signature: to the kernel it is what a vendor's module is.
Buffer bare_module(const builder::Tree& base, std::string_view name) {
  const auto ending = "/" + std::string(name) + ".ko.xz";
  for (const auto& [path, entry] : base.entries)
    if (path.starts_with("/usr/lib/modules/") && path.ends_with(ending)) {
      const auto module =
          must(codec::decompress_module(must(builder::read_tree_file(base, path)), codec::ModuleCompression::xz));
      auto bare = to_buffer(must(codec::without_module_signatures(module)));
      CHECK(bare.size() < module.size());
      return bare;
    }
  FAIL("the kernel has no module " << name);
  return {};
}

signer::SigningKey key_of(const std::string& folder, const char* name) {
  const signer::KeyFolder keys{folder};
  return must(signer::SigningKey::load(keys.key(name), keys.certificate(name)));
}

Buffer signed_by(const Buffer& module, const signer::SigningKey& key) {
  return must(signer::sign_module(module, key, signer::OldSignature::refused)).bytes;
}

/// All that the machine said on its console.
std::string console(const std::string& path) { return std::string(as_text(must(read_file(path, 64u << 20)))); }

bool says(const std::string& text, std::string_view what) { return text.find(what) != text.npos; }

std::string refused(std::string_view name) {
  return "loading /modules/" + std::string(name) + ": Key was rejected by service";
}

/// The variable store of a machine with the keys of `image` and these variables.
Buffer store_with(const rig::SmallImage& image, const std::vector<codec::Variable>& planted) {
  auto variables = codec::secure_boot_variables(must(signer::secure_boot_keys(signer::KeyFolder{image.keys})));
  variables.insert(variables.end(), planted.begin(), planted.end());
  const auto empty = must(read_file(image.vars_template, codec::variable_store_size_cap_bytes));
  return must(codec::write_variables(empty, variables));
}

/// Boots with these modules in the initrd and these variables beside the keys'; what the console said.
std::string boot_with(const SmallFixture& fixture, const std::vector<std::pair<std::string, Buffer>>& modules,
                      const std::vector<codec::Variable>& planted = {}) {
  auto image = fixture.image;
  for (const auto& [name, bytes] : modules) must(image.files.put_file("/modules/" + name, bytes));
  const auto out = fixture.folder.path() + "/modules";
  must(rig::make_small_image(image, out));
  auto request = SmallFixture::request(out);
  request.serial_log = out + "/serial.log";
  if (!planted.empty()) must(write_file(request.vars, store_with(image, planted)));
  const auto outcome = boot(request);
  const auto text = console(request.serial_log);
  UNSCOPED_INFO(text);
  REQUIRE(outcome.end == BootEnd::evidence);
  REQUIRE(says(text, "Secure boot enabled"));
  return text;
}

}  // namespace

TEST_CASE("modules: db's signature loads, plain and compressed; none, a foreign key's and KEK's are refused") {
  const SmallFixture fixture;
  const auto foreign = fixture.folder.path() + "/foreign";
  must(signer::init_keys(foreign));
  const auto db = key_of(fixture.image.keys, "db");
  const auto brd = bare_module(fixture.base, "brd");
  auto changed = signed_by(brd, db);
  changed[brd.size() / 2] ^= 1;
  const auto packed = must(codec::compress_module(bare_module(fixture.base, "tun"), codec::ModuleCompression::xz));
  const auto text = boot_with(fixture, {{"10-loop.ko", signed_by(bare_module(fixture.base, "loop"), db)},
                                        {"20-tun.ko.xz", signed_by(packed, db)},
                                        {"30-none.ko", brd},
                                        {"31-foreign.ko", signed_by(brd, key_of(foreign, "db"))},
                                        {"32-kek.ko", signed_by(brd, key_of(fixture.image.keys, "KEK"))},
                                        {"33-changed.ko", changed}});
  CHECK(says(text, loop_says));
  CHECK(says(text, tun_says));
  CHECK_FALSE(says(text, "loading /modules/10-loop.ko"));
  CHECK_FALSE(says(text, "loading /modules/20-tun.ko.xz"));
  for (const auto* name : {"30-none.ko", "31-foreign.ko", "32-kek.ko", "33-changed.ko"}) {
    INFO(name);
    CHECK(says(text, refused(name)));
  }
  CHECK(says(text, "Loading of unsigned module is rejected"));
  CHECK(says(text, "Loading of module with unavailable key is rejected"));
  CHECK_FALSE(says(text, brd_says));
  // It is the module of db, and not the machine, that makes the difference.
  CHECK(says(boot_with(fixture, {{"10-brd.ko", signed_by(brd, db)}}), brd_says));
}

// Without shim nobody owns these variables, and whoever is root on a node may write them. The kernel reads them: that
// is a fact about Debian's kernel, which documentation and the agent's report have to go by.
TEST_CASE(
    "modules: without shim, a MokListRT that somebody left in the store is trusted, and MokIgnoreDB shuts db out") {
  const SmallFixture fixture;
  const auto foreign = fixture.folder.path() + "/foreign";
  must(signer::init_keys(foreign));
  const auto mok = key_of(foreign, "db");
  const auto brd = bare_module(fixture.base, "brd");
  const auto list = codec::encode_signature_lists({codec::x509_list(shim_lock_guid, must(mok.certificate()).der())});
  const auto text = boot_with(fixture, {{"10-mok.ko", signed_by(brd, mok)}},
                              {{"MokListRT", shim_lock_guid, any_time_and_kept, {}, list}});
  CHECK(says(text, brd_says));
  const auto own = boot_with(fixture, {{"10-db.ko", signed_by(brd, key_of(fixture.image.keys, "db"))}},
                             {{"MokIgnoreDB", shim_lock_guid, any_time_and_kept, {}, {1}}});
  CHECK(says(own, refused("10-db.ko")));
}

TEST_CASE("modules: the verdict names a MokListRT that somebody left in the store, and whose certificate it holds") {
  const SmallFixture fixture;
  const auto foreign = fixture.folder.path() + "/foreign";
  must(signer::init_keys(foreign));
  const auto mok = must(key_of(foreign, "db").certificate());
  const codec::Variable planted = {"MokListRT",
                                   shim_lock_guid,
                                   any_time_and_kept,
                                   {},
                                   codec::encode_signature_lists({codec::x509_list(shim_lock_guid, mok.der())})};
  Guest guest{efivars_steps, {}};
  guest.steps.emplace_back("mount securityfs /sys/kernel/security");
  guest.steps.emplace_back("/ingot-agent evidence --port org.ingot.evidence");
  const auto image = cast_guest(fixture, "guest", fixture.image.keys, guest);
  /// What a verdict finds of the kernel's security modules; all else this guest, whose root is its initrd, lacks.
  const auto findings_with = [&](const std::vector<codec::Variable>& variables) {
    auto request = SmallFixture::request(image);
    request.vars = fixture.folder.path() + "/planted.fd";
    must(write_file(request.vars, store_with(fixture.image, variables)));
    const auto outcome = boot(request);
    REQUIRE(outcome.end == BootEnd::evidence);
    REQUIRE(outcome.evidence.report);
    Baseline golden;
    golden.settings = {{SettingArea::security_module, "shim", "none", "", "", ""}};
    const auto platform = must(check::learn_platform(outcome.evidence));
    check::BootQuestion question;
    question.baseline = &golden;
    question.platform = &platform;
    question.nonce = request.nonce;
    auto findings = must(check::check_boot(question, outcome.evidence)).findings;
    std::erase_if(findings, [](const Finding& finding) { return finding.setting != SettingArea::security_module; });
    return findings;
  };
  CHECK(findings_with({}).empty());
  const auto findings = findings_with({planted});
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].subject == "security-module: shim MokListRT");
  CHECK_THAT(findings[0].observed, Catch::Contains("kept") && Catch::Contains(to_hex(crypto::sha256(mok.der()))));
}
