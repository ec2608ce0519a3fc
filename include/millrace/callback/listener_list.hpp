// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <millrace/callback/emitter.hpp>
#include <millrace/callback/listener.hpp>
#include <millrace/callback/listener_array.hpp>
#include <millrace/callback/next_waiters.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/spin_lock.hpp>

namespace millrace::detail {

/// The listeners of a callback_registry: those of higher priority first; those of the same, as they came.
///
/// Threads     any.
/// Progress    emit() takes no lock, and writes nothing that two emitting threads share. The others take a spin
///             lock for a few instructions; where the array is replaced, for as many steps as there are listeners.
/// Complexity  append() and detach() are constant, amortised; but append() of a priority that others
///             are behind is linear. Memory: a listener that was disconnected, or an array that was
///             replaced, is kept until max(64, the connected ones) such have gathered, and twice as long where
///             emissions go on meanwhile; and until all emissions of the program that had begun before have
///             ended.
/// Lifetime    made for its registry, which close()s it. Frees itself, once all are detached and no emission
///             is in it.
template <class Traits>
class listener_list : public retired {
  // A cell is empty (null) once its listener is disconnected, and never used again. An emission reads array and
  // count once, so that it calls nobody who came later. A listener that it has read before it was disconnected
  // is not to be called: see listener. The array is replaced by one without empty cells when it is full, or mostly
  // empty, or when somebody comes who is not last; an emission stays with the one that it has.
  //
  // What was unlinked waits, under lock_:
  //   open_ --enough have gathered: its time is taken--> waiting_ --nobody is in so old an emission--> freed
  // Mostly nobody is, at the first look, and it is freed at once.
  //
  // attached_ counts the registry, and the listeners that were not yet detached: each has to pass lock_ once
  // more. Who brings it to 0 gives the list, and all that it keeps, to the emitters.
  //
  // E2  replace -> emission      the array.
  // E3  add_reader -> emission   of threads that share a bit: what who set it has seen, so what was unlinked before,
  //                              and that there is an array.

 public:
  using array = listener_array<Traits>;
  using node = listener<Traits>;
  using call_type = typename node::call_type;

  listener_list() noexcept { Traits::fence::prepare(); }
  listener_list(const listener_list&) = delete;
  listener_list& operator=(const listener_list&) = delete;

  /// Whether emit_to_only() is worth trying.
  bool seems_to_have_one() const noexcept {
    return has_one_.load(std::memory_order_relaxed);  // relaxed: looked at again
  }
  /// The short way of emit(), for the most frequent case: calls the only listener that there is, and returns true; or
  /// does nothing.
  template <class Call>
  MILLRACE_ALWAYS_INLINE bool emit_to_only(Call call) const {
    if (waiters_.exist()) [[unlikely]]
      return false;
    emitter<Traits>* const at = emission<Traits>::ready();
    if (at == nullptr || !is_reader(emission<Traits>::bit_of(*at))) [[unlikely]]
      return false;
    emission<Traits> here(*at);
    const array& cells = *array_.load(std::memory_order_acquire);  // E2 observe
    if (cells.count() != 1) [[unlikely]]
      return false;
    node* const only = cells.get(0);
    if (only == nullptr) [[unlikely]]
      return true;
    here.enter(only);
    if (const call_type how = only->call(); how != nullptr) [[likely]]
      call(how, *only);
    here.enter(nullptr);
    if (only->call() == nullptr) [[unlikely]]
      only->finished();
    return true;
  }

  /// Calls serve(waiters()) where somebody waits, then call(how, listener) for each listener, as listener::call()
  /// says. They do not throw. The list may be closed, and gone when this returns.
  template <class Serve, class Call>
  MILLRACE_ALWAYS_INLINE void emit(Serve serve, Call call) const {
    const bool is_empty =
        array_.load(std::memory_order_relaxed) == nullptr;  // relaxed: nobody ever connected
    const bool is_awaited = waiters_.exist();
    if (is_empty && !is_awaited) return;
    emission<Traits> here;
    if (is_awaited) [[unlikely]] {
      serve(waiters_);
      if (is_empty) return;
    }
    if (!is_reader(here.bit())) [[unlikely]]
      add_reader(here.bit());
    const array& cells = *array_.load(std::memory_order_acquire);  // E2 observe
    node* last = nullptr;
    call_type how = nullptr;
    const std::uint32_t count = cells.count();
    for (std::uint32_t i = 0; i < count; ++i) {
      node* const next = cells.get(i);
      if (next == nullptr) continue;
      here.enter(next);
      if (last != nullptr && last->call() != how) [[unlikely]]
        last->finished();
      last = next;
      how = next->call();
      if (how != nullptr) [[likely]] {
        call(how, *next);
      } else {
        how = &was_seen_inside;
      }
    }
    if (last == nullptr) return;
    here.enter(nullptr);
    if (last->call() != how) [[unlikely]]
      last->finished();
  }

  next_waiters<Traits>& waiters() const noexcept { return waiters_; }

  /// Adds a listener, for the emissions that begin from now on. Errors: std::bad_alloc, with nothing done.
  void append(node& l) {
    array* fresh = nullptr;
    for (;;) {
      std::uint32_t needed = 0;
      {
        const lock_guard guard(lock_);
        array* const old = current();
        if (old != nullptr && old->count() < old->capacity() && (live_ == 0 || l.priority_ <= least_)) {
          place(*old, l);
          ++live_;
          ++attached_;
          break;
        }
        needed = capacity_for(live_ + 1);
        if (fresh != nullptr && fresh->capacity() >= needed) {
          replace(*fresh, &l);
          ++live_;
          ++attached_;
          fresh = nullptr;
          break;
        }
      }
      if (fresh != nullptr) fresh->destroy();
      fresh = array::make(needed);
    }
    if (fresh != nullptr) fresh->destroy();
  }

  /// Removes one whose disconnection the caller has claimed. *this may be gone afterwards.
  void detach(node& l) noexcept {
    bool tidies = false;
    bool is_last = false;
    {
      const lock_guard guard(lock_);
      unlink(*current(), l);
      --live_;
      open_.add(l);
      tidies = is_to_be_tidied();
      if (tidies) {
        is_tidied_ = true;
      } else {
        is_last = --attached_ == 0;
      }
    }
    if (tidies) {
      tidy_and_leave();
    } else if (is_last) {
      finish();
    }
  }

  /// Disconnects all; for the registry's destructor. *this may be gone afterwards.
  void close() noexcept {
    retired* mine = nullptr;
    std::size_t count = 0;
    thread_bits readers = 0;
    {
      const lock_guard guard(lock_);
      array* const cells = current();
      for (std::uint32_t i = 0; cells != nullptr && i < cells->count(); ++i) {
        node* const l = cells->get(i);
        if (l == nullptr || !l->claim()) continue;  // who has claimed it is about to detach it
        unlink(*cells, *l);
        l->next_retired = mine;
        mine = l;
        ++count;
      }
      readers = readers_.load(std::memory_order_relaxed);  // relaxed: written under the lock
    }
    for (retired* at = mine; at != nullptr; at = at->next_retired)
      static_cast<node*>(at)->seek_before_fence();
    if (mine != nullptr) emitters<Traits>::all().fence(readers);
    for (retired* at = mine; at != nullptr; at = at->next_retired) static_cast<node*>(at)->seek_after_fence();
    {
      const lock_guard guard(lock_);
      while (mine != nullptr) {
        retired* const next = mine->next_retired;
        open_.add(*mine);
        mine = next;
      }
      live_ -= count;
      attached_ -= count + 1;
      if (attached_ != 0) return;
    }
    finish();
  }

 protected:
  ~listener_list() = default;

 private:
  static constexpr std::uint32_t least_capacity = 8;
  static constexpr std::uint32_t least_sparse = 32;
  static void was_seen_inside() {}  // no listener's call()

  array* current() const noexcept {
    return array_.load(std::memory_order_relaxed);  // relaxed: written under the lock
  }
  static std::uint32_t capacity_for(std::size_t live) noexcept {
    return live * 2 < least_capacity ? least_capacity : static_cast<std::uint32_t>(live * 2);
  }

  bool is_reader(thread_bits bit) const noexcept {
    return (readers_.load(std::memory_order_acquire) & bit) != 0;  // E3 observe
  }
  /// A thread's first emission here: it sees all that was unlinked before, or its bit is seen by who unlinks.
  MILLRACE_NOINLINE void add_reader(thread_bits bit) const noexcept {
    const lock_guard guard(lock_);
    readers_.store(readers_.load(std::memory_order_relaxed) | bit,  // relaxed: written under the lock
                   std::memory_order_release);                      // E3 publish
  }
  /// The lock is held.
  void unlink(array& from, node& l) noexcept {
    from.clear(l.index_);
    l.readers_.store(readers_.load(std::memory_order_relaxed),  // relaxed: written under the lock
                     std::memory_order_relaxed);                // relaxed: a fence too many does no harm
  }

  void place(array& to, node& l) noexcept {
    l.index_ = to.count();
    least_ = l.priority_;
    to.append(l);
    has_one_.store(to.count() == 1, std::memory_order_relaxed);  // relaxed: a hint
  }

  /// The lock is held.
  void replace(array& fresh, node* added) noexcept {
    array* const old = current();
    for (std::uint32_t i = 0; old != nullptr && i < old->count(); ++i) {
      node* const l = old->get(i);
      if (l == nullptr) continue;
      if (added != nullptr && added->priority_ > l->priority_) {
        place(fresh, *added);
        added = nullptr;
      }
      place(fresh, *l);
    }
    if (added != nullptr) place(fresh, *added);
    array_.store(&fresh, std::memory_order_release);  // E2 publish
    if (old != nullptr) open_.add(*old);
  }

  bool is_sparse() const noexcept {
    const std::uint32_t count = current()->count();
    return count >= least_sparse && live_ * 4 < count;
  }
  bool is_to_be_tidied() const noexcept {
    return !is_tidied_ &&
           (open_.size() >= (live_ < Traits::least_retired ? Traits::least_retired : live_) || is_sparse());
  }

  MILLRACE_NOINLINE void tidy_and_leave() noexcept {
    retired_batch batch;
    retired_batch older;
    const thread_bits readers = take_retired(batch, older);
    auto& all = emitters<Traits>::all();
    batch.set_time(all.tick());
    all.fence(readers, batch.time());
    const auto oldest = all.oldest();
    if (older.time() < oldest) older.discard();
    if (batch.time() < oldest) batch.discard();
    bool is_last = false;
    {
      const lock_guard guard(lock_);
      waiting_.add(older);
      waiting_.add(batch);
      is_tidied_ = false;
      is_last = --attached_ == 0;
    }
    all.collect();
    if (is_last) finish();
  }
  /// Takes what is to be freed, and replaces the array, where that helps and there is memory for it. Who may read
  /// there.
  thread_bits take_retired(retired_batch& batch, retired_batch& older) noexcept {
    std::uint32_t needed = 0;
    {
      const lock_guard guard(lock_);
      if (is_sparse()) needed = capacity_for(live_);
    }
    array* fresh = nullptr;
    thread_bits readers = 0;
    if (needed != 0) {
      try {
        fresh = array::make(needed);
      } catch (...) {  // std::bad_alloc: it stays sparse
      }
    }
    {
      const lock_guard guard(lock_);
      if (fresh != nullptr && live_ <= fresh->capacity()) {
        replace(*fresh, nullptr);
        fresh = nullptr;
      }
      batch.add(open_);
      older.add(waiting_);
      readers = readers_.load(std::memory_order_relaxed);  // relaxed: written under the lock
    }
    if (fresh != nullptr) fresh->destroy();
    return readers;
  }

  void finish() noexcept {
    retired_batch batch;
    batch.add(open_);
    batch.add(waiting_);
    if (array* const cells = current()) batch.add(*cells);
    batch.add(*this);
    emitters<Traits>::all().collect();
    emitters<Traits>::all().adopt(batch,
                                  readers_.load(std::memory_order_relaxed));  // relaxed: nobody else is left
  }

  alignas(cache_line) typename Traits::template atomic<array*> array_{nullptr};
  mutable typename Traits::template atomic<thread_bits> readers_{0};  // whose emissions have ever been here
  typename Traits::template atomic<bool> has_one_{false};             // a hint: the array has one cell in use
  mutable next_waiters<Traits> waiters_;
  alignas(cache_line) mutable spin_lock<Traits> lock_;  // guards the rest, and writing those
  bool is_tidied_ = false;                              // somebody is at it
  int least_ = 0;                                       // the priority of the last cell
  std::size_t live_ = 0;
  std::size_t attached_ = 1;
  retired_batch open_;
  retired_batch waiting_;
};

}  // namespace millrace::detail
