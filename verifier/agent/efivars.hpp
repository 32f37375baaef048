// EFI variables as files of efivarfs (Linux, Documentation/filesystems/efivarfs.rst): attributes (u32), then the data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"

namespace ingot::agent {

inline constexpr const char* default_efivars = "/sys/firmware/efi/efivars";
/// UEFI 2.10, 8.2 "Variable Services": it outlives a restart.
inline constexpr std::uint32_t efi_variable_non_volatile = 1;

struct EfiVariable {
  std::uint32_t attributes = 0;
  Buffer data;
};

/// Error (missing): not started by UEFI, or efivarfs is not mounted there. Without this an empty folder would say that
/// firmware has no variables.
Result<void> check_efivars(const std::string& efivars);
std::string variable_path(const std::string& efivars, std::string_view name, const Guid& guid);
/// Nothing when firmware has no such variable. Errors: shorter than its attributes (malformed), more than 1 MiB
/// (limit).
Result<std::optional<EfiVariable>> read_variable(const std::string& path);

}  // namespace ingot::agent
