// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <new>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/raw_slot.hpp>

namespace millrace::detail {

/// A run of cells of a segmented queue, used for one stretch of tickets after the other: this header,
/// the cells, then a mark for each cell.
template <class T, class Traits>
class segment {
 public:
  using ticket = typename Traits::ticket;

  struct cell {
    typename Traits::template atomic<ticket> stamp{0};
    raw_slot<T, Traits> slot;
  };
  using mark_type = typename Traits::template atomic<bool>;
  static constexpr std::size_t most_cells = Traits::template segment_cells<sizeof(cell)>;
  static_assert(most_cells >= 1);

  /// Throws std::bad_alloc.
  static segment* create(std::size_t count) {
    return ::new (Traits::allocate(bytes(count), alignment)) segment(count);
  }
  static void destroy(segment* s) noexcept {
    s->~segment();
    Traits::deallocate(s, alignment);
  }

  segment(const segment&) = delete;
  segment& operator=(const segment&) = delete;

  cell* cells() noexcept {
    return reinterpret_cast<cell*>(reinterpret_cast<unsigned char*>(this) + header_bytes());
  }

  /// Says that the messages in these cells were taken; that consumer's last touch of the segment.
  void mark(std::size_t index, std::size_t n) noexcept {
    const bool taken = round_;
    for (mark_type *at = marks() + index, *const end = at + n; at != end; ++at) {
      at->store(taken, std::memory_order_release);  // E1 publish
    }
  }

  /// Whether all are marked. For the pool, under its lock; a later call looks only at what is left.
  bool is_empty() noexcept {
    std::size_t at = known_;
    while (at < count && marks()[at].load(std::memory_order_acquire) == round_) ++at;  // E1 observe
    known_ = at;
    return at == count;
  }

  /// Makes all cells of an empty segment unmarked: which marks mean "taken" turns over with each use, so
  /// nobody has to wipe them.
  void reuse() noexcept {
    known_ = 0;
    round_ = !round_;
    next.store(nullptr, std::memory_order_relaxed);  // relaxed: the pool's lock carries it
  }

  /// Gives back the pages of an empty segment. Zeros are stamps that no ticket has.
  void discard() noexcept { Traits::discard(cells(), count * sizeof(cell)); }

  const std::size_t count;                                   // cells
  typename Traits::template atomic<ticket> base{0};          // the ticket of the first cell
  typename Traits::template atomic<segment*> next{nullptr};  // the segment after this one
  segment* link = nullptr;                                   // for the pool's lists

 private:
  // E1  take -> reuse   an emptied cell, by its mark.

  explicit segment(std::size_t cell_count) : count(cell_count) {
    for (std::size_t i = 0; i < count; ++i) ::new (static_cast<void*>(cells() + i)) cell;
    for (std::size_t i = 0; i < count; ++i) ::new (static_cast<void*>(marks() + i)) mark_type(false);
  }
  ~segment() {
    for (std::size_t i = 0; i < count; ++i) marks()[i].~mark_type();
    for (std::size_t i = 0; i < count; ++i) cells()[i].~cell();
  }

  // The cells begin on a line: else some would lie on two.
  static constexpr std::size_t alignment = alignof(cell) > cache_line ? alignof(cell) : cache_line;
  static constexpr std::size_t header_bytes() noexcept {
    return (sizeof(segment) + alignment - 1) / alignment * alignment;
  }
  static std::size_t bytes(std::size_t count) noexcept {
    return header_bytes() + count * (sizeof(cell) + sizeof(mark_type));
  }
  mark_type* marks() noexcept { return reinterpret_cast<mark_type*>(cells() + count); }

  bool round_ = true;      // a mark that equals it: that cell was emptied in this use
  std::size_t known_ = 0;  // the cells before it are known to be marked
};

}  // namespace millrace::detail
