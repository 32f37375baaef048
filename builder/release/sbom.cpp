#include <fmt/format.h>

#include <cctype>
#include <ctime>
#include <nlohmann/json.hpp>

#include "ingot/base/guid.hpp"
#include "ingot/builder/release.hpp"
#include "ingot/crypto/hash.hpp"
#include "purl.hpp"

namespace ingot::builder {
namespace {

/// RFC 3339 of image_time: documents of equal images are equal.
std::string timestamp() {
  const std::time_t time = image_time;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string purl(const SbomSubject& subject, const InstalledPackage& package) {
  return debian_purl(package.name, package.version, package.architecture, subject.distribution);
}

Guid document_guid(const SbomSubject& subject, std::string_view kind) {
  return derive_guid(crypto::sha256(
      as_bytes(fmt::format("{} {} {} {}", kind, subject.name, subject.version, subject.manifest_sha256))));
}

/// SPDX identifiers are letters, digits, "." and "-".
std::string spdx_id(const InstalledPackage& package) {
  std::string out = "SPDXRef-Package-";
  for (const char c : package.name + "-" + package.architecture)
    out.push_back(std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' ? c : '-');
  return out;
}

}  // namespace

std::string render_cyclonedx(const SbomSubject& subject, const std::vector<InstalledPackage>& packages) {
  auto components = nlohmann::json::array();
  for (const auto& package : packages) {
    nlohmann::json component{
        {"type", "library"},
        {"bom-ref", purl(subject, package)},
        {"name", package.name},
        {"version", package.version},
        {"purl", purl(subject, package)},
        {"properties", nlohmann::json::array({{{"name", "debian:source"}, {"value", package.source}}})}};
    if (!package.maintainer.empty()) component["supplier"]["name"] = package.maintainer;
    if (!package.sha256.empty())
      component["hashes"] = nlohmann::json::array({{{"alg", "SHA-256"}, {"content", package.sha256}}});
    for (const auto& name : package.licenses) component["licenses"].push_back({{"license", {{"name", name}}}});
    components.push_back(std::move(component));
  }
  const nlohmann::json document{{"bomFormat", "CycloneDX"},
                                {"specVersion", "1.5"},
                                {"serialNumber", "urn:uuid:" + to_text(document_guid(subject, "cyclonedx"))},
                                {"version", 1},
                                {"metadata",
                                 {{"timestamp", timestamp()},
                                  {"component",
                                   {{"type", "operating-system"},
                                    {"bom-ref", subject.name},
                                    {"name", subject.name},
                                    {"version", std::to_string(subject.version)}}}}},
                                {"components", components}};
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string render_spdx(const SbomSubject& subject, const std::vector<InstalledPackage>& packages) {
  auto entries = nlohmann::json::array();
  auto relations = nlohmann::json::array({{{"spdxElementId", "SPDXRef-DOCUMENT"},
                                           {"relationshipType", "DESCRIBES"},
                                           {"relatedSpdxElement", "SPDXRef-Image"}}});
  entries.push_back({{"SPDXID", "SPDXRef-Image"},
                     {"name", subject.name},
                     {"versionInfo", std::to_string(subject.version)},
                     {"downloadLocation", "NOASSERTION"},
                     {"filesAnalyzed", false},
                     {"primaryPackagePurpose", "OPERATING-SYSTEM"}});
  for (const auto& package : packages) {
    nlohmann::json entry{{"SPDXID", spdx_id(package)},
                         {"name", package.name},
                         {"versionInfo", package.version},
                         {"downloadLocation", "NOASSERTION"},
                         {"filesAnalyzed", false},
                         {"licenseConcluded", "NOASSERTION"},
                         {"licenseDeclared", "NOASSERTION"},
                         {"copyrightText", "NOASSERTION"},
                         {"sourceInfo", "built from Debian source package " + package.source},
                         {"externalRefs", nlohmann::json::array({{{"referenceCategory", "PACKAGE-MANAGER"},
                                                                  {"referenceType", "purl"},
                                                                  {"referenceLocator", purl(subject, package)}}})}};
    if (!package.sha256.empty())
      entry["checksums"] = nlohmann::json::array({{{"algorithm", "SHA256"}, {"checksumValue", package.sha256}}});
    relations.push_back({{"spdxElementId", "SPDXRef-Image"},
                         {"relationshipType", "CONTAINS"},
                         {"relatedSpdxElement", spdx_id(package)}});
    entries.push_back(std::move(entry));
  }
  const nlohmann::json document{
      {"spdxVersion", "SPDX-2.3"},
      {"dataLicense", "CC0-1.0"},
      {"SPDXID", "SPDXRef-DOCUMENT"},
      {"name", fmt::format("{}-{}", subject.name, subject.version)},
      {"documentNamespace", "urn:uuid:" + to_text(document_guid(subject, "spdx"))},
      {"creationInfo", {{"created", timestamp()}, {"creators", nlohmann::json::array({"Tool: ingot"})}}},
      {"packages", entries},
      {"relationships", relations}};
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace ingot::builder
