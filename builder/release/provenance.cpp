#include <nlohmann/json.hpp>

#include "ingot/builder/release.hpp"
#include "purl.hpp"

namespace ingot::builder {

// SLSA v1.0, "Provenance", "Schema".
std::string render_provenance(const Profile& profile, const std::vector<codec::BuildArtifact>& subjects,
                              const std::vector<LockedPackage>& packages,
                              const std::map<std::string, std::string>& tool_versions) {
  auto subject = nlohmann::json::array();
  for (const auto& one : subjects) subject.push_back({{"name", one.name}, {"digest", {{"sha256", one.sha256}}}});
  auto materials = nlohmann::json::array();
  for (const auto& package : packages)
    materials.push_back({{"uri", debian_purl(package.name, package.version, package.architecture, {})},
                         {"digest", {{"sha256", package.sha256}}}});
  if (const auto* imported = std::get_if<ImportedBase>(&profile.base); imported != nullptr && !imported->sha256.empty())
    materials.push_back({{"name", "base image"}, {"digest", {{"sha256", imported->sha256}}}});
  const nlohmann::json statement{
      {"_type", "https://in-toto.io/Statement/v1"},
      {"subject", subject},
      {"predicateType", codec::provenance_predicate_type},
      {"predicate",
       {{"buildDefinition",
         {{"buildType", "https://ingot.dev/build/v1"},
          {"externalParameters", {{"profile", profile.name}, {"version", profile.version}, {"role", profile.role}}},
          {"resolvedDependencies", materials}}},
        {"runDetails", {{"builder", {{"id", "https://ingot.dev/builder/v1"}, {"version", tool_versions}}}}}}}};
  return statement.dump();
}

}  // namespace ingot::builder
