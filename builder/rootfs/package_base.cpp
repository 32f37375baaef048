#include "package_base.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "apt.hpp"
#include "cache.hpp"
#include "deb.hpp"
#include "index_file.hpp"
#include "ingot/base/output.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::builder::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t lock_cap_bytes = 16u << 20;
/// Part of every tree's key: raise it when run_mmdebstrap() changes what comes out.
constexpr std::string_view recipe = "ingot-base/1";
constexpr std::size_t named_in_errors = 5;

std::vector<std::string> requested(const PackageBase& base, const std::string& kernel_package) {
  auto names = base.packages;
  if (!kernel_package.empty()) names.push_back(kernel_package);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::string named(const std::vector<LockedPackage>& packages) {
  std::vector<std::string> names;
  for (const auto& package : packages) {
    if (names.size() == named_in_errors) {
      names.push_back(fmt::format("and {} more", packages.size() - named_in_errors));
      break;
    }
    names.push_back(fmt::format("{} {} ({})", package.name, package.version, package.architecture));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

/// One build of a base from packages, under the cache's lock.
class PackageBuild {
 public:
  PackageBuild(const PackageBase& base, const std::string& kernel_package, const BaseOptions& options,
               const Cache& cache, Progress& progress)
      : base_(base),
        names_(requested(base, kernel_package)),
        request_(request_digest(base, kernel_package)),
        options_(options),
        cache_(cache),
        progress_(progress) {}

  Result<BaseTree> run() {
    auto lock = TRY(read_lock());
    const bool is_new = !lock;
    if (!lock) lock = TRY(make_lock());
    const auto key = crypto::sha256_hex(as_bytes(fmt::format("{}\n{}\n{}", recipe, image_time, render_lock(*lock))));
    const auto tar = cache_.tree(key);
    progress_.step("base tree", fmt::format("{} packages of {}", lock->packages.size(), lock->suite));
    if (fs::exists(tar)) {
      progress_.cached();
    } else {
      TRY(fetch(*lock));
      TRY(make_tree(*lock, tar));
    }
    // Last: a lock is only written once everything in it has been seen to build.
    if (is_new && !options_.lock_path.empty()) TRY(write_file(options_.lock_path, as_bytes(render_lock(*lock))));
    return BaseTree{TRY(cached_index(tar, progress_)), {}, std::move(lock->packages)};
  }

 private:
  /// The lock to obey; nothing when one is to be made.
  Result<std::optional<Lock>> read_lock() const {
    if (options_.lock_path.empty() || options_.update_lock || !fs::exists(options_.lock_path)) return std::nullopt;
    const auto text = TRY(read_file(options_.lock_path, lock_cap_bytes));
    auto lock = TRY(parse_lock(options_.lock_path, as_text(text)));
    if (lock.request_sha256 != request_ || lock.suite != base_.suite)
      return fail(ErrorCode::usage,
                  fmt::format("{} answers another request: the profile's packages, suite or components have changed",
                              options_.lock_path),
                  "renew it with --update-lock");
    return lock;
  }

  Result<const Apt*> apt() {
    if (!apt_) {
      const auto sources = TRY(find_sources(base_, options_.mirror));
      std::string id;
      for (const auto& source : sources) id += fmt::format("{} {}\n", source.uri, source.suite);
      id += fmt::format("{}", fmt::join(base_.components, " "));
      apt_ = TRY(
          Apt::create(cache_.path("apt/" + crypto::sha256_hex(as_bytes(id)).substr(0, 16)), sources, base_.components));
      if (!options_.offline) {
        progress_.step("package lists", fmt::format("{} of {}", base_.suite, sources.front().uri));
        TRY(apt_->update());
      }
    }
    return &*apt_;
  }

  Result<Lock> make_lock() {
    const auto* tool = TRY(apt());
    if (!tool->has_lists())
      return fail(ErrorCode::missing,
                  "there is neither a lock nor a cached package list, and --offline forbids fetching one",
                  "build once without --offline");
    progress_.step("resolve", fmt::format("{} packages asked for", names_.size()));
    Lock lock{base_.suite, request_, {}};
    for (auto& file : TRY(tool->resolve(names_))) {
      uris_.emplace(file.package.sha256, file.uri);
      lock.packages.push_back(std::move(file.package));
    }
    return lock;
  }

  /// What of the lock is not in the cache. A file that does not have the digest it is named by is removed.
  Result<std::vector<LockedPackage>> missing(const Lock& lock) const {
    std::vector<LockedPackage> out;
    for (const auto& package : lock.packages) {
      const auto path = cache_.deb(package.sha256);
      if (!fs::exists(path)) {
        out.push_back(package);
        continue;
      }
      const auto file = TRY(file_source(path));
      if (to_hex(TRY(crypto::hash_source(HashAlg::sha256, *file))) == package.sha256) continue;
      (void)::unlink(path.c_str());
      out.push_back(package);
    }
    return out;
  }

  Result<void> fetch(const Lock& lock) {
    const auto wanted = TRY(missing(lock));
    if (wanted.empty()) return {};
    if (options_.offline)
      return fail(ErrorCode::missing, fmt::format("--offline, and the cache lacks {}", named(wanted)),
                  "build once without --offline");
    const auto* tool = TRY(apt());
    if (uris_.empty()) uris_ = TRY(tool->uris_by_sha256(wanted));
    std::vector<PackageFile> files;
    std::vector<LockedPackage> gone;
    std::uint64_t total = 0;
    for (const auto& package : wanted) {
      const auto uri = uris_.find(package.sha256);
      if (uri == uris_.end()) {
        gone.push_back(package);
        continue;
      }
      files.push_back({package, uri->second});
      total += package.size_bytes;
    }
    if (!gone.empty())
      return fail(ErrorCode::missing, fmt::format("the mirror no longer has {}", named(gone)),
                  "renew the lock with --update-lock, name a mirror or snapshot that still has it with --mirror, or "
                  "build with a "
                  "cache that has it");
    progress_.step("packages", fmt::format("{} files, {} MiB", files.size(), total >> 20));
    const auto work = TRY(cache_.work());
    TRY(tool->fetch(files, work.path(), progress_));
    for (const auto& file : files) TRY(adopt(file.package, fmt::format("{}/{}.deb", work.path(), file.package.sha256)));
    return {};
  }

  Result<void> adopt(const LockedPackage& package, const std::string& path) const {
    const auto file = TRY_IN(fmt::format("fetching {}", package.name), file_source(path));
    const auto digest = to_hex(TRY(crypto::hash_source(HashAlg::sha256, *file)));
    if (digest != package.sha256)
      return fail(ErrorCode::crypto,
                  fmt::format("{} {}: the file's SHA-256 is {}, the lock says {}", package.name, package.version,
                              digest, package.sha256),
                  "try another mirror");
    return publish(path, cache_.deb(package.sha256));
  }

  /// A flat repository of exactly the locked files: mmdebstrap cannot take anything else.
  Result<void> make_repository(const Lock& lock, const std::string& folder) const {
    std::error_code code;
    fs::create_directory(folder, code);
    if (code) return fail(io_error(fmt::format("creating {}", folder), code.value()));
    std::string index;
    for (const auto& package : lock.packages) {
      const auto deb = cache_.deb(package.sha256);
      auto control = TRY(read_control(deb));
      auto fields = control_fields(control);
      if (fields["Package"] != package.name || fields["Version"] != package.version ||
          fields["Architecture"] != package.architecture)
        return fail(ErrorCode::malformed,
                    fmt::format("{} is {} {} ({}), the lock says {}", deb, fields["Package"], fields["Version"],
                                fields["Architecture"], named({package})),
                    "renew the lock with --update-lock");
      while (control.ends_with('\n')) control.pop_back();
      index += fmt::format("{}\nFilename: ./{}.deb\nSize: {}\nSHA256: {}\n\n", control, package.sha256,
                           package.size_bytes, package.sha256);
      fs::create_symlink(deb, fmt::format("{}/{}.deb", folder, package.sha256), code);
      if (code) return fail(io_error(fmt::format("linking {}", deb), code.value()));
    }
    return write_file(folder + "/Packages", as_bytes(index));
  }

  Result<void> make_tree(const Lock& lock, const std::string& tar) {
    if (::geteuid() != 0)
      return fail(ErrorCode::usage,
                  "making a tree from packages runs their installation scripts in a chroot, which only root can do",
                  "run as root, or import an image as the base");
    const auto work = TRY(cache_.work());
    const auto repository = work.path() + "/packages";
    TRY(make_repository(lock, repository));
    progress_.step("install", fmt::format("{} packages with mmdebstrap", lock.packages.size()));
    const auto made = work.path() + "/tree.tar";
    TRY(run_mmdebstrap(lock, repository, work.path(), made));
    TRY(publish(made, tar));
    return {};
  }

  Result<void> run_mmdebstrap(const Lock& lock, const std::string& repository, const std::string& work,
                              const std::string& tar) {
    std::vector<std::string> include;
    for (const auto& package : lock.packages) include.push_back(fmt::format("{}={}", package.name, package.version));
    Command command;
    // Namespaces of its own: no mount outlives it, no process survives it, and no installation script reaches the
    // network.
    command.argv = {
        "unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "--", "mmdebstrap",
        "--mode=root", "--format=tar", "--verbose",
        // "custom" installs the named packages alone: not even apt, which a node that is never patched has no use for.
        "--variant=custom", "--architectures=amd64", "--include=" + fmt::format("{}", fmt::join(include, ",")),
        "--aptopt=APT::Sandbox::User \"root\"", "--aptopt=Acquire::Languages \"none\"",
        // The tree is thrown away when this is interrupted. (path-exclude would filter each package through Python:
        // four times the time that strip_tree() needs for the whole tree.)
        "--dpkgopt=force-unsafe-io", "", tar, fmt::format("deb [trusted=yes] copy://{} ./", repository)};
    command.environment = {{"SOURCE_DATE_EPOCH", fmt::format("{}", image_time)},
                           {"TMPDIR", work},
                           {"DEBIAN_FRONTEND", "noninteractive"},
                           // initramfs-tools: the initrd is ours to make, theirs takes seconds.
                           {"INITRD", "No"}};
    std::uint64_t done = 0;
    const auto total = 2 * lock.packages.size();
    const auto count = [&](std::string_view line) {
      if (line.starts_with("Unpacking ") || line.starts_with("Setting up "))
        progress_.at(std::min<std::uint64_t>(++done, total), total);
    };
    command.standard_error = count;
    std::string text;
    command.standard_output = [&](Bytes chunk) -> Result<void> {
      text += as_text(chunk);
      for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
        count(std::string_view(text).substr(0, end));
        text.erase(0, end + 1);
      }
      return {};
    };
    TRY(run_checked(command));
    return {};
  }

  const PackageBase& base_;
  std::vector<std::string> names_;
  std::string request_;
  const BaseOptions& options_;
  const Cache& cache_;
  Progress& progress_;
  std::optional<Apt> apt_;
  std::map<std::string, std::string> uris_;  ///< by SHA-256, of a request that was just resolved
};

}  // namespace

std::string request_digest(const PackageBase& base, const std::string& kernel_package) {
  auto components = base.components;
  std::sort(components.begin(), components.end());
  return crypto::sha256_hex(
      as_bytes(fmt::format("ingot-request/1\namd64\n{}\n{}\n{}\n", base.suite, fmt::join(components, " "),
                           fmt::join(requested(base, kernel_package), "\n"))));
}

Result<BaseTree> make_package_base(const PackageBase& base, const std::string& kernel_package,
                                   const BaseOptions& options, Progress& progress) {
  auto cache = TRY(Cache::open(options.cache));
  TRY(cache.lock(progress));
  return PackageBuild(base, kernel_package, options, cache, progress).run();
}

}  // namespace ingot::builder::detail
