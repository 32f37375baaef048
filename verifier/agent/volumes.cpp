#include "volumes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "ingot/base/source.hpp"
#include "ingot/codec/report.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr const char* block_devices = "/sys/class/block";
constexpr const char* labels = "/dev/disk/by-partlabel";
constexpr const char* systemd_recovery = "systemd-recovery";
constexpr std::uint64_t attribute_cap_bytes = 4096;

class Device {
 public:
  explicit Device(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  /// The first bytes; fewer where the device ends before.
  [[nodiscard]] Result<Buffer> beginning(std::size_t size_bytes) const {
    Buffer out(size_bytes);
    std::size_t got = 0;
    while (got < size_bytes) {
      const auto count = ::pread(fd_, out.data() + got, size_bytes - got, static_cast<off_t>(got));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return fail(io_error("reading it", errno));
      if (count == 0) break;
      got += static_cast<std::size_t>(count);
    }
    out.resize(got);
    return out;
  }

 private:
  int fd_;
};

Result<codec::LuksMetadata> metadata_of(const Device& device) {
  const auto first = TRY(device.beginning(codec::luks_binary_header_bytes));
  const auto size = TRY(codec::luks_metadata_size(first));
  return codec::decode_luks_metadata(TRY(device.beginning(2 * size)));
}

/// udev's link to the partition, where the kernel was told of a partition without its name, as systemd-repart does on
/// the boot on which it makes one.
std::string linked_label(const fs::path& device) {
  std::error_code ec;
  for (const auto& link : fs::directory_iterator(labels, ec)) {
    std::error_code gone;
    if (fs::canonical(link.path(), gone).filename() == device.filename()) return link.path().filename().string();
  }
  return {};
}

/// "PARTNAME=models" of the partition's uevent.
std::string partition_label(const fs::path& device) {
  constexpr std::string_view key = "PARTNAME=";
  const auto text = read_file((device / "uevent").string(), attribute_cap_bytes);
  if (!text) return {};
  auto rest = as_text(*text);
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    if (line.starts_with(key)) return std::string(line.substr(key.size()));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return linked_label(device);
}

std::string attribute(const fs::path& path) {
  const auto text = read_file(path.string(), attribute_cap_bytes);
  return text ? std::string(as_text(*text).substr(0, as_text(*text).find('\n'))) : std::string();
}

/// Of what device mapper makes of a device. With dm-integrity, libcryptsetup puts one more device between the two.
std::vector<std::string> mapped_names(const fs::path& device) {
  constexpr std::string_view between = "CRYPT-INTEGRITY-";
  std::error_code ec;
  std::vector<std::string> names;
  for (const auto& holder : fs::directory_iterator(device / "holders", ec)) {
    const auto name = attribute(holder.path() / "dm/name");
    if (name.empty()) continue;
    const auto above =
        attribute(holder.path() / "dm/uuid").starts_with(between) ? mapped_names(holder.path()) : decltype(names)();
    if (above.empty())
      names.push_back(name);
    else
      names.insert(names.end(), above.begin(), above.end());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string fields_of(const fs::path& device) {
  std::string out;
  if (const auto label = partition_label(device); !label.empty()) out += fmt::format("\tlabel {}", label);
  const auto names = mapped_names(device);
  for (const auto& name : names) out += fmt::format("\tmapped {}", name);
  return out;
}

/// Nothing for a device that holds something else, or nothing.
Result<std::optional<codec::LuksMetadata>> volume_on(const std::string& path) {
  const Device device(path);
  if (!device.is_open()) {
    if (errno == ENOMEDIUM || errno == ENXIO || errno == ENOENT) return std::optional<codec::LuksMetadata>();
    return fail(io_error("opening it", errno));
  }
  auto found = metadata_of(device);
  if (found) return std::optional(*std::move(found));
  if (found.error().code == ErrorCode::missing) return std::optional<codec::LuksMetadata>();
  return fail(std::move(found.error()));
}

}  // namespace

Result<std::string> report_volumes() {
  std::error_code ec;
  std::vector<fs::path> devices;
  for (const auto& entry : fs::directory_iterator(block_devices, ec)) devices.push_back(entry.path());
  if (ec) return fail(io_error(fmt::format("reading {}", block_devices), ec.value()));
  std::sort(devices.begin(), devices.end());
  std::string out;
  for (const auto& device : devices) {
    auto name = device.filename().string();
    std::replace(name.begin(), name.end(), '!', '/');  // sysfs writes "cciss!c0d0"
    const auto volume = TRY_IN(name, volume_on("/dev/" + name));
    if (!volume) continue;
    const auto line = fmt::format("{}{}\tuuid {}\theader {}", name, fields_of(device), volume->uuid, volume->json);
    out += codec::report_text(as_bytes(line)) + "\n";
  }
  return out;
}

Result<codec::LuksMetadata> read_luks_metadata(const std::string& path) {
  const Device device(path);
  if (!device.is_open()) return fail(io_error(fmt::format("opening {}", path), errno));
  return TRY_IN(path, metadata_of(device));
}

Result<bool> needs_recovery_key(const std::string& device, const std::string& recipient_sha256) {
  const auto metadata = TRY(read_luks_metadata(device));
  const auto header = TRY_IN(device, codec::decode_luks_json(metadata.json));
  const auto* slot = header.token(systemd_recovery);
  const auto* kept = header.token(codec::luks_recovery_type);
  return slot == nullptr || kept == nullptr || kept->key_slots != slot->key_slots ||
         kept->recovery.recipient_sha256 != recipient_sha256;
}

Result<std::string> recovery_token(const std::string& device, codec::LuksRecovery recovery) {
  const auto metadata = TRY(read_luks_metadata(device));
  const auto header = TRY_IN(device, codec::decode_luks_json(metadata.json));
  const auto* slot = header.token(systemd_recovery);
  if (slot == nullptr)
    return fail(ErrorCode::missing, fmt::format("{} has no key slot for a recovery key", device),
                "systemd-cryptenroll --recovery-key makes one");
  return codec::encode_luks_recovery(recovery, slot->key_slots.front());
}

}  // namespace ingot::agent
