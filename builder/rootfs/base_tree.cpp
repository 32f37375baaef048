#include "ingot/builder/base_tree.hpp"

#include <fmt/format.h>

#include "import.hpp"
#include "package_base.hpp"

namespace ingot::builder {
namespace {

Result<Tree> import_base(const ImportedBase& base, const std::string& cache, Progress& progress) {
  const auto import = [&]() -> Result<detail::Imported> {
    switch (base.kind) {
      case ImportKind::disk:
        return detail::import_disk_image(base.path, cache, progress);
      case ImportKind::tar:
        return detail::import_tar_file(base.path, cache, progress);
      case ImportKind::oci:
        return detail::import_oci_layout(base.path, cache, progress);
    }
    return fail(ErrorCode::internal, "no such kind of base");
  };
  auto imported = TRY(import());
  if (!base.sha256.empty() && imported.sha256 != base.sha256)
    return fail(ErrorCode::crypto,
                fmt::format("{} has the SHA-256 {}, the profile says {}", base.path, imported.sha256, base.sha256),
                "get the image again, or change sha256 in [base] if this is the one you mean");
  return std::move(imported.tree);
}

}  // namespace

Result<BaseTree> make_base_tree(const Profile& profile, const BaseOptions& options, Progress& progress) {
  BaseTree out;
  if (const auto* packages = std::get_if<PackageBase>(&profile.base)) {
    out = TRY(detail::make_package_base(*packages, profile.kernel.package, options, progress));
  } else {
    out.tree = TRY(import_base(std::get<ImportedBase>(profile.base), options.cache, progress));
  }
  strip_tree(out.tree);
  TRY(lock_accounts(out.tree));
  out.digest = tree_digest(out.tree);
  return out;
}

}  // namespace ingot::builder
