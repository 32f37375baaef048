// Digests and PCR values. TCG Algorithm Registry 1.34, "TPM_ALG_ID".
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "ingot/base/bytes.hpp"

namespace ingot {

/// The value is the TPM_ALG_ID.
enum class HashAlg : std::uint16_t {
  sha1 = 0x0004,
  sha256 = 0x000B,
  sha384 = 0x000C,
  sha512 = 0x000D,
  sm3_256 = 0x0012
};

std::string to_text(HashAlg alg);  ///< "sha256"
std::optional<HashAlg> parse_hash_alg(std::string_view text);
std::size_t digest_size_bytes(HashAlg alg);
/// The banks for which Ingot predicts.
inline constexpr HashAlg predicted_banks[] = {HashAlg::sha256, HashAlg::sha384};

/// A digest of 0 to 64 bytes, held in place: a log has thousands, and an allocation costs more than hashing an event.
class Digest {
 public:
  static constexpr std::size_t cap_bytes = 64;

  constexpr Digest() = default;
  /// Precondition: at most cap_bytes; aborts otherwise.
  Digest(Bytes bytes) : size_(static_cast<std::uint8_t>(bytes.size())) {  // NOLINT: a digest is its bytes
    if (bytes.size() > cap_bytes) std::abort();
    std::copy(bytes.begin(), bytes.end(), bytes_.begin());
  }
  Digest(const Buffer& bytes) : Digest(Bytes(bytes)) {}  // NOLINT: as above
  Digest(std::size_t size, std::uint8_t value) : size_(static_cast<std::uint8_t>(size)) {
    if (size > cap_bytes) std::abort();
    std::fill_n(bytes_.begin(), size, value);
  }

  [[nodiscard]] const std::uint8_t* data() const { return bytes_.data(); }
  [[nodiscard]] std::uint8_t* data() { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] auto begin() const { return data(); }
  [[nodiscard]] auto end() const { return data() + size_; }
  [[nodiscard]] auto begin() { return data(); }
  [[nodiscard]] auto end() { return data() + size_; }
  std::uint8_t& operator[](std::size_t at) { return bytes_[at]; }
  std::uint8_t operator[](std::size_t at) const { return bytes_[at]; }
  operator Buffer() const { return {begin(), end()}; }  // NOLINT: as above

  friend bool operator==(const Digest& left, const Digest& right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end());
  }
  friend bool operator==(const Digest& left, Bytes right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end());
  }
  friend bool operator==(const Digest& left, const Buffer& right) { return left == Bytes(right); }

 private:
  std::array<std::uint8_t, cap_bytes> bytes_{};
  std::uint8_t size_ = 0;
};

/// One digest per hash algorithm, as a TPM's TPML_DIGEST_VALUES: a map in the order of the algorithms' numbers.
class Digests {
 public:
  using value_type = std::pair<HashAlg, Digest>;
  using List = std::vector<value_type>;
  using iterator = List::iterator;
  using const_iterator = List::const_iterator;

  Digests() = default;
  Digests(std::initializer_list<value_type> list) {
    for (const auto& one : list) emplace(one.first, one.second);
  }

  void reserve(std::size_t count) { list_.reserve(count); }
  [[nodiscard]] const_iterator find(HashAlg alg) const {
    const auto at = place(alg);
    return at != end() && at->first == alg ? at : end();
  }
  [[nodiscard]] bool contains(HashAlg alg) const { return find(alg) != end(); }
  /// Precondition: it is there; aborts otherwise.
  [[nodiscard]] const Digest& at(HashAlg alg) const {
    const auto found = find(alg);
    if (found == end()) std::abort();
    return found->second;
  }
  Digest& at(HashAlg alg) { return const_cast<Digest&>(std::as_const(*this).at(alg)); }
  Digest& operator[](HashAlg alg) { return emplace(alg, {}).first->second; }
  /// False, and nothing changed, when the algorithm has a digest already.
  std::pair<iterator, bool> emplace(HashAlg alg, const Digest& digest) {
    const auto at = list_.begin() + (place(alg) - list_.cbegin());
    if (at != list_.end() && at->first == alg) return {at, false};
    return {list_.insert(at, {alg, digest}), true};
  }
  void erase(HashAlg alg) {
    erase_if([&](const auto& one) { return one.first == alg; });
  }
  template <typename Predicate>
  void erase_if(Predicate predicate) {
    std::erase_if(list_, predicate);
  }
  [[nodiscard]] std::size_t size() const { return list_.size(); }
  [[nodiscard]] bool empty() const { return list_.empty(); }
  [[nodiscard]] const_iterator begin() const { return list_.begin(); }
  [[nodiscard]] const_iterator end() const { return list_.end(); }
  [[nodiscard]] iterator begin() { return list_.begin(); }
  [[nodiscard]] iterator end() { return list_.end(); }
  bool operator==(const Digests&) const = default;

 private:
  /// The first whose algorithm is not below `alg`.
  [[nodiscard]] const_iterator place(HashAlg alg) const {
    return std::find_if(list_.begin(), list_.end(), [&](const auto& one) { return one.first >= alg; });
  }
  List list_;
};

using PcrIndex = std::uint32_t;
inline constexpr PcrIndex pcr_count = 24;
/// Values of one bank; an index that is not there is not known, which never means "zero".
using PcrBank = std::map<PcrIndex, Buffer>;
using PcrValues = std::map<HashAlg, PcrBank>;

}  // namespace ingot
