// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace baseline {

/// A reference, written from the published description: D. Vyukov's bounded MPMC queue (2011), a
/// sequence number in each slot, dense slots, capacity a power of two. False may also mean that an
/// operation is in flight.
template <class T>
class vyukov_ring {
  // A slot's sequence: pos free for that push, pos + 1 published for that pop.
  // E1  publish -> next user of the slot: the message, or the freed slot.

 public:
  explicit vyukov_ring(std::size_t capacity)
      : mask_(std::bit_ceil(capacity) - 1), slots_(std::bit_ceil(capacity)) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slots_[i].sequence.store(i, std::memory_order_relaxed);  // relaxed: nobody else knows us yet
    }
  }

  bool try_push(T message) {
    std::uint64_t pos = tail_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
    for (;;) {
      slot& here = slots_[pos & mask_];
      const std::uint64_t sequence = here.sequence.load(std::memory_order_acquire);  // E1 observe
      if (sequence == pos) {
        if (tail_.compare_exchange_weak(pos, pos + 1, std::memory_order_relaxed)) {  // relaxed: counts
          here.message = message;
          here.sequence.store(pos + 1, std::memory_order_release);  // E1 publish
          return true;
        }
      } else if (static_cast<std::int64_t>(sequence - pos) < 0) {
        return false;
      } else {
        pos = tail_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
      }
    }
  }

  bool try_pop(T& out) {
    std::uint64_t pos = head_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
    for (;;) {
      slot& here = slots_[pos & mask_];
      const std::uint64_t sequence = here.sequence.load(std::memory_order_acquire);  // E1 observe
      if (sequence == pos + 1) {
        if (head_.compare_exchange_weak(pos, pos + 1, std::memory_order_relaxed)) {  // relaxed: counts
          out = here.message;
          here.sequence.store(pos + mask_ + 1, std::memory_order_release);  // E1 publish
          return true;
        }
      } else if (static_cast<std::int64_t>(sequence - (pos + 1)) < 0) {
        return false;
      } else {
        pos = head_.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
      }
    }
  }

 private:
  struct slot {
    std::atomic<std::uint64_t> sequence;
    T message;
  };

  const std::uint64_t mask_;
  std::vector<slot> slots_;
  alignas(64) std::atomic<std::uint64_t> tail_{0};
  alignas(64) std::atomic<std::uint64_t> head_{0};
};

}  // namespace baseline
