// The rig: swtpm + OVMF + QEMU, evidence out. Nothing of the host is touched: private state folder, no fixed ports, no
// network but a server on loopback for a boot over HTTP.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/builder/progress.hpp"
#include "ingot/model/evidence.hpp"

namespace ingot::rig {

/// A disk or disc with content that somebody puts into the machine. It can only be read.
struct Medium {
  enum class Drive {
    disk,  ///< a virtio disk, as a hypervisor gives one
    cd,    ///< a disc in a SATA drive
    usb,   ///< a stick on an xHCI controller
  };
  Drive drive{};
  std::string file;  ///< raw content
};
/// "disk:FILE", "cd:FILE" or "usb:FILE". Errors: usage, missing.
Result<Medium> parse_medium(std::string_view text);

/// Everything that PCR 0-3 depend on.
struct MachineShape {
  std::uint64_t memory_mib = 2048;
  unsigned cpus = 2;
  bool nic = false;          ///< a virtio network card with its option ROM, no network behind it
  bool second_disk = false;  ///< an empty virtio disk behind the boot disk
  /// Starts over HTTP from a virtio network card that reaches the rig's own server and nothing else; no boot disk.
  bool http_boot = false;
  /// One virtio network card without option ROM on each of these tap devices, which exist and which nobody else uses
  /// (in a network namespace of the caller's, say).
  std::vector<std::string> taps = {};
  std::vector<Medium> media = {};  ///< at most four
  std::string option_rom = {};     ///< file with the ROM of `nic`; empty: QEMU's own
};

enum class BootEnd {
  evidence,  ///< the node reported
  refused,   ///< firmware refused to start the image (Security Violation, Access Denied)
  no_boot,   ///< firmware found nothing to start
  panicked,  ///< the kernel or systemd gave up (dm-verity corruption, emergency)
  timed_out,
};
std::string to_text(BootEnd end);

struct BootOutcome {
  BootEnd end = BootEnd::timed_out;
  Evidence evidence;                       ///< when end == evidence
  std::vector<Evidence> further_evidence;  ///< to further_nonces, in order
  std::string serial_tail;                 ///< last lines of the console
  std::string reason;                      ///< the console line that told, for refused and panicked
  PcrValues swtpm_pcrs;  ///< read from the TPM itself after the run, independent of the guest; empty when not asked
  double seconds = 0;
};
struct BootRequest {
  std::string uki;       ///< for shape.http_boot: what the server hands out
  std::string disk;      ///< raw image; never written to (snapshot) unless node_state keeps an overlay
  std::string firmware;  ///< CODE.fd; empty: Debian's OVMF with Secure Boot
  std::string vars;      ///< VARS.fd; copied, never written to
  MachineShape shape;
  std::string
      node_state;  ///< folder that keeps variables, TPM and disk overlay over boots; empty: a fresh node, thrown away
  Buffer nonce;
  std::string node_id;  ///< id that the node is asked for; may be empty
  /// More questions for a node that lets itself be asked again, each put when the one before is answered.
  std::vector<Buffer> further_nonces = {};
  double timeout_seconds = 600;                 ///< for each answer
  std::vector<std::string> smbios_credentials;  ///< "io.systemd.credential:..." strings handed in by the "BMC"
  std::string serial_log;                       ///< where the serial console is kept; empty: thrown away
  bool read_tpm_afterwards = false;             ///< fill BootOutcome::swtpm_pcrs when evidence came
  /// Called once evidence came, while the machine runs on; it is switched off when this returns. Null: at once.
  std::function<void(const BootOutcome&)> while_running = {};
};

Result<BootOutcome> boot(const BootRequest& request, builder::Progress& progress);

}  // namespace ingot::rig
