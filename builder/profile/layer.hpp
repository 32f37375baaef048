// One profile file applied over what it extends.
#pragma once

#include <map>
#include <span>

#include "command_line.hpp"
#include "ingot/model/profile.hpp"
#include "network.hpp"

namespace ingot::builder::detail {

/// A profile while its files are applied, base first, with what only the end can judge.
struct Draft {
  Profile profile;
  std::optional<Located<Compression>> compression;
  std::optional<Located<int>> compression_level;
  std::optional<TextLocation> filesystem_at;
  TextLocation swap_at;                       ///< of the last swap_size
  TextLocation next_pcr_7_at;                 ///< of the last next_pcr7
  std::map<std::string, ExtraFile> files;     ///< by path
  std::map<std::string, ModuleFile> modules;  ///< by name
  LocatedTexts loaded_modules;
  NetworkDraft network;
  std::map<std::string, TextLocation> user_at;  ///< by name
  std::optional<TextLocation> ssh_at;
  std::optional<TextLocation> ssh_from_at;  ///< of a `from` that the profile itself gives
  ShellAccess shell = ShellAccess::refused;
  TextLocation end;  ///< of the file that was asked for: where missing keys are reported
};

/// They travel in the profile, so in memory.
inline constexpr std::uint64_t profile_file_cap_bytes = 16u << 20;

/// Applies one file's tables. `folder` is where the file lies: sources and images are relative to it.
Result<void> apply_layer(Draft& draft, const TableReader& top, const std::string& folder);
/// A file that a key names, relative to the profile's folder. It stays there, links included: a profile taken from
/// elsewhere must not be able to pick up files of the build machine. `what` is the key.
Result<Buffer> read_profile_file(const Located<std::string>& source, std::string_view what, const std::string& folder,
                                 std::uint64_t cap_bytes = profile_file_cap_bytes);
/// `[boot]`, in boot.cpp; and whether all volumes can be bound to the PCR 7 that is to come.
Result<void> apply_boot(Draft& draft, const TableReader& table);
Result<void> finish_boot(const Draft& draft);
/// `[files]`, in files.cpp.
Result<void> apply_files(Draft& draft, const TableReader& files, const std::string& folder);
/// `[hardening]`, in hardening.cpp; and what the settings table adds to the command line, when all files are applied.
Result<void> apply_hardening(Draft& draft, const TableReader& table);
Result<void> finish_hardening(Draft& draft);
/// `[ssh]` and `[users]`, in ssh.cpp and users.cpp; and whether anybody can log in, when all files are applied.
Result<void> apply_ssh(Draft& draft, const TableReader& table, const std::string& folder);
/// What the site says where the profile does not: whom its flows let in, and the principal of its bastion.
void finish_ssh(Draft& draft);
/// Whether what the profile asks of SSH fits the site and the base; in lock_out.cpp.
Result<void> check_lock_out(const Draft& draft);
Result<void> apply_users(Draft& draft, const TableReader& users);
Result<void> finish_users(const Draft& draft);
/// `[time]`, in time.cpp.
Result<void> apply_time(Draft& draft, const TableReader& table);
/// Whom the node asks and whom it answers, where the profile says neither: the site's time role, by its flows.
void finish_time(Draft& draft);
/// "10.0.0.0/24", "fd00::/64", with no bits behind the prefix: of several networks that a text could mean, tools take
/// different ones.
bool is_prefix(const std::string& text);

/// `[shipping]` and `[collector]`, in shipping.cpp.
Result<void> apply_shipping(Draft& draft, const TableReader& table, const std::string& folder);
Result<void> apply_collector(Draft& draft, const TableReader& table);
Result<void> finish_shipping(const Draft& draft);
/// That a base of packages has those which `table` needs; `at` is where the table stands. What an imported base has is
/// known when it is unpacked.
Result<void> check_packages(const Draft& draft, const TextLocation& at, std::string_view table,
                            std::span<const std::string_view> needed);
/// A size of `least` bytes or more in whole MiB, where the table has the key. With `least` 0 it may be 0.
Result<void> apply_size(std::uint64_t& into, const TableReader& table, std::string_view key, std::uint64_t least);
/// `[[volume]]`, in volumes.cpp: one that the base names, too, changes it.
/// `enabled = false` takes it away.
Result<void> apply_volumes(Draft& draft, const std::vector<TableReader>& volumes);
Result<void> finish_volumes(const Draft& draft);
/// Whether the base has what a swap of [disk] needs, in volumes.cpp.
Result<void> finish_swap(const Draft& draft);
/// `key` of a volume and `[keyserver]`, in volume_keys.cpp; and over which plane the key server is reached.
Result<void> apply_volume_key(Volume& volume, const TableReader& table);
Result<void> apply_key_server(Draft& draft, const TableReader& table);
Result<void> finish_volume_keys(Draft& draft);
/// `[bastion]`, in bastion.cpp.
Result<void> apply_bastion(Draft& draft, const TableReader& table, const std::string& folder);
Result<void> finish_bastion(const Draft& draft);

/// `[modules]`, in modules.cpp: what the profile that is extended brings is there, too.
Result<void> apply_modules(Draft& draft, const TableReader& table, const std::string& folder);
Result<void> finish_modules(Draft& draft);

/// What only shows when all files are applied: required keys, contradictions, defaults.
Result<Profile> finish(Draft draft);

}  // namespace ingot::builder::detail
