// Manifest, package lists, SBOMs, provenance, comparison. What others' tools say of the documents of a whole build is
// tests/rig/judge's to check.
#include "ingot/builder/release.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "ingot/base/output.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/check/image.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;
using namespace ingot::builder;
using nlohmann::json;

namespace {

Buffer bytes(std::string_view text) { return to_buffer(as_bytes(text)); }

Tree tree_with(const std::map<std::string, std::string>& files) {
  Tree tree;
  for (const auto& [path, text] : files) REQUIRE(tree.put_file(path, bytes(text)));
  return tree;
}

const std::string status =
    "Package: libstdc++6\nStatus: install ok installed\nMaintainer: Debian GCC <gcc@example.org>\nArchitecture: amd64\n"
    "Source: gcc-14 (14.2.0-19)\nVersion: 14.2.0-19\nDescription: GNU\n Package: not-this\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n"
    "Package: half\nStatus: install ok half-installed\nArchitecture: all\nVersion: 1\n\n"
    "Package: apt\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 1:3.0~rc1+b1";
const std::string copyright =
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-3+\n text\n\n"
    "License: LGPL-2.1\n\nLicense: GPL-3+\n";

std::vector<InstalledPackage> packages() {
  const auto tree = tree_with({{"/var/lib/dpkg/status", status}, {"/usr/share/doc/apt/copyright", copyright}});
  return read_packages(tree, {{"apt", "1:3.0~rc1+b1", "amd64", std::string(64, 'a'), 1}}).value();
}

SbomSubject subject() { return {"inference", 7, "debian-13", std::string(64, '0')}; }

/// A folder with every file that compare_builds() looks at.
struct Build {
  explicit Build(const std::map<std::string, std::string>& changed = {}) {
    for (const auto* name :
         {output::manifest, output::root, output::verity, output::root_hash, output::root_hash_signature, output::uki,
          output::probe, output::esp, output::disk, output::vars, output::baseline, output::baseline_key,
          output::sbom_cyclonedx, output::sbom_spdx, output::provenance}) {
      const auto found = changed.find(name);
      REQUIRE(write_file(path() + "/" + name, as_bytes(found == changed.end() ? "{}" : found->second)));
    }
  }
  std::string path() const { return folder.path(); }
  TemporaryFolder folder = TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
};

}  // namespace

TEST_CASE("manifest: every entry is told, and the regular files are read back") {
  auto tree = tree_with({{"/etc/motd", "hello"}, {"/usr/bin/ping", "elf"}});
  REQUIRE(tree.put_symlink("/bin", "usr/bin"));
  tree.entries.at("/usr/bin/ping").xattrs["security.capability"] = {1, 2};
  for (auto& [path, entry] : tree.entries)
    if (entry.content) entry.sha256 = to_hex(crypto::hash_source(HashAlg::sha256, *entry.content).value());
  const auto text = render_manifest(tree);
  CHECK(text == render_manifest(tree));
  std::map<std::string, json> entries;
  const auto document = json::parse(text);
  for (const auto& entry : document.at("entries")) entries[entry.at("path")] = entry;
  CHECK(entries.size() == tree.entries.size());
  CHECK(entries.at("/bin").at("target") == "usr/bin");
  CHECK(entries.at("/usr/bin/ping").at("xattrs").at("security.capability") == "0102");
  CHECK(entries.at("/etc/motd").at("sha256") == crypto::sha256_hex(as_bytes("hello")));
  const auto files = parse_manifest(as_bytes(text)).value();
  REQUIRE(files.size() == 2);
  CHECK(files[0].path == "/etc/motd");
  CHECK(files[0].sha256 == crypto::sha256_hex(as_bytes("hello")));
}

TEST_CASE("manifest: what no build wrote is refused") {
  const auto text = GENERATE(values<std::string>(
      {"", "[]", "7", R"({"format":7,"entries":[]})", R"({"format":"ingot-manifest/2","entries":[]})",
       R"({"format":"ingot-manifest/1"})", R"({"format":"ingot-manifest/1","entries":[7]})",
       R"({"format":"ingot-manifest/1","entries":[{"type":"file"}]})",
       R"({"format":"ingot-manifest/1","entries":[{"path":"/a","type":"file","sha256":7}]})"}));
  const auto files = parse_manifest(as_bytes(text));
  REQUIRE_FALSE(files);
  CHECK(files.error().code == ErrorCode::malformed);
}

TEST_CASE("packages: what is installed, by its own database") {
  const auto found = packages();
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "apt");
  CHECK(found[0].source == "apt");
  CHECK(found[0].sha256 == std::string(64, 'a'));
  CHECK(found[0].licenses == std::vector<std::string>{"GPL-3+", "LGPL-2.1"});
  CHECK(found[1].name == "libstdc++6");
  CHECK(found[1].source == "gcc-14");
  CHECK(found[1].maintainer == "Debian GCC <gcc@example.org>");
  CHECK(found[1].sha256.empty());
  CHECK(read_packages(tree_with({{"/etc/motd", ""}}), {}).value().empty());
}

TEST_CASE("SBOMs: packages with their encoded purl; the same input gives the same bytes") {
  const auto cyclonedx = json::parse(render_cyclonedx(subject(), packages()));
  CHECK(render_cyclonedx(subject(), packages()) == render_cyclonedx(subject(), packages()));
  // Package URL specification: "+" and ":" of names and versions are encoded.
  CHECK(cyclonedx.at("components").at(0).at("purl") ==
        "pkg:deb/debian/apt@1%3A3.0~rc1%2Bb1?arch=amd64&distro=debian-13");
  CHECK(cyclonedx.at("components").at(1).at("purl") ==
        "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=debian-13");
  CHECK_FALSE(cyclonedx.at("components").at(1).contains("hashes"));
  const auto spdx = json::parse(render_spdx(subject(), packages()));
  REQUIRE(spdx.at("packages").size() == 3);
  CHECK(spdx.at("packages").at(2).at("SPDXID") == "SPDXRef-Package-libstdc--6-amd64");
  CHECK_FALSE(spdx.at("packages").at(2).contains("checksums"));
  auto other = subject();
  other.manifest_sha256.back() = '1';
  CHECK(json::parse(render_spdx(other, packages())).at("documentNamespace") != spdx.at("documentNamespace"));
}

TEST_CASE("provenance: its subjects are read back, and files are held against them") {
  Profile profile;
  profile.name = "inference";
  const auto digest = [](std::string_view text) { return crypto::sha256_hex(as_bytes(text)); };
  const auto text = render_provenance(profile, {{"uki.efi", digest("uki")}, {"root.img", digest("root")}},
                                      {{"apt", "1:3.0", "amd64", std::string(64, 'a'), 1}}, {{"ingot", "1"}});
  CHECK(json::parse(text).at("predicate").at("buildDefinition").at("resolvedDependencies").at(0).at("uri") ==
        "pkg:deb/debian/apt@1%3A3.0?arch=amd64");
  const auto artifacts = codec::decode_provenance_subjects(as_bytes(text)).value();
  REQUIRE(artifacts.size() == 2);

  std::map<std::string, std::string> files = {{"uki.efi", "uki"}, {"root.img", "root"}};
  const auto open = [&](const std::string& name) -> Result<SharedSource> {
    if (!files.contains(name)) return fail(ErrorCode::missing, "no such file");
    return memory_source(bytes(files.at(name)));
  };
  CHECK(check::check_artifacts(artifacts, open).value().empty());
  files["uki.efi"] = "other";
  files.erase("root.img");
  const auto findings = check::check_artifacts(artifacts, open).value();
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].subject == "uki.efi");
  CHECK(findings[0].observed == digest("other"));
  CHECK(findings[1].subject == "root.img");
  CHECK(findings[1].cause.find("taken away") != std::string::npos);
  const auto broken = check::check_artifacts(
      artifacts, [](const std::string&) -> Result<SharedSource> { return fail(ErrorCode::io, "broken"); });
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code == ErrorCode::io);
}

TEST_CASE("provenance: what names no plain files is refused") {
  const std::string good =
      R"({"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1","subject":[{"name":"a","digest":{"sha256":")" +
      std::string(64, 'a') + R"("}}]})";
  REQUIRE(codec::decode_provenance_subjects(as_bytes(good)));
  const auto [from, to] = GENERATE(table<std::string, std::string>({{"\"a\"", "\"../a\""},
                                                                    {"\"a\"", "\"\""},
                                                                    {"\"a\"", "\"..\""},
                                                                    {"\"a\"", "7"},
                                                                    {"\"digest\"", "\"digests\""},
                                                                    {"sha256", "sha512"},
                                                                    {"aaaa", "aa"},
                                                                    {"provenance/v1", "provenance/v2"},
                                                                    {"Statement/v1", "Statement/v0"},
                                                                    {"\"subject\"", "\"subjects\""}}));
  auto text = good;
  text.replace(text.find(from), from.size(), to);
  INFO(text);
  CHECK_FALSE(codec::decode_provenance_subjects(as_bytes(text)));
}

TEST_CASE("compare: the structure that differs is named") {
  struct Row {
    const char* file;
    std::string left, right, structure, shown;
  };
  const Row row = GENERATE(values<Row>({
      {"manifest.json", R"({"entries":[{"path":"/etc/motd","size":1}]})",
       R"({"entries":[{"path":"/etc/motd","size":2}]})", "manifest.json, /entries/0 (/etc/motd)/size", "2"},
      {"manifest.json", R"({"entries":[]})", R"({"entries":[{"path":7}]})", "manifest.json, /entries/0",
       R"({"path":7})"},
      {"sbom.cdx.json", R"({"a":1})", R"({"b":1})", "sbom.cdx.json, /a", "nothing"},
      {"sbom.spdx.json", "{}", "{ }", "sbom.spdx.json, white space", "byte 1: 207d"},
      {"root.img", "abc", "abd", "root.img", "byte 2: 64"},
      {"root.verity", "abc", "ab", "root.verity", "ends at byte 2"},
  }));
  const Build left({{row.file, row.left}});
  const Build right({{row.file, row.right}});
  CHECK(compare_builds(left.path(), left.path()).value().empty());
  const auto found = compare_builds(left.path(), right.path()).value();
  REQUIRE(found.size() == 1);
  CHECK(found[0].structure == row.structure);
  CHECK(found[0].right == row.shown);
}

TEST_CASE("compare: a folder that no build made is an error") {
  const Build whole;
  std::filesystem::remove(whole.path() + "/VARS.fd");
  const auto found = compare_builds(whole.path(), whole.path());
  REQUIRE_FALSE(found);
  CHECK(found.error().message.find("VARS.fd") != std::string::npos);
}
