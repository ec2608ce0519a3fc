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
  //   in use --retire--> retired --every mark set--> ready or small --take--> in use
  //                                        \--surplus--> bare --take--> in use
  //
  // The thread that has moved the head past a segment retires it, while others may still be taking the
  // messages that they claimed in it; each sets its cell's mark as its last touch. A segment is ready
  // once all marks are set: nobody writes to it any more. Threads that are late may still read its header
  // or a stamp, at any time: therefore a segment is freed only with the queue, and beyond `most_ready`
  // the pages of a ready one go back to the system, not the segment. (Type-stable memory: M. Greenwald
  // and D. Cheriton, OSDI 1996.)
  //
  // The first segment is small; each time that none can be used again, the new one is twice as large,
  // until most_cells. Small ones are taken only where no large one is ready.
  //
  // The lists are guarded by the lock, and so is what only the pool touches in a segment.

 public:
  using segment_type = segment<T, Traits>;

  segment_pool() = default;
  segment_pool(const segment_pool&) = delete;
  segment_pool& operator=(const segment_pool&) = delete;

  ~segment_pool() {
    for (segment_type* list : {retired_, ready_, small_, bare_}) {
      while (list != nullptr) segment_type::destroy(pop(list));
    }
  }

  /// A segment without messages and without a next one. Throws std::bad_alloc.
  segment_type* take() {
    std::size_t count = 0;
    segment_type* found = reused(count);
    if (found != nullptr) return found;
    if (count == segment_type::most_cells) {
      // The consumers lag behind by a large segment: they are given a chance before the queue grows.
      Traits::yield();
      found = reused(count);
      if (found != nullptr) return found;
    }
    found = segment_type::create(count);
    const lock_guard lock(lock_);
    if (halvings_ != 0 && count == next_count()) --halvings_;
    return found;
  }

  /// Takes back what take() gave and nobody used.
  void give_back(segment_type* unused) noexcept {
    const lock_guard lock(lock_);
    keep(unused);
  }

  /// Takes a segment whose messages are all claimed.
  void retire(segment_type* used) noexcept {
    segment_type* surplus = nullptr;
    {
      const lock_guard lock(lock_);
      surplus = reap();  // not this one, whose last messages are being taken
      push(retired_, used);
    }
    while (surplus != nullptr) {
      segment_type* const s = pop(surplus);
      s->discard();
      const lock_guard lock(lock_);
      push(bare_, s);
    }
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

  /// A segment that was in use before; or null, and how many cells a new one is to have.
  segment_type* reused(std::size_t& count) noexcept {
    const lock_guard lock(lock_);
    probe_.write();
    if (ready_ == nullptr) {
      for (segment_type* more = reap(); more != nullptr;) push(bare_, pop(more));  // soon used again
    }
    for (segment_type** list : {&ready_, &small_, &bare_}) {
      if (*list == nullptr) continue;
      if (list == &ready_) --ready_count_;
      return pop(*list);
    }
    count = next_count();
    return nullptr;
  }

  std::size_t next_count() const noexcept { return segment_type::most_cells >> halvings_; }

  void keep(segment_type* s) noexcept {
    probe_.write();
    if (s->count == segment_type::most_cells) {
      ++ready_count_;
      push(ready_, s);
    } else {
      push(small_, s);
    }
  }

  /// Moves those of the retired that nobody writes to any more to the ready and the small, and returns
  /// those that are too many.
  segment_type* reap() noexcept {
    probe_.write();
    segment_type* surplus = nullptr;
    for (segment_type** at = &retired_; *at != nullptr;) {
      segment_type* const s = *at;
      if (!s->is_empty()) {
        at = &s->link;
        continue;
      }
      *at = s->link;
      s->reuse();
      if (ready_count_ == most_ready && s->count == segment_type::most_cells) {
        push(surplus, s);
      } else {
        keep(s);
      }
    }
    return surplus;
  }

  spin_lock<Traits> lock_;
  [[no_unique_address]] typename Traits::probe probe_;         // beside what the lock guards
  unsigned halvings_ = segment_type::most_cells < 64 ? 0 : 6;  // of most_cells, for the next new one
  std::size_t ready_count_ = 0;
  segment_type* retired_ = nullptr;
  segment_type* ready_ = nullptr;  // of most_cells
  segment_type* small_ = nullptr;  // of fewer
  segment_type* bare_ = nullptr;   // of most_cells, without pages
};

}  // namespace millrace::detail
