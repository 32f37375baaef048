// OCI Image Layout Specification 1.1 and OCI Image Specification 1.1, "Image Manifest", "Image Layer Filesystem
// Changeset".
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "import.hpp"
#include "index_file.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::builder {
namespace detail {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::uint64_t json_cap_bytes = 4u << 20;
constexpr std::size_t layer_cap = 512;
constexpr int index_depth_cap = 4;
constexpr std::string_view whiteout = ".wh.";
constexpr std::string_view opaque = ".wh..wh..opq";

struct Descriptor {
  std::string media_type;
  std::string sha256;
  std::uint64_t size_bytes = 0;
};

/// The files of a layout: a folder, or the tree of a tar.
class Layout {
 public:
  explicit Layout(std::string folder) : folder_(std::move(folder)) {}
  explicit Layout(Tree tree) : tree_(std::move(tree)) {}

  [[nodiscard]] Result<SharedSource> open(const std::string& name) const {
    if (!tree_) return file_source(folder_ + "/" + name);
    const auto* entry = tree_->resolve("/" + name);
    if (entry == nullptr || entry->type != EntryType::file)
      return fail(ErrorCode::missing, fmt::format("it has no {}", name));
    return entry->content != nullptr ? entry->content : memory_source({});
  }

  /// A blob whose bytes are what its name says.
  [[nodiscard]] Result<SharedSource> blob(const Descriptor& descriptor) const {
    auto source = TRY(open("blobs/sha256/" + descriptor.sha256));
    if (source->size() != descriptor.size_bytes)
      return fail(ErrorCode::malformed, fmt::format("the blob {} has {} bytes, its descriptor says {}",
                                                    descriptor.sha256, source->size(), descriptor.size_bytes));
    const auto digest = to_hex(TRY(crypto::hash_source(HashAlg::sha256, *source)));
    if (digest != descriptor.sha256)
      return fail(ErrorCode::malformed, fmt::format("the blob {} has the SHA-256 {}", descriptor.sha256, digest),
                  "fetch the image again");
    return source;
  }

 private:
  std::string folder_;
  std::optional<Tree> tree_;
};

Result<Json> parse_json(const ByteSource& source, std::string_view what) {
  const auto bytes = TRY_IN(what, read_all(source, json_cap_bytes));
  auto json = Json::parse(bytes.begin(), bytes.end(), nullptr, false);
  if (json.is_discarded() || !json.is_object())
    return fail(ErrorCode::malformed, fmt::format("{} is no JSON object", what));
  return json;
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<Descriptor> parse_descriptor(const Json& json) {
  constexpr std::string_view prefix = "sha256:";
  Descriptor out;
  if (!json.is_object()) return fail(ErrorCode::malformed, "a descriptor that is no object");
  out.media_type = text_of(json, "mediaType");
  const auto digest = text_of(json, "digest");
  if (!digest.starts_with(prefix))
    return fail(ErrorCode::unsupported, fmt::format("the digest \"{}\", expected sha256:...", digest));
  out.sha256 = digest.substr(prefix.size());
  if (out.sha256.size() != 64 || out.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
    return fail(ErrorCode::malformed, fmt::format("the digest \"{}\"", digest));
  const auto size = json.find("size");
  if (size == json.end() || !size->is_number_unsigned())
    return fail(ErrorCode::malformed, "a descriptor without a size");
  out.size_bytes = size->get<std::uint64_t>();
  return out;
}

bool is_for_us(const Json& descriptor) {
  const auto platform = descriptor.find("platform");
  if (platform == descriptor.end() || !platform->is_object()) return true;
  return text_of(*platform, "architecture") == "amd64" && text_of(*platform, "os") == "linux";
}

/// The one manifest for this architecture, through nested indexes.
Result<Descriptor> find_manifest(const Layout& layout, const Json& index, int depth) {
  const auto manifests = index.find("manifests");
  if (manifests == index.end() || !manifests->is_array())
    return fail(ErrorCode::malformed, "its index has no manifests");
  std::vector<Descriptor> found;
  for (const auto& entry : *manifests)
    if (entry.is_object() && is_for_us(entry)) found.push_back(TRY(parse_descriptor(entry)));
  if (found.size() != 1)
    return fail(ErrorCode::unsupported, fmt::format("it has {} images for linux/amd64, expected one", found.size()),
                "copy the one you mean into a layout of its own");
  if (found.front().media_type.find("index") == std::string::npos &&
      found.front().media_type.find("manifest.list") == std::string::npos)
    return found.front();
  if (depth == index_depth_cap) return fail(ErrorCode::limit, "its indexes are nested too deeply");
  const auto inner = TRY(layout.blob(found.front()));
  return find_manifest(layout, TRY(parse_json(*inner, "an index")), depth + 1);
}

Result<std::vector<Descriptor>> find_layers(const Layout& layout, const Descriptor& manifest) {
  const auto json = TRY(parse_json(*TRY(layout.blob(manifest)), "the manifest"));
  const auto layers = json.find("layers");
  if (layers == json.end() || !layers->is_array() || layers->empty())
    return fail(ErrorCode::malformed, "its manifest has no layers");
  if (layers->size() > layer_cap) return fail(ErrorCode::limit, fmt::format("it has more than {} layers", layer_cap));
  std::vector<Descriptor> out;
  for (const auto& entry : *layers) {
    out.push_back(TRY(parse_descriptor(entry)));
    const auto& type = out.back().media_type;
    if (type.find("tar") == std::string::npos || type.find("encrypted") != std::string::npos ||
        type.find("foreign") != std::string::npos)
      return fail(ErrorCode::unsupported, fmt::format("a layer of type \"{}\", expected a tar", type));
  }
  return out;
}

std::pair<std::string, std::string> split(const std::string& path) {
  const auto slash = path.rfind('/');
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

/// Whiteouts speak of the layers below, wherever they stand in their own.
Result<void> apply_whiteouts(Tree& tree, const std::string& tar) {
  std::vector<std::string> gone;
  Tree scratch;  // add_tar() puts into a tree; nothing is taken here
  TRY(add_tar(scratch, tar, [&](const std::string& path, const TreeEntry&) -> Result<bool> {
    const auto [folder, name] = split(path);
    if (!name.starts_with(whiteout)) return false;
    auto real = tree.resolve_path(folder);
    if (real.empty()) return false;
    if (real == "/") real.clear();
    if (name == opaque) {
      const auto prefix = real + "/";
      for (auto at = tree.entries.lower_bound(prefix); at != tree.entries.end() && at->first.starts_with(prefix); ++at)
        if (at->first != "/") gone.push_back(at->first);
    } else if (!name.starts_with(".wh..wh.")) {
      if (name.size() == whiteout.size()) return fail(ErrorCode::malformed, fmt::format("{} takes nothing away", path));
      gone.push_back(fmt::format("{}/{}", real, name.substr(whiteout.size())));
    }
    return false;
  }));
  tree.remove_all(gone);
  return {};
}

Result<void> apply_layer(Tree& tree, const std::string& tar) {
  TRY(apply_whiteouts(tree, tar));
  return add_tar(tree, tar, [](const std::string& path, const TreeEntry&) -> Result<bool> {
    return !split(path).second.starts_with(whiteout);
  });
}

Result<Layout> open_layout(const std::string& path, const Cache& cache, std::optional<TemporaryFolder>& work,
                           Progress& progress) {
  std::error_code code;
  if (fs::is_directory(path, code)) return Layout(path);
  work.emplace(TRY(cache.work()));
  const auto plain = work->path() + "/layout.tar";
  TRY(decompress(TRY(file_source(path)), plain, progress));
  Tree tree;
  TRY(add_tar(tree, plain, {}));
  return Layout(std::move(tree));
}

Result<Imported> import_layout(const std::string& path, const Cache& cache, Progress& progress) {
  std::optional<TemporaryFolder> work;
  const auto layout = TRY(open_layout(path, cache, work, progress));
  const auto index = layout.open("index.json");
  if (!index)
    return fail(ErrorCode::malformed, "it has no index.json, so it is no OCI image layout",
                "make one with: skopeo copy SOURCE oci:FOLDER");
  const auto manifest = TRY(find_manifest(layout, TRY(parse_json(**index, "index.json")), 0));
  const auto name = "oci-" + manifest.sha256;
  const auto index_path = cache.tree(name) + ".index";
  progress.step("base tree", fmt::format("{}, manifest sha256:{}", path, manifest.sha256));
  if (auto tree = load_index(index_path)) {
    progress.cached();
    return Imported{*std::move(tree), manifest.sha256};
  }
  const auto layers = TRY(find_layers(layout, manifest));
  if (!work) work.emplace(TRY(cache.work()));
  Tree tree;
  std::vector<std::string> tars;
  for (const auto& layer : layers) {
    const auto tar = cache.tree("layer-" + layer.sha256);
    if (!fs::exists(tar)) {
      const auto made = fmt::format("{}/layer.tar", work->path());
      const auto digest = TRY(decompress(TRY(layout.blob(layer)), made, progress));
      if (digest != layer.sha256)
        return fail(ErrorCode::io, fmt::format("the blob {} changed while it was read", layer.sha256));
      TRY(publish(made, tar));
    }
    TRY_IN("layer sha256:" + layer.sha256, apply_layer(tree, tar));
    if (std::find(tars.begin(), tars.end(), tar) == tars.end()) tars.push_back(tar);
  }
  TRY(complete_tree(tree, progress));
  TRY(save_index(tree, tars, index_path));
  return Imported{std::move(tree), manifest.sha256};
}

}  // namespace

Result<Imported> import_oci_layout(const std::string& path, const std::string& cache_folder, Progress& progress) {
  auto cache = TRY(Cache::open(cache_folder));
  TRY(cache.lock(progress));
  return TRY_IN(path, import_layout(path, cache, progress));
}

}  // namespace detail

Result<Tree> import_oci(const std::string& path, const std::string& cache, Progress& progress) {
  return TRY(detail::import_oci_layout(path, cache, progress)).tree;
}

}  // namespace ingot::builder
