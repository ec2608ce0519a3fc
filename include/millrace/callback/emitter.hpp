// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include <millrace/callback/retired.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/detail/thread_context.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

template <class Traits>
class emission;

/// A set of threads.
using thread_bits = std::uint64_t;

/// Where one emission of one thread tells all others that it reads memory which must not be freed, and which
/// listener it calls. A thread has one for each level of emissions inside emissions; only it writes there.
template <class Traits>
class alignas(cache_line) emitter {
  template <class>
  friend class emitters;
  friend emission<Traits>;

  template <class T>
  using atomic = typename Traits::template atomic<T>;

  atomic<std::uint64_t> pinned_{0};       // when the emission began; 0: there is none
  atomic<const void*> current_{nullptr};  // the listener that it calls
  atomic<bool> is_taken_{true};           // by a thread
  emitter* next_ = nullptr;               // of all that there are; set once, as number_
  unsigned number_ = 0;
  // The thread's own:
  thread_bits bit_ = 0;
  emitter* inner_ = nullptr;     // for emissions inside this one
  bool is_to_finish_ = false;    // there is one of these:
  bool is_transient_ = false;    // to be given up after this emission: the thread is ending
  bool leaves_orphans_ = false;  // that this emission has kept from being freed
  work_list late_;               // to be woken after this emission
};

/// All emitters of the program, the clock by which they tell how old an emission is, and memory whose registry
/// is gone.
///
/// Threads     any.
/// Progress    an emission begins and ends wait-free, but for the first of a thread on its level: that takes an
///             emitter, and may allocate one. What looks at all of them is linear in their number: the most
///             threads, times levels, that there ever were at the same time.
/// Lifetime    that of the program. Emitters are used again, and never freed.
template <class Traits>
class emitters {
  // Both protocols are store-then-load on either side (F1, see asymmetric_fence; the light fence is the
  // emission's, the heavy one is of who waits):
  //
  //   emission    pinned = the time now;  light;  reads the list
  //   reclaim     unlinks from the list;  time += 1, from t;  heavy;  is anybody pinned at t or before?
  //     An emission that is not seen to be pinned sees the list without what was unlinked. So does one that is
  //     pinned after t: it has read the time, hence what came before (E1).
  //
  //   emission    current = a listener;  light;  reads how to call it
  //   wait        it is not to be called any more;  heavy;  is it anybody's current?
  //     An emission that is not seen there does not call it.
  //
  // Who has seen once that an emission is over, or is not, need not fence to look again. And a list knows whose
  // emissions have ever read it, by bits: where those are the caller's own, no fence is needed at all. Nor is it
  // where each of the others is seen in an outermost emission that began after a tick of the caller: what it did
  // before is over (E2), and what it does from then on sees what the caller stored before the tick (E1). That is
  // worth two looks, and a yield between them: a heavy fence takes as long as hundreds of emissions. It also
  // interrupts each thread that runs: where one of them was seen to emit, that is worth more of them. Where an
  // emitter has passed to another thread, its former owners' emissions are over, too (E2: release, take); they had
  // the same bit.
  //
  // E1  reclaim, wait -> emission   what was unlinked, and what is not to be called, by the time.
  // E2  emission -> reclaim, wait   what the emission, or the callback, did; also to who takes its emitter.
  // E3  take -> whoever looks       a new emitter, by the list of all.
  // F1  emission <-> reclaim, wait  the two above.

 public:
  using node = emitter<Traits>;
  using time_type = std::uint64_t;
  static constexpr time_type never = std::numeric_limits<time_type>::max();

  static emitters& all() noexcept { return Traits::template global<emitters>(); }

  emitters() noexcept = default;
  emitters(const emitters&) = delete;
  emitters& operator=(const emitters&) = delete;

  time_type now() const noexcept { return clock_.load(std::memory_order_acquire); }  // E1 observe

  /// What was unlinked before this is free once nobody is pinned at the result, or earlier.
  time_type tick() noexcept { return clock_.fetch_add(1, std::memory_order_release); }  // E1 publish

  /// Lets the caller see the emissions of these threads, or them see what the caller has stored before.
  void fence(thread_bits of) noexcept {
    if ((of & ~own_bit()) != 0) fence(of, tick());
  }
  /// The same, for what was stored before a tick() that returned this.
  void fence(thread_bits of, time_type since) noexcept {
    of &= ~own_bit();
    if (of != 0 && !have_begun_anew(of, since)) Traits::fence::heavy();  // F1
  }

  /// After fence(): when the oldest emission of the program began that is still in progress; never: there is none.
  time_type oldest() const noexcept {
    time_type least = never;
    for (const node* at = first(); at != nullptr; at = at->next_) {
      const time_type pinned = at->pinned_.load(std::memory_order_acquire);  // E2 observe
      if (pinned != 0 && pinned < least) least = pinned;
    }
    return least;
  }

  /// After fence(): whether somebody is inside a callback.
  bool is_current(const void* listener) const noexcept {
    for (const node* at = first(); at != nullptr; at = at->next_) {
      if (at->current_.load(std::memory_order_acquire) == listener) return true;  // E2 observe
    }
    return false;
  }

  /// The emitter of the outermost emission of the calling thread; null: it is inside none.
  static node* outermost() noexcept {
    node* const at = static_cast<node*>(Traits::this_thread().emitter);
    return at != nullptr && is_pinned(*at) ? at : nullptr;
  }

  /// Wakes a waiter that was taken: after the calling thread's emissions, where it would else run inside them.
  static void wake_later(waiter<Traits>& w) noexcept {
    node* const mine = outermost();
    if (mine == nullptr || w.home || trampoline<Traits>::active()) return wake(w);
    mine->late_.push_back(w);
    mine->is_to_finish_ = true;
  }

  /// Frees the batch once no emission of these threads reads in it, which may be now.
  void adopt(retired_batch& batch, thread_bits readers) noexcept {
    batch.set_time(tick());
    fence(readers, batch.time());
    if (oldest() > batch.time()) return batch.discard();
    keep(batch);
    if (node* const mine = outermost()) mine->is_to_finish_ = mine->leaves_orphans_ = true;
  }

  /// Frees what was adopted, where no emission reads in it any more.
  void collect() noexcept {
    if (!has_orphans_.load(std::memory_order_relaxed)) return;  // relaxed: a hint
    retired_batch batch;
    {
      const lock_guard guard(lock_);
      batch.add(orphans_);
      has_orphans_.store(false, std::memory_order_relaxed);  // relaxed: a hint
    }
    if (batch.size() == 0) return;
    if (oldest() > batch.time()) return batch.discard();
    keep(batch);
  }

  /// The calling thread's emitter for one more emission. Errors: std::bad_alloc.
  MILLRACE_NOINLINE node& find() {
    thread_context& context = Traits::this_thread();
    node* outer = nullptr;
    node* at = static_cast<node*>(context.emitter);
    while (at != nullptr && is_pinned(*at)) {
      outer = at;
      at = at->inner_;
    }
    if (at != nullptr) return *at;
    at = &take();
    if (outer != nullptr) {
      at->bit_ = outer->bit_;
      outer->inner_ = at;
    } else {
      at->bit_ = at->number_ < shared_bit ? thread_bits{1} << at->number_ : thread_bits{1} << shared_bit;
      context.emitter = at;
    }
    if (context.is_ending) {
      at->is_to_finish_ = at->is_transient_ = true;
    } else if (outer == nullptr) {
      Traits::at_thread_exit(&leave, &context);
    }
    return *at;
  }

  static bool is_pinned(const node& at) noexcept {
    return at.pinned_.load(std::memory_order_relaxed) != 0;  // relaxed: our own
  }

  /// For a test: frees all emitters. Nobody uses one, and nothing is left to be freed.
  std::size_t clear() noexcept {
    std::size_t count = 0;
    while (node* const at = first()) {
      head_.store(at->next_, std::memory_order_relaxed);  // relaxed: one thread is left
      at->~node();
      Traits::deallocate(at, alignof(node));
      ++count;
    }
    return count;
  }

 private:
  friend emission<Traits>;
  template <class T>
  using atomic = typename Traits::template atomic<T>;

  static constexpr int pauses_between_looks = 64;
  static constexpr unsigned shared_bit = Traits::own_reader_bits;  // of all threads that have come later

  static thread_bits own_bit() noexcept {
    const node* const mine = static_cast<node*>(Traits::this_thread().emitter);
    return mine == nullptr ? 0 : mine->bit_ & ~(thread_bits{1} << shared_bit);
  }

  /// Whether each of these threads was seen in an emission that began after that time.
  bool have_begun_anew(const thread_bits all, time_type since) const noexcept {
    if ((all >> shared_bit) != 0) return false;
    thread_bits of = all;  // who has not
    for (unsigned look = 1;; ++look) {
      for (const node* at = first(); at != nullptr; at = at->next_) {
        if (at->number_ < shared_bit && (of >> at->number_ & 1) != 0 &&
            at->pinned_.load(std::memory_order_acquire) > since) {  // E2 observe
          of &= ~(thread_bits{1} << at->number_);
        }
      }
      if (of == 0) return true;
      if (look >= (of == all ? Traits::looks_before_fence : Traits::looks_while_emitting)) return false;
      if (look == 1) {
        Traits::yield();
      } else {
        for (int i = 0; i < pauses_between_looks; ++i) Traits::pause();
      }
    }
  }

  node* first() const noexcept { return head_.load(std::memory_order_acquire); }  // E3 observe

  void keep(retired_batch& batch) noexcept {
    const lock_guard guard(lock_);
    orphans_.add(batch);
    has_orphans_.store(true, std::memory_order_relaxed);  // relaxed: a hint
  }

  /// One that nobody has.
  node& take() {
    node* head = first();
    for (node* at = head; at != nullptr; at = at->next_) {
      if (!at->is_taken_.load(std::memory_order_relaxed) &&            // relaxed: settled by the exchange
          !at->is_taken_.exchange(true, std::memory_order_acquire)) {  // E2 observe
        return *at;
      }
    }
    node* const at = ::new (Traits::allocate(sizeof(node), alignof(node))) node();
    do {
      at->next_ = head;
      at->number_ = head == nullptr ? 0 : head->number_ + 1;
    } while (!head_.compare_exchange_strong(
        head, at,
        std::memory_order_acq_rel,  // E3 publish, E3 observe
        // caution: release would do, whose sequence goes on: but g++ 12 warns where a success is weaker than a failure
        std::memory_order_acquire));  // E3 observe; caution: the checker does not see plain number_
    return *at;
  }

  static void leave(void* what) noexcept {
    auto& context = *static_cast<thread_context*>(what);
    auto* at = static_cast<node*>(context.emitter);
    if (is_pinned(*at)) return;  // std::exit() in a callback: it stays in there
    context.emitter = nullptr;
    while (at != nullptr) at = release(*at);
  }
  static node* release(node& at) noexcept {
    node* const inner = std::exchange(at.inner_, nullptr);
    at.is_transient_ = false;
    at.is_taken_.store(false, std::memory_order_release);  // E2 publish
    return inner;
  }
  /// Of an ending thread: the innermost that it has.
  static void give_up(node& innermost) noexcept {
    void*& outermost = Traits::this_thread().emitter;
    if (outermost == &innermost) {
      outermost = nullptr;
    } else {
      auto* outer = static_cast<node*>(outermost);
      while (outer->inner_ != &innermost) outer = outer->inner_;
      outer->inner_ = nullptr;
    }
    release(innermost);
  }

  alignas(cache_line) atomic<time_type> clock_{1};
  atomic<node*> head_{nullptr};
  alignas(cache_line) spin_lock<Traits> lock_;  // guards orphans_
  atomic<bool> has_orphans_{false};
  retired_batch orphans_;
};

/// One emission of the calling thread: while it lives, what it reads is not freed.
///
/// Threads     one; in functions that are never inlined.
/// Progress    wait-free, but for the first of a thread on its level.
template <class Traits>
class emission {
  using node = emitter<Traits>;

 public:
  MILLRACE_ALWAYS_INLINE emission() : emission(mine()) {}
  /// Of the calling thread, at an emitter that is ready().
  MILLRACE_ALWAYS_INLINE explicit emission(emitter<Traits>& at) noexcept : at_(at) {
    at_.pinned_.store(emitters<Traits>::all().now(),
                      std::memory_order_release);  // E2 publish: of the emissions before
    Traits::fence::light();                        // F1 publish, F1 observe
  }
  emission(const emission&) = delete;
  emission& operator=(const emission&) = delete;
  MILLRACE_ALWAYS_INLINE ~emission() {
    at_.pinned_.store(0, std::memory_order_release);  // E2 publish
    if (at_.is_to_finish_) [[unlikely]]
      finish(at_);
  }

  /// The calling thread's emitter, where it has one and is inside no emission; else null.
  MILLRACE_ALWAYS_INLINE static emitter<Traits>* ready() noexcept {
    node* const at = static_cast<node*>(Traits::this_thread_inlined().emitter);
    return at != nullptr && !emitters<Traits>::is_pinned(*at) ? at : nullptr;
  }
  /// Of the emitter's thread.
  static thread_bits bit_of(const emitter<Traits>& at) noexcept { return at.bit_; }
  thread_bits bit() const noexcept { return at_.bit_; }

  /// From here on the emission is inside that listener's callback, and no longer inside another's.
  MILLRACE_ALWAYS_INLINE void enter(const void* listener) noexcept {
    at_.current_.store(listener, std::memory_order_release);  // E2 publish
    Traits::fence::light();                                   // F1 publish, F1 observe
  }

 private:
  MILLRACE_ALWAYS_INLINE static node& mine() {
    node* const at = ready();
    return at != nullptr ? *at : emitters<Traits>::all().find();
  }

  // Takes no `this`: so that the emission stays in registers.
  MILLRACE_NOINLINE static void finish(node& at) noexcept {
    const bool leaves_orphans = std::exchange(at.leaves_orphans_, false);
    at.is_to_finish_ = false;
    work_list late;
    while (!at.late_.empty()) late.push_back(at.late_.pop_front());
    if (at.is_transient_) emitters<Traits>::give_up(at);
    if (leaves_orphans) emitters<Traits>::all().collect();
    wake_all<Traits>(late, [](auto&) {});
  }

  node& at_;
};

}  // namespace millrace::detail
