// Sets of bit vectors as reduced ordered binary decision diagrams (Bryant 1986): equal sets are equal numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ingot::check {

using Set = std::uint32_t;
inline constexpr Set nothing = 0;
inline constexpr Set everything = 1;

__extension__ using Wide = unsigned __int128;  ///< an IPv6 address as a number

/// Bits `first` to `first + width - 1`, most significant first.
struct Field {
  std::uint16_t first = 0;
  std::uint16_t width = 0;
};

class Bdd {
 public:
  Bdd();
  Bdd(const Bdd&) = delete;
  Bdd& operator=(const Bdd&) = delete;
  ~Bdd() = default;

  /// low <= value of the field <= high.
  Set between(Field field, Wide low, Wide high);
  Set equal(Field field, Wide value) { return between(field, value, value); }
  /// The field's bits that `mask` has are those of `value`.
  Set masked(Field field, Wide mask, Wide value);
  Set both(Set a, Set b) { return combine<Operation::both>(a, b); }
  Set either(Set a, Set b) { return combine<Operation::either>(a, b); }
  Set without(Set a, Set b) { return combine<Operation::without>(a, b); }
  Set none_of(Set a) { return without(everything, a); }
  /// Whatever the field's bits are: existential quantification.
  Set forget(Set a, Field field);
  /// The least value that the field has in a member. Precondition: `a` is not empty.
  Wide least(Set a, Field field);

  /// Frees what `roots` do not need; they get their new numbers. All other sets become invalid.
  void collect(std::span<Set* const> roots);
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  /// Once there are more nodes than memory allows, results are worthless.
  [[nodiscard]] bool is_full() const { return full_; }

 private:
  enum class Operation : std::uint32_t { both, either, without, forget };
  struct Node {
    std::uint32_t bit;
    Set low;
    Set high;
  };
  /// Part of the hash beside the number, so that other nodes are seldom looked at.
  struct Slot {
    Set node = nothing;  ///< nothing: free
    std::uint32_t tag = 0;
  };
  /// What an operation on `a` and `b` gave. Small, for the cache's sake.
  struct Memo {
    std::uint32_t first = 0;  ///< operation and `a`; 0: free
    std::uint32_t second = 0;
    Set result = nothing;
  };

  Set node(std::uint32_t bit, Set low, Set high);
  template <Operation operation>
  Set combine(Set a, Set b);
  Set forget_from(Set a, Field field);
  void grow_table();
  Memo& memo(std::uint32_t first, std::uint32_t second);

  std::vector<Node> nodes_;
  std::vector<Slot> table_;  ///< open addressing over nodes_
  std::vector<Memo> memos_;
  bool full_ = false;
};

}  // namespace ingot::check
