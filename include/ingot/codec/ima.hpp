// Measurement lists of Linux IMA, binary and ASCII. Linux Documentation/security/IMA-templates.rst;
// security/integrity/ima/ima_fs.c, ima_template_lib.c.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::codec {

/// One measurement. `template_data` is what was hashed; the fields below it are read from there and nothing else.
struct ImaEntry {
  PcrIndex pcr = 10;
  Buffer template_hash;  ///< SHA-1 in the list that every kernel has; zeroes for a violation
  std::string
      template_name;     ///< "ima", "ima-ng", "ima-sig", "ima-buf", "ima-modsig", "ima-ngv2", "ima-sigv2", "evm-sig"
  Buffer template_data;  ///< fields as the kernel hashes them; "ima": 20 bytes of digest and a name padded to 256

  std::string digest_type;  ///< "" or, for the v2 templates, "ima", "verity"
  std::string digest_alg;   ///< "sha256"; "sha1" for template "ima"
  Buffer digest;            ///< of the file, or of the buffer; zeroes for a violation
  std::string path;         ///< or what else was measured: "boot_aggregate", "dm_table_load", a key's description
  Buffer signature;         ///< "sig": file signature; may be empty
  Buffer buffer;            ///< "buf": what was measured itself
  Buffer modsig_digest;     ///< "d-modsig", with its "algorithm:\0" in front; may be empty
  Buffer modsig;            ///< "modsig": PKCS#7 appended to the module; may be empty

  /// The kernel could not tell what was read: it logs zeroes and extends ones.
  [[nodiscard]] bool is_violation() const;
  bool operator==(const ImaEntry&) const = default;
};

inline constexpr std::size_t ima_entry_cap = 1u << 20;
inline constexpr std::size_t ima_field_cap_bytes = 1u << 20;

/// binary_runtime_measurements of a little-endian kernel (all of them, with ima_canonical_fmt). `template_hash_size`:
/// 20, or the digest size of binary_runtime_measurements_<alg>. Errors (malformed): truncation, an unknown template,
/// fields that do not fill their entry.
Result<std::vector<ImaEntry>> decode_ima(Bytes list, std::size_t template_hash_size = 20);
/// ascii_runtime_measurements. Template data is put together again from the text.
Result<std::vector<ImaEntry>> decode_ima_ascii(Bytes text);
/// Either of the two, told apart by the first bytes.
Result<std::vector<ImaEntry>> decode_any_ima(Bytes list);

/// A place between two entries of a list.
struct ImaPlace {
  std::size_t entry = 0;  ///< how many entries are in front of it
  std::size_t offset_bytes = 0;
  bool operator==(const ImaPlace&) const = default;
};
/// An entry, valid during the call only, and the place behind it.
using ImaVisitor = std::function<void(const ImaEntry& entry, const ImaPlace& behind)>;
/// decode_ima() without a copy of each entry, from a place that an earlier visit of the same bytes gave.
Result<void> for_each_ima(Bytes list, const ImaPlace& from, const ImaVisitor& visit,
                          std::size_t template_hash_size = 20);
/// The same of either kind of list.
Result<void> for_each_any_ima(Bytes list, const ImaPlace& from, const ImaVisitor& visit);

/// Precondition: `template_data` and `template_hash` are those of the entry.
Buffer encode_ima(const std::vector<ImaEntry>& entries);
std::string encode_ima_ascii(const std::vector<ImaEntry>& entries);

/// What the kernel extends into the bank `alg` for this entry: the digest over the template data, or ones for a
/// violation.
Digest ima_extend_value(HashAlg alg, const ImaEntry& entry);

/// Fills in template_data and the SHA-1 template hash from the fields. Error (unsupported): an unknown template.
Result<void> seal_ima_entry(ImaEntry& entry);

}  // namespace ingot::codec
