#include <fmt/ranges.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/config.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"
#include "ingot/signer/key.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

const std::string head = R"(name = "node"
version = 1
role = "worker"
[base]
packages = ["systemd-journal-remote", "openssl", "e2fsprogs", "nginx-light", "sudo"]
[disk]
data_size = "8GiB"
)";

/// A folder with a site's authority in tls-ca.crt, as `ca = "tls-ca.crt"` finds it beside the profile.
class SiteFolder {
 public:
  SiteFolder() {
    const auto keys = signer::init_keys(folder_.path() + "/keys").value();
    for (const auto* name : {"tls-ca.crt", "tls-ca.key", "db.crt"})
      std::filesystem::copy(keys.path + "/" + name, folder_.path() + "/" + name);
    REQUIRE(write_file(folder_.path() + "/text.crt", as_bytes("not a certificate\n")));
  }
  [[nodiscard]] Result<Profile> load(const std::string& text) const {
    const auto path = folder_.path() + "/p.toml";
    REQUIRE(write_file(path, as_bytes(text)));
    return load_profile(path);
  }
  [[nodiscard]] std::string authority() const {
    return std::string(as_text(read_file(folder_.path() + "/tls-ca.crt", 1u << 16).value()));
  }

 private:
  TemporaryFolder folder_ = TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
};

std::string text_of(const ConfigPart& part, const std::string& path) {
  for (const auto& file : part.files)
    if (file.path == path) return std::string(as_text(file.content));
  FAIL("no file " << path);
  return {};
}
bool has_file(const ConfigPart& part, const std::string& path) {
  return std::any_of(part.files.begin(), part.files.end(), [&](const auto& file) { return file.path == path; });
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("shipping: every key reaches the value") {
  const SiteFolder site;
  const auto profile = site.load(head + R"([shipping]
collector = "logs.example"
port = 20000
sudo_port = 20001
ca = "tls-ca.crt"
queue = "256MiB"
runtime_queue = "32MiB"
notice_at = 50
[collector]
node_storage = "1GiB"
keep_days = 7
)");
  if (!profile) FAIL(describe(profile.error()));
  const auto& shipping = profile->shipping;
  CHECK(shipping.enabled);
  CHECK(shipping.collector == "logs.example");
  CHECK(shipping.port == 20000);
  CHECK(shipping.sudo_port == 20001);
  CHECK(shipping.ca == site.authority());
  CHECK(shipping.queue_bytes == 256u << 20);
  CHECK(shipping.runtime_bytes == 32u << 20);
  CHECK(shipping.notice_percent == 50);
  CHECK(profile->collector.enabled);
  CHECK(profile->collector.node_bytes == 1u << 30);
  CHECK(profile->collector.keep_days == 7);
}

TEST_CASE("shipping: a mistake is told with its place and what to do") {
  struct Row {
    const char* name;
    std::string text;
    std::uint32_t line;
    const char* message;
  };
  // Line 8 is the first after `head`.
  const auto row = GENERATE(values<Row>({
      {"a private key as authority", "[shipping]\nca = \"tls-ca.key\"\n", 9, "is a private key"},
      {"a certificate that signs nothing", "[shipping]\nca = \"db.crt\"\n", 9, "may not sign others"},
      {"no certificate at all", "[shipping]\nca = \"text.crt\"\n", 9, "text.crt"},
      {"an authority that is not there", "[shipping]\nca = \"none.crt\"\n", 9, "cannot be read"},
      {"an authority outside of the folder", "[shipping]\nca = \"../tls-ca.crt\"\n", 9, "not a path below"},
      {"a collector with a scheme", "[shipping]\ncollector = \"https://logs\"\n", 9, "expected a host name"},
      {"a collector that is empty", "[shipping]\ncollector = \"\"\n", 9, "expected a host name"},
      {"a collector that would end a line", "[shipping]\ncollector = \"a\\nb\"\n", 9, "expected a host name"},
      {"a privileged port", "[shipping]\nport = 443\n", 9, "expected 1024"},
      {"one port for two", "[shipping]\nport = 2000\nsudo_port = 2000\n", 8, "both 2000"},
      {"a queue too small to turn", "[shipping]\nqueue = \"8MiB\"\n", 9, "expected whole MiB"},
      {"a notice that never comes", "[shipping]\nnotice_at = 100\n", 9, "expected 1 to 99"},
      {"an unknown key", "[shipping]\ncolector = \"logs\"\n", 9, "unknown key"},
      {"a queue larger than its disk", "[shipping]\nqueue = \"8GiB\"\n", 8, "data_size is 8192 MiB"},
      {"a collector larger than its disk", "[shipping]\n[collector]\nnode_storage = \"8GiB\"\n", 8, "data_size"},
      {"a collector that ships nothing", "[collector]\n", 1, "ships nothing"},
      {"a collector without shipping", "[shipping]\nenabled = false\n[collector]\n", 1, "ships nothing"},
      {"an unknown key of the collector", "[collector]\nretention = 3\n", 9, "unknown key"},
  }));
  INFO(row.name);
  const SiteFolder site;
  const auto profile = site.load(head + row.text);
  REQUIRE_FALSE(profile);
  const auto& error = profile.error();
  INFO(describe(error));
  CHECK(error.code == ErrorCode::malformed);
  REQUIRE(error.at);
  CHECK(error.at->line == row.line);
  CHECK(contains(error.message, row.message));
}

TEST_CASE("shipping: no persistent storage, a missing package") {
  const SiteFolder site;
  const std::string top = "name = \"n\"\nversion = 1\nrole = \"r\"\n";
  const auto no_disk = site.load(top + "[base]\npackages = [\"systemd-journal-remote\"]\n[shipping]\n");
  REQUIRE_FALSE(no_disk);
  CHECK(contains(no_disk.error().message, "persistent storage"));
  CHECK(contains(no_disk.error().remedy, "data_size"));
  const auto small = site.load(top +
                               "[base]\npackages = [\"systemd-cryptsetup\", \"systemd-repart\", \"e2fsprogs\"]\n"
                               "[[volume]]\nname = \"state\"\nmount = \"/var/lib/ingot\"\nsize = \"1GiB\"\n"
                               "recovery = false\n[shipping]\nqueue = \"2GiB\"\n");
  REQUIRE_FALSE(small);
  INFO(describe(small.error()));
  CHECK(contains(small.error().message, "the volume \"state\" is 1024 MiB"));
  CHECK(contains(small.error().remedy, "raise its size"));
  const auto no_package =
      site.load(top + "[base]\npackages = [\"openssl\"]\n[disk]\ndata_size = \"2GiB\"\n[shipping]\n");
  REQUIRE_FALSE(no_package);
  CHECK(contains(no_package.error().message, "systemd-journal-remote"));
  CHECK(no_package.error().at->line == 8);
}

TEST_CASE("shipping: what the profile leaves open comes from the site and the key folder, or is refused") {
  const SiteFolder site;
  auto open = site.load(head + "[shipping]\n").value();
  CHECK(render_shipping(open).error().code == ErrorCode::internal);
  auto nobody = open;
  const auto no_collector = complete_shipping(nobody, {"", site.authority()});
  REQUIRE_FALSE(no_collector);
  CHECK(contains(no_collector.error().message, "no collector"));
  CHECK(no_collector.error().at->line == 8);
  const auto no_certificate = complete_shipping(nobody, {"10.1.0.10", ""});
  REQUIRE_FALSE(no_certificate);
  CHECK(contains(no_certificate.error().message, "has no certificate"));
  CHECK(no_certificate.error().at->line == 8);
  REQUIRE(complete_shipping(open, {"10.1.0.10", site.authority()}));
  CHECK(open.shipping.collector == "10.1.0.10");
  CHECK(open.shipping.ca == site.authority());
  Profile silent;
  CHECK(complete_shipping(silent, {}));
  CHECK(render_shipping(silent)->files.empty());
}

TEST_CASE("shipping: a node uploads, a collector receives, each what is theirs") {
  const SiteFolder site;
  auto profile = site.load(head + "[shipping]\ncollector = \"fd00::10\"\nca = \"tls-ca.crt\"\n").value();
  const auto node = render_shipping(profile).value();
  CHECK(contains(text_of(node, "/etc/systemd/journal-upload.conf.d/50-ingot.conf"), "URL=https://[fd00::10]:19532\n"));
  CHECK(text_of(node, "/etc/ingot/tls-ca.crt") == site.authority());
  const auto drop_in = text_of(node, "/etc/systemd/system/systemd-journal-upload.service.d/50-ingot.conf");
  for (const auto* line : {"StartLimitIntervalSec=0\n", "Restart=always\n", "--save-state=/var/lib/ingot/"})
    CHECK(contains(drop_in, line));
  CHECK_FALSE(contains(drop_in, "PrivateUsers=yes"));  // the key would belong to nobody
  const auto journald = text_of(node, "/etc/systemd/journald.conf.d/60-ingot-shipping.conf");
  for (const auto* line : {"SystemMaxUse=512M\n", "SystemMaxFileSize=32M\n", "RuntimeMaxUse=64M\n"})
    CHECK(contains(journald, line));
  CHECK_FALSE(has_file(node, "/etc/ingot/collector.nginx.conf"));
  CHECK_FALSE(has_file(node, "/usr/lib/ingot/collect"));
  // Of a unit that the role does not have, systemctl would make an error.
  CHECK_FALSE(contains(text_of(node, "/usr/lib/systemd/system/ingot-renewed.service"), "ingot-collector"));
  for (const auto& file : node.files) CHECK_FALSE(contains(std::string(as_text(file.content)), "PRIVATE KEY"));

  profile.collector.enabled = true;
  const auto collector = render_shipping(profile).value();
  CHECK_FALSE(has_file(collector, "/etc/systemd/journal-upload.conf.d/50-ingot.conf"));
  const auto nginx = text_of(collector, "/etc/ingot/collector.nginx.conf");
  for (const auto* line : {"listen 19532 ssl;", "listen [::]:19532 ssl;", "ssl_verify_client on;",
                           "ssl_protocols TLSv1.3;", "client_max_body_size 2048m;", "proxy_pass_request_headers off;"})
    CHECK(contains(nginx, line));
  CHECK(contains(text_of(collector, "/etc/ingot/sudo_logsrvd.conf"), "listen_address = *:30344(tls)\n"));
  CHECK(contains(text_of(collector, "/etc/systemd/journal-remote.conf.d/50-ingot.conf"), "MaxUse=4096M\n"));
}

TEST_CASE("storage: nothing without a data partition; with one, two mounts from which nothing runs") {
  Profile profile;
  CHECK(render_storage(profile).value().files.empty());
  profile.disk.data_size_bytes = std::uint64_t{2} << 30;
  const auto part = render_storage(profile).value();
  const auto fstab = fmt::format("{}\n", fmt::join(part.fstab, "\n"));
  CHECK(contains(fstab, "/dev/disk/by-partlabel/data /var/lib/ingot ext4 nosuid,nodev,noexec"));
  CHECK(contains(fstab, "/var/lib/ingot/log /var/log none bind,nosuid,nodev,noexec"));
  CHECK(part.settings.size() == 2);
}
