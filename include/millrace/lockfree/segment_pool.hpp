// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

#include <millrace/detail/spin_lock.hpp>
#include <millrace/lockfree/segment.hpp>

namespace millrace::detail {

/// The segments of one queue that hold no message.
///
/// Threads     any thread may call anything but the destructor.
/// Progress    a spin lock, taken once or twice for each segment and side.
/// Complexity  one look at each mark of each segment, all in all. Allocates only if every segment is in
///             use, or if only small ones are not.
template <class T, class Traits>
class segment_pool {
  // A segment goes round:
  //
  //   in use --retire--> retired --every mark set--> ready --take--> in use
  //                                        \--surplus--> bare --take--> in use
  //                                        \--small--> outgrown
  //
  // The thread that has moved the head past a segment retires it, while others may still be taking the
  // messages that they claimed in it; each sets its cell's mark as its last touch. A segment is ready
  // once all marks are set: nobody writes to it any more. Threads that are late may still read its header
  // or a stamp, at any time: therefore a segment is freed only with the queue, and beyond `most_ready`
  // the pages of a ready one go back to the system, not the segment. (Type-stable memory: M. Greenwald
  // and D. Cheriton, OSDI 1996.)
  //
  // The first segment is small, and each new one twice as large until most_cells; the small ones are not
  // used again.
  //
  // The lists are guarded by the lock, and so is what only the pool touches in a segment.

 public:
  using segment_type = segment<T, Traits>;

  segment_pool() = default;
  segment_pool(const segment_pool&) = delete;
  segment_pool& operator=(const segment_pool&) = delete;

  ~segment_pool() {
    for (segment_type* list : {retired_, ready_, bare_, outgrown_}) {
      while (list != nullptr) segment_type::destroy(pop(list));
    }
  }

  /// A segment without messages and without a next one. Throws std::bad_alloc.
  segment_type* take() {
    segment_type* found = reused();
    if (found != nullptr) return found;
    // The consumers lag behind by a segment: they are given a chance before the queue grows.
    Traits::yield();
    found = reused();
    return found != nullptr ? found : segment_type::create(next_count());
  }

  /// Takes back what take() gave and nobody used.
  void give_back(segment_type* unused) noexcept {
    const lock_guard lock(lock_);
    add_ready(unused);
  }

  /// Takes a segment whose messages are all claimed.
  void retire(segment_type* used) noexcept {
    const lock_guard lock(lock_);
    reap();  // not this one, whose last messages are being taken
    push(retired_, used);
  }

 private:
  static constexpr std::size_t most_ready = 64;  // 8 MiB

  static void push(segment_type*& list, segment_type* s) noexcept {
    s->link = list;
    list = s;
  }
  static segment_type* pop(segment_type*& list) noexcept {
    segment_type* const s = list;
    list = s->link;
    return s;
  }

  segment_type* reused() noexcept {
    const lock_guard lock(lock_);
    if (ready_ == nullptr) reap();
    if (ready_ != nullptr) {
      --ready_count_;
      return pop(ready_);
    }
    return bare_ != nullptr ? pop(bare_) : nullptr;
  }

  std::size_t next_count() noexcept {
    const lock_guard lock(lock_);
    const std::size_t count = next_count_;
    next_count_ = count < segment_type::most_cells / 2 ? count * 2 : segment_type::most_cells;
    return count;
  }

  /// Moves those of the retired that nobody writes to any more to the ready.
  void reap() noexcept {
    for (segment_type** at = &retired_; *at != nullptr;) {
      segment_type* const s = *at;
      if (s->is_empty()) {
        *at = s->link;
        s->reuse();
        add_ready(s);
      } else {
        at = &s->link;
      }
    }
  }

  void add_ready(segment_type* s) noexcept {
    if (s->count != segment_type::most_cells) {
      push(outgrown_, s);
    } else if (ready_count_ < most_ready) {
      ++ready_count_;
      push(ready_, s);
    } else {
      s->discard();
      push(bare_, s);
    }
  }

  spin_lock<Traits> lock_;
  std::size_t next_count_ =
      segment_type::most_cells < 64 ? segment_type::most_cells : segment_type::most_cells / 64;
  std::size_t ready_count_ = 0;
  segment_type* retired_ = nullptr;
  segment_type* ready_ = nullptr;
  segment_type* bare_ = nullptr;
  segment_type* outgrown_ = nullptr;
};

}  // namespace millrace::detail
