#include "ingot/codec/provenance.hpp"

#include "json.hpp"

namespace ingot::codec {
namespace {

constexpr const char* statement_type = "https://in-toto.io/Statement/v1";
constexpr std::size_t subject_cap = 1024;

Result<BuildArtifact> decode_subject(const json::Value& one) {
  BuildArtifact artifact{TRY(json::text(one, "name")), {}};
  if (artifact.name.empty() || artifact.name.front() == '.' || artifact.name.find('/') != std::string::npos)
    return fail(ErrorCode::malformed,
                fmt::format("a subject is named \"{}\", which is no plain file name", artifact.name));
  const auto digest = TRY(json::hex(*TRY(json::member(*TRY(json::member(one, "digest")), "sha256")), "sha256"));
  if (digest.size() != 32)
    return fail(ErrorCode::malformed, fmt::format("a SHA-256 digest of {} bytes", digest.size()));
  artifact.sha256 = to_hex(digest);
  return artifact;
}

}  // namespace

Result<std::vector<BuildArtifact>> decode_provenance_subjects(Bytes text) {
  const auto document = TRY(json::parse(text));
  if (TRY(json::text(document, "_type")) != statement_type ||
      TRY(json::text(document, "predicateType")) != provenance_predicate_type)
    return fail(ErrorCode::malformed, "not a build provenance", "give the provenance.json of a build");
  std::vector<BuildArtifact> artifacts;
  for (const auto& one : *TRY(json::array(document, "subject", subject_cap)))
    artifacts.push_back(TRY_IN(fmt::format("subject {}", artifacts.size()), decode_subject(one)));
  return artifacts;
}

}  // namespace ingot::codec
