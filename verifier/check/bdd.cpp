#include "bdd.hpp"

#include <algorithm>

namespace ingot::check {
namespace {

constexpr std::uint32_t no_bit = UINT32_MAX;  // of the two constants: behind all bits
constexpr std::size_t node_cap = 60'000'000;  // 720 MB; less than 2^30, which leaves room for an operation
constexpr std::size_t first_table = std::size_t{1} << 12;
constexpr std::size_t memo_cap = std::size_t{1} << 20;

std::size_t mixed(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  std::uint64_t hash = a * 0x9E3779B97F4A7C15u ^ b * 0xC2B2AE3D27D4EB4Fu ^ c * 0x165667B19E3779F9u;
  hash ^= hash >> 29;
  hash *= 0xBF58476D1CE4E5B9u;
  return static_cast<std::size_t>(hash ^ hash >> 32);
}

/// Of a table with open addressing: three quarters full.
constexpr bool needs_growth(std::size_t node_count, std::size_t slot_count) { return node_count > slot_count / 4 * 3; }

/// An operation beside a set, which is below node_cap.
constexpr std::uint32_t marked(std::uint32_t operation, Set a) { return operation << 30 | a; }

}  // namespace

Bdd::Bdd() : nodes_{{no_bit, 0, 0}, {no_bit, 1, 1}}, table_(first_table), memos_(first_table) {}

Set Bdd::node(std::uint32_t bit, Set low, Set high) {
  if (low == high) return low;
  const auto hash = mixed(bit, low, high);
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  const auto mask = table_.size() - 1;
  for (auto at = hash & mask;; at = (at + 1) & mask) {
    const auto slot = table_[at];
    if (slot.node == nothing) {
      if (nodes_.size() >= node_cap) {
        full_ = true;
        return nothing;
      }
      const auto made = static_cast<Set>(nodes_.size());
      nodes_.push_back({bit, low, high});
      table_[at] = {made, tag};
      if (needs_growth(nodes_.size(), table_.size())) grow_table();
      return made;
    }
    if (slot.tag != tag) continue;
    const auto& one = nodes_[slot.node];
    if (one.bit == bit && one.low == low && one.high == high) return slot.node;
  }
}

/// Memos are of the same size, up to a cap; they start anew, for they only save work.
void Bdd::grow_table() {
  std::size_t size = table_.size();
  while (needs_growth(nodes_.size(), size)) size *= 2;
  table_.assign(size, Slot{});
  if (memos_.size() < std::min(size, memo_cap)) memos_.assign(std::min(size, memo_cap), Memo{});
  for (std::size_t i = 2; i < nodes_.size(); ++i) {
    const auto hash = mixed(nodes_[i].bit, nodes_[i].low, nodes_[i].high);
    auto at = hash & (size - 1);
    while (table_[at].node != nothing) at = (at + 1) & (size - 1);
    table_[at] = {static_cast<Set>(i), static_cast<std::uint32_t>(hash >> 32)};
  }
}

Bdd::Memo& Bdd::memo(std::uint32_t first, std::uint32_t second) {
  return memos_[mixed(first, second, 0) & (memos_.size() - 1)];
}

template <Bdd::Operation operation>
Set Bdd::combine(Set a, Set b) {
  if constexpr (operation == Operation::both) {
    if (a == nothing || b == nothing) return nothing;
    if (a == everything || a == b) return b;
    if (b == everything) return a;
  } else if constexpr (operation == Operation::either) {
    if (a == everything || b == everything) return everything;
    if (a == nothing || a == b) return b;
    if (b == nothing) return a;
  } else {
    static_assert(operation == Operation::without);
    if (a == nothing || b == everything || a == b) return nothing;
    if (b == nothing) return a;
  }
  if (operation != Operation::without && b < a) std::swap(a, b);
  const auto first = marked(static_cast<std::uint32_t>(operation), a);
  if (const auto& before = memo(first, b); before.first == first && before.second == b) return before.result;
  const auto left = nodes_[a], right = nodes_[b];
  const auto bit = std::min(left.bit, right.bit);
  const auto low = combine<operation>(left.bit == bit ? left.low : a, right.bit == bit ? right.low : b);
  const auto high = combine<operation>(left.bit == bit ? left.high : a, right.bit == bit ? right.high : b);
  const auto result = node(bit, low, high);
  memo(first, b) = {first, b, result};
  return result;
}

template Set Bdd::combine<Bdd::Operation::both>(Set, Set);
template Set Bdd::combine<Bdd::Operation::either>(Set, Set);
template Set Bdd::combine<Bdd::Operation::without>(Set, Set);

// From the least significant bit up: a number is at least `low` when its first bit is greater, or equal and the rest is
// at least the rest of `low`.
Set Bdd::between(Field field, Wide low, Wide high) {
  const Wide highest = ~Wide{0} >> (128 - field.width);
  if (low > high || low > highest) return nothing;
  high = std::min(high, highest);
  Set at_least = everything, at_most = everything;
  for (std::uint32_t i = 0; i < field.width; ++i) {
    const std::uint32_t bit = static_cast<std::uint32_t>(field.first + field.width) - 1 - i;
    at_least = (low >> i & 1) != 0 ? node(bit, nothing, at_least) : node(bit, at_least, everything);
    at_most = (high >> i & 1) != 0 ? node(bit, everything, at_most) : node(bit, at_most, nothing);
  }
  return both(at_least, at_most);
}

Set Bdd::masked(Field field, Wide mask, Wide value) {
  Set out = everything;
  for (std::uint32_t i = 0; i < field.width; ++i) {
    if ((mask >> i & 1) == 0) continue;
    const std::uint32_t bit = static_cast<std::uint32_t>(field.first + field.width) - 1 - i;
    out = (value >> i & 1) != 0 ? node(bit, nothing, out) : node(bit, out, nothing);
  }
  // A bit that must be set outside of the mask never is.
  return (value & ~mask) == 0 ? out : nothing;
}

Set Bdd::forget_from(Set a, Field field) {
  const auto one = nodes_[a];
  if (one.bit == no_bit || one.bit >= std::uint32_t{field.first} + field.width) return a;
  const auto first = marked(static_cast<std::uint32_t>(Operation::forget), a);
  const auto second = std::uint32_t{field.first} << 16 | field.width;
  if (const auto& before = memo(first, second); before.first == first && before.second == second) return before.result;
  const auto low = forget_from(one.low, field), high = forget_from(one.high, field);
  const auto result = one.bit >= field.first ? either(low, high) : node(one.bit, low, high);
  memo(first, second) = {first, second, result};
  return result;
}

Set Bdd::forget(Set a, Field field) { return forget_from(a, field); }

Wide Bdd::least(Set a, Field field) {
  // Only bits of the field are left: then its least member is the way that keeps low.
  if (field.first > 0) a = forget(a, {0, field.first});
  const std::uint32_t end = std::uint32_t{field.first} + field.width;
  Wide value = 0;
  while (nodes_[a].bit < end) {
    const auto one = nodes_[a];
    if (one.low == nothing) value |= Wide{1} << (end - 1 - one.bit);
    a = one.low == nothing ? one.high : one.low;
  }
  return value;
}

void Bdd::collect(std::span<Set* const> roots) {
  std::vector<bool> needed(nodes_.size(), false);
  std::vector<Set> stack;
  for (const auto* root : roots) stack.push_back(*root);
  while (!stack.empty()) {
    const auto at = stack.back();
    stack.pop_back();
    if (at <= everything || needed[at]) continue;
    needed[at] = true;
    stack.push_back(nodes_[at].low);
    stack.push_back(nodes_[at].high);
  }
  // Children come before their parents, so one pass moves them.
  std::vector<Set> moved(nodes_.size(), nothing);
  moved[everything] = everything;
  std::size_t count = 2;
  for (std::size_t i = 2; i < nodes_.size(); ++i) {
    if (!needed[i]) continue;
    const auto one = nodes_[i];
    nodes_[count] = {one.bit, moved[one.low], moved[one.high]};
    moved[i] = static_cast<Set>(count++);
  }
  nodes_.resize(count);
  for (auto* root : roots) *root = moved[*root];
  std::fill(memos_.begin(), memos_.end(), Memo{});
  grow_table();
}

}  // namespace ingot::check
