// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstddef>
#include <vector>

namespace baseline {

/// A reference, written from the published description: E. Rigtorp's MPMCQueue, a turn in each slot,
/// each slot on a line of its own, any capacity by division, the ends moved by seq_cst operations.
/// False may also mean that an operation is in flight.
template <class T>
class padded_turn_ring {
  // A slot's turn: 2 * lap free for that lap's push, 2 * lap + 1 published for that lap's pop.
  // E1  turn -> next user of the slot: the message, or the freed slot.

 public:
  explicit padded_turn_ring(std::size_t capacity) : capacity_(capacity), slots_(capacity) {}

  bool try_push(T message) {
    std::size_t pos = tail_.load(std::memory_order_acquire);
    for (;;) {
      slot& here = slots_[pos % capacity_];
      const std::size_t turn = 2 * (pos / capacity_);
      if (here.turn.load(std::memory_order_acquire) == turn) {  // E1 observe
        if (tail_.compare_exchange_strong(pos, pos + 1)) {
          here.message = message;
          here.turn.store(turn + 1, std::memory_order_release);  // E1 publish
          return true;
        }
      } else {
        const std::size_t before = pos;
        pos = tail_.load(std::memory_order_acquire);
        if (pos == before) return false;
      }
    }
  }

  bool try_pop(T& out) {
    std::size_t pos = head_.load(std::memory_order_acquire);
    for (;;) {
      slot& here = slots_[pos % capacity_];
      const std::size_t turn = 2 * (pos / capacity_) + 1;
      if (here.turn.load(std::memory_order_acquire) == turn) {  // E1 observe
        if (head_.compare_exchange_strong(pos, pos + 1)) {
          out = here.message;
          here.turn.store(turn + 1, std::memory_order_release);  // E1 publish
          return true;
        }
      } else {
        const std::size_t before = pos;
        pos = head_.load(std::memory_order_acquire);
        if (pos == before) return false;
      }
    }
  }

 private:
  struct alignas(64) slot {
    std::atomic<std::size_t> turn{0};
    T message;
  };

  const std::size_t capacity_;
  std::vector<slot> slots_;
  alignas(64) std::atomic<std::size_t> tail_{0};
  alignas(64) std::atomic<std::size_t> head_{0};
};

}  // namespace baseline
