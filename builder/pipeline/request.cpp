#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "ingot/base/output.hpp"
#include "ingot/builder/config.hpp"
#include "ingot/builder/execution_policy.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/signing.hpp"
#include "ingot/codec/gpt.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/boot_chain.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view tampered_hint = "take a fresh copy of the request; compare its SHA-256 on both machines";

/// A content and its name.
struct NamedContent {
  const char* name;
  SharedSource source;
};
std::vector<NamedContent> contents_of(const ToSign& wish) {
  const SharedSource sources[] = {wish.uki.stub, wish.uki.kernel, wish.uki.initrd, wish.probe_initrd,
                                  memory_source(wish.partition_table)};
  static_assert(std::size(sources) == std::size(codec::request_contents));
  std::vector<NamedContent> contents;
  for (std::size_t i = 0; i < std::size(sources); ++i) contents.push_back({codec::request_contents[i], sources[i]});
  if (wish.chain != BootChain::uki) contents.push_back({codec::first_stage_content, wish.first_stage});
  return contents;
}

Result<codec::RequestHead> head_of(const ToSign& wish, const signer::KeyFolder& keys) {
  codec::RequestHead head;
  head.draft = wish.draft;
  head.command_line = wish.uki.command_line;
  head.probe_command_line = wish.probe_command_line;
  head.os_release = wish.uki.os_release;
  head.uname = wish.uki.uname;
  head.sbat = wish.uki.sbat;
  head.execution_policy = wish.execution_policy;
  head.phases = wish.phases;
  head.allowed_partitions = wish.allowed_partitions;
  head.disk_size_bytes = wish.disk_size_bytes;
  head.chain = wish.chain;
  head.vendor_db = wish.vendor_db;
  head.db_key = TRY(keys.public_half("db")).key_id();
  head.pcr_key = TRY(keys.public_half("pcr")).key_id();
  head.baseline_key = TRY(keys.public_half("baseline")).key_id();
  if (!wish.uki.system_phases.empty()) head.pcr_system_key = TRY(keys.public_half("pcr-system")).key_id();
  for (const auto& [name, source] : contents_of(wish)) {
    const auto digest = TRY(crypto::hash_source(HashAlg::sha256, *source));
    head.contents.push_back({name, source->size(), to_hex(digest)});
  }
  return head;
}

/// The first line, which ends within `cap`; its line feed is part of it.
Result<Buffer> first_line(const ByteSource& file) {
  constexpr std::uint64_t step_bytes = 64u << 10;
  Buffer line;
  while (line.size() < std::min(file.size(), codec::request_head_cap_bytes)) {
    const auto part = TRY(read_part(file, line.size(), std::min(step_bytes, file.size() - line.size()), step_bytes));
    const auto end = std::find(part.begin(), part.end(), '\n');
    line.insert(line.end(), part.begin(), end);
    if (end == part.end()) continue;
    line.push_back('\n');
    return line;
  }
  return fail(ErrorCode::malformed, "this is no signing request: it has no first line", std::string(tampered_hint));
}

/// The contents behind the first line, which must be what it says.
Result<std::vector<SharedSource>> read_contents(const SharedSource& file, std::uint64_t at,
                                                const codec::RequestHead& head) {
  std::vector<SharedSource> sources;
  for (const auto& content : head.contents) {
    if (content.size_bytes > file->size() - at)
      return fail(ErrorCode::malformed, fmt::format("the request ends within its {}", content.name),
                  std::string(tampered_hint));
    auto source = TRY(slice_source(file, at, content.size_bytes));
    if (to_hex(TRY(crypto::hash_source(HashAlg::sha256, *source))) != content.sha256)
      return fail(ErrorCode::malformed, fmt::format("the request's {} is not what its first line says", content.name),
                  std::string(tampered_hint));
    sources.push_back(std::move(source));
    at += content.size_bytes;
  }
  if (at != file->size())
    return fail(ErrorCode::malformed, "the request has bytes that its first line does not name",
                std::string(tampered_hint));
  return sources;
}

Result<ToSign> wish_of(const codec::RequestHead& head, const std::vector<SharedSource>& contents) {
  ToSign wish;
  wish.uki.stub = contents[0];
  wish.uki.kernel = contents[1];
  wish.uki.initrd = contents[2];
  wish.probe_initrd = contents[3];
  wish.partition_table = TRY(read_all(*contents[4], codec::gpt_first_usable_lba * codec::lba_size_bytes));
  wish.chain = head.chain;
  wish.vendor_db = head.vendor_db;
  if (wish.chain != BootChain::uki) wish.first_stage = contents[5];
  wish.uki.os_release = head.os_release;
  wish.uki.command_line = head.command_line;
  wish.uki.uname = head.uname;
  wish.uki.sbat = head.sbat;
  wish.uki.generation = head.draft.generation;
  if (!head.pcr_system_key.empty()) wish.uki.system_phases = head.phases;
  wish.execution_policy = head.execution_policy;
  wish.probe_command_line = head.probe_command_line;
  wish.draft = head.draft;
  wish.disk_size_bytes = head.disk_size_bytes;
  wish.allowed_partitions = head.allowed_partitions;
  wish.phases = head.phases;
  return wish;
}

tl::unexpected<Error> unexplained(const std::string& what) {
  return fail(ErrorCode::malformed, fmt::format("the request cannot be explained: {}", what),
              "nothing was signed; make a fresh request with `ingot build --sign-later`");
}

/// The root file system's GUID is the first half of the root hash (Discoverable Partitions Specification).
Result<void> check_partitions(const ToSign& wish) {
  const auto disk = TRY(joined_source({{0, memory_source(wish.partition_table)}}, wish.disk_size_bytes));
  const auto gpt = TRY_IN("the partition table", codec::decode_gpt(*disk));
  const auto hash = parse_hex(wish.draft.root_hash);
  if (!hash || hash->size() != 32) return unexplained("the baseline's root hash is none");
  const auto root = guid_from_big_endian(Bytes(*hash).first(16));
  const bool has_root = std::any_of(gpt.partitions.begin(), gpt.partitions.end(), [&](const auto& one) {
    return one.type == codec::root_x86_64_type && one.unique == root;
  });
  if (!has_root) return unexplained("the partition table has no root file system of that root hash");
  return {};
}

Result<void> check_texts(const ToSign& wish) {
  const auto& draft = wish.draft;
  const auto root_hash = " roothash=" + draft.root_hash;
  const auto& line = wish.uki.command_line;
  if (!line.ends_with(root_hash) || line.find("roothash=") != line.size() - root_hash.size() + 1)
    return unexplained("the command line does not start the root file system of the baseline");
  if (!wish.execution_policy.empty() && wish.execution_policy != execution_policy(draft.root_hash, draft.version))
    return unexplained("the execution policy is not that of this root file system");
  if (wish.probe_command_line != probe_command_line) return unexplained("the probe's command line is another one");
  if (os_release_value(wish.uki.os_release, "IMAGE_ID") != draft.profile ||
      os_release_value(wish.uki.os_release, "IMAGE_VERSION") != std::to_string(draft.version))
    return unexplained("os-release names another image than the baseline");
  if (!draft.events.empty() || !draft.pcrs.empty() || !draft.phases.empty() || !draft.uki_sha256.empty() ||
      !draft.uki_authenticode_sha256.empty() || !draft.stub.empty())
    return unexplained("it brings predictions of its own");
  return {};
}

/// What stands before the UKI must be what it is said to be; of systemd-boot this key's signature is asked.
Result<std::string> explain_chain(const SigningRequest& request) {
  const auto& wish = request.wish;
  const auto found = TRY_IN("the first stage", measure::boot_chain_of(*wish.first_stage));
  if (found != wish.chain)
    return unexplained(fmt::format("its first stage is no {}, but {}", to_text(wish.chain), to_text(found)));
  const auto name = TRY_IN("the first stage", measure::describe_first_stage(*wish.first_stage));
  const auto& sha256 = request.head.contents.back().sha256;
  if (wish.chain == BootChain::systemd_boot)
    return fmt::format("db: Authenticode of {} (SHA-256 {}), which starts uki.efi", name, sha256);
  return fmt::format("nothing: {} (SHA-256 {}) starts uki.efi, and others signed it", name, sha256);
}

Result<void> check_key(const signer::KeyFolder& keys, const char* name, const std::string& wanted) {
  const auto found = TRY(keys.public_half(name)).key_id();
  if (found == wanted) return {};
  return fail(ErrorCode::crypto, fmt::format("the request is for another {} key: {}, here is {}", name, wanted, found),
              "give the key folder whose public half the building machine has");
}

}  // namespace

Result<std::string> write_request(const ToSign& wish, const signer::KeyFolder& keys, const std::string& path) {
  const auto head = TRY(head_of(wish, keys));
  const auto line = codec::encode_request_head(head);
  const auto again = codec::decode_request_head(as_bytes(line));
  if (!again || *again != head)
    return fail(ErrorCode::malformed, "the image has texts that a request cannot carry (os-release, command line)",
                "they must be UTF-8");
  auto out = TRY(OutputFile::create(path));
  TRY(out.write_at(0, as_bytes(line)));
  std::uint64_t at = line.size();
  for (const auto& content : contents_of(wish)) {
    TRY(out.copy_at(at, *content.source));
    at += content.source->size();
  }
  TRY(out.truncate(at));
  auto id = to_hex(TRY(crypto::hash_source(HashAlg::sha256, *TRY(file_source(out.temporary_path())))));
  TRY(out.commit());
  return id;
}

Result<SigningRequest> read_request(const std::string& path) {
  const auto file = TRY(file_source(path));
  const auto line = TRY_IN(path, first_line(*file));
  auto head = TRY_IN(path, codec::decode_request_head(line));
  const auto contents = TRY_IN(path, read_contents(file, line.size(), head));
  auto wish = TRY_IN(path, wish_of(head, contents));
  return SigningRequest{to_hex(TRY(crypto::hash_source(HashAlg::sha256, *file))), std::move(head), std::move(wish)};
}

Result<std::vector<std::string>> explain(const SigningRequest& request) {
  const auto& wish = request.wish;
  TRY(check_texts(wish));
  TRY(check_partitions(wish));
  const auto& draft = wish.draft;
  const auto initrd = [&](std::size_t content) { return request.head.contents[content].sha256; };
  std::vector<std::string> lines;
  if (!wish.execution_policy.empty())
    lines.push_back(
        fmt::format("db: IPE policy: only the initrd and the root file system {} execute", draft.root_hash));
  lines.push_back(fmt::format("db: root hash {}", draft.root_hash));
  lines.push_back(fmt::format("pcr: PCR 11 of the UKI in the phase enter-initrd{}: volumes open for it",
                              draft.generation == 0 ? "" : fmt::format(", generation {}", draft.generation)));
  if (!wish.uki.system_phases.empty())
    lines.push_back(
        fmt::format("pcr-system: PCR 11 of the UKI in the phases after it, {}: secrets of the running system",
                    fmt::join(wish.uki.system_phases, ", ")));
  lines.push_back(fmt::format("db: Authenticode of uki.efi: Linux {}, initrd {}, command line \"{}\"", wish.uki.uname,
                              initrd(2), wish.uki.command_line));
  lines.push_back(fmt::format("db: Authenticode of probe.efi: Linux {}, initrd {}, command line \"{}\"", wish.uki.uname,
                              initrd(3), wish.probe_command_line));
  if (wish.chain != BootChain::uki) lines.push_back(TRY(explain_chain(request)));
  lines.push_back(fmt::format("baseline: {} version {}, role {}: {} settings, {} volumes; provenance by the key {}",
                              draft.profile, draft.version, draft.role, draft.settings.size(), draft.volumes.size(),
                              draft.provenance_key));
  return lines;
}

Result<codec::SigningAnswer> answer_request(const SigningRequest& request, const signer::KeyFolder& keys,
                                            Progress& progress) {
  TRY(explain(request));
  TRY(check_key(keys, "db", request.head.db_key));
  TRY(check_key(keys, "pcr", request.head.pcr_key));
  TRY(check_key(keys, "baseline", request.head.baseline_key));
  if (!request.head.pcr_system_key.empty()) TRY(check_key(keys, "pcr-system", request.head.pcr_system_key));
  const auto scratch = TRY(TemporaryFolder::create(std::filesystem::temp_directory_path().string(), "ingot-answer-"));
  auto recording = keys;
  recording.made = std::make_shared<std::vector<codec::AnsweredSignature>>();
  TRY(sign_image(request.wish, recording, scratch.path(), progress));
  return codec::SigningAnswer{request.id, *recording.made};
}

}  // namespace ingot::builder
