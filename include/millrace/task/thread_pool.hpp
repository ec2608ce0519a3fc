// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/cache_line.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/task/owned_work_list.hpp>
#include <millrace/task/shared_work_list.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/timer_service.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

/// An executor that runs its work on threads of its own, and fires its timers there.
///
/// Threads     any thread posts and adds timers; construction and destruction are exclusive.
/// Progress    post() takes a spin lock for a few instructions, on a worker only where others have just
///             taken from its list. It makes a system call only where every worker that has nothing to do
///             sleeps: one that is awake is never notified. Timers fire in time as long as some worker
///             has nothing to do. While all are busy, one fires when some worker runs out of work, or
///             after the 16th item that it has begun since, at the latest.
/// Ordering    what precedes post() happens-before the item's run(). Work that a worker posts goes to
///             that worker, in order; a worker without work takes over what another one has not
///             started for 10 us, and what other threads post.
/// Errors      the constructor throws std::invalid_argument on 0 threads, std::bad_alloc, or
///             std::system_error where a thread cannot be started.
/// Complexity  constant; allocates only in the constructor. A worker without work spins for about
///             50 us, then sleeps; while others post to themselves, one naps for 50 us at a time instead.
/// Lifetime    the destructor runs all that was posted, and what that posts, then joins the threads; it
///             does not wait for timers. The pool outlives all that may resume on it, and its pending
///             timers.
template <class Traits>
class basic_thread_pool {
  // A worker is one of
  //   running     it has work
  //   searching   it has none, and looks at the lists of all; counted in idle_
  //   sleeping    it is in sleepers_, or is the timekeeper_, and counted in idle_; who takes it from
  //               there makes it searching and unparks it
  //
  // idle_ = {sleeping, searching}. A post wakes a sleeper only where there is one and nobody
  // searches; a searcher that finds work does likewise, because it no longer searches.
  //
  // No item is left behind: a worker that wants to sleep says so in idle_, then looks into every list
  // once more, under the list's lock. A post adds its item under that lock, or inside its bias, and reads
  // idle_ after it. If the worker had the lock first, the lock carries its word in idle_ to the post, which
  // wakes it; otherwise the worker sees the item. So idle_ needs no order of its own. The same holds for
  // stopping_ and sleepers_lock_.
  //
  // A worker is quiet from having looked in vain until it wakes. When the pool stops, no worker goes
  // before all are quiet, for one that is blocked may need another: the last one to be quiet, having
  // looked after the stop, ends all. Those that have gone stay quiet.
  //
  // The timekeeper is the sleeper that sleeps until the earliest deadline only, and then takes itself
  // back. Who goes to sleep while there is none becomes it, and it is the last to be woken for work. So
  // some worker is the timekeeper, or searches (and looks at the timers meanwhile), or is about to wake
  // one that will, as long as any sleep: who stops searching wakes another. No deadline is slept
  // through: the timekeeper asks for the earliest one, under the lock of the timers, when it is where an
  // add() that has an earlier one looks for it, under that lock.
  //
  // E1  stop -> worker   all that was posted, and threads_, where a thread could not be started.

 public:
  explicit basic_thread_pool(unsigned threads) : size_(checked(threads)), workers_(new worker[size_]) {
    for (std::size_t i = 0; i < size_; ++i) {
      workers_[i].pool = this;
      try {
        workers_[i].thread = std::thread([this, i] { work(workers_[i]); });
      } catch (...) {
        threads_ = i;
        stop();
        throw;
      }
    }
  }
  basic_thread_pool(const basic_thread_pool&) = delete;
  basic_thread_pool& operator=(const basic_thread_pool&) = delete;
  ~basic_thread_pool() { stop(); }

  MILLRACE_NOINLINE void post(work_item& item) noexcept {
    auto* const self = static_cast<worker*>(Traits::this_thread_inlined().worker);
    if (self != nullptr && self->pool == this) {
      self->list.push(item);
      wake_one();
    } else {
      // The pool may be gone once the item can be taken: who is to wake is settled before. A sleeper
      // that was taken from the list waits for its token, so that one is still there.
      worker* const sleeper = injector_.push(item, [this]() noexcept { return take_sleeper_if_idle(); });
      if (sleeper != nullptr) sleeper->parker.unpark();
    }
  }

  /// Its timers, for operations with a deadline.
  timer_service* timers() noexcept { return &timers_; }

  unsigned size() const noexcept { return static_cast<unsigned>(size_); }

 private:
  using list = detail::owned_work_list<Traits>;
  using clock = std::chrono::steady_clock;

  static constexpr std::uint64_t one_sleeping = std::uint64_t{1} << 32;
  static constexpr auto steal_after = std::chrono::microseconds(10);
  static constexpr auto look_every = std::chrono::microseconds(4);
  static constexpr auto search_for = std::chrono::microseconds(50);
  static constexpr auto nap = std::chrono::microseconds(50);
  static constexpr unsigned others_turn = 16;            // how many items between looks at the clock
  static constexpr unsigned fairness = 4 * others_turn;  // how many own items between looks at the injector

  struct alignas(detail::cache_line) worker {
    detail::owned_work_list<Traits> list;
    basic_thread_pool* pool = nullptr;
    typename Traits::parker parker;
    worker* next_sleeper = nullptr;  // guarded by sleepers_lock_
    unsigned turn = 0;               // its own
    std::thread thread;
  };

  class driver final : public detail::timer_driver<Traits> {
   public:
    explicit driver(basic_thread_pool& pool) noexcept : pool_(pool) {}

   private:
    typename Traits::parker* sleeps_too_long() noexcept override {
      worker* const sleeper = pool_.take_sleeper(true);
      return sleeper != nullptr ? &sleeper->parker : nullptr;
    }

    basic_thread_pool& pool_;
  };

  static std::size_t checked(unsigned threads) {
    if (threads == 0) {
      throw std::invalid_argument(
          "millrace: a thread_pool of 0 threads would never run anything (run_loop is the executor "
          "that its caller drives)");
    }
    return threads;
  }

  void work(worker& self) noexcept {
    Traits::this_thread().worker = &self;
    const executor_ref home(*this);
    detail::trampoline<Traits> loop(home);
    for (;;) {
      while (work_item* const item = next(self)) loop.run(*item);
      work_item* const found = search(self);
      if (found == nullptr) return;
      loop.run(*found);
    }
  }

  work_item* next(worker& self) noexcept {
    if (++self.turn % others_turn == 0) {
      if (timers_.earliest() != clock::time_point::max()) expire(clock::now());
      if (self.turn % fairness == 0) {
        if (work_item* const item = injector_.pop()) return item;
      }
    }
    return next_of(self);
  }

  work_item* next_of(worker& self) noexcept {
    if (work_item* const item = self.list.pop()) return item;
    return injector_.pop();
  }

  /// Fires the timers that are due.
  void expire(clock::time_point now) noexcept {
    if (now < timers_.earliest()) return;
    detail::trampoline<Traits> bottom{executor_ref(*this)};
    timers_.expire(now);
    bottom.run();
  }

  /// An item from anywhere, however long that takes; null: the pool stops and there is none.
  work_item* search(worker& self) noexcept {
    idle_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a searcher looks again
    for (;;) {
      if (work_item* const item = search_awake(self)) {
        idle_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: counts
        wake_one();
        return item;
      }
      const bool keeps_time = add_sleeper(self);
      idle_.fetch_add(one_sleeping - 1, std::memory_order_relaxed);     // relaxed: the lists' locks
      const bool stopping = stopping_.load(std::memory_order_acquire);  // E1 observe: before the look
      // caution: as stop() says
      if (work_item* const item = look_everywhere(self)) {
        std::uint64_t counted_as = one_sleeping;
        if (!remove_sleeper(self)) {
          self.parker.park();  // who wakes us counts us as searching
          counted_as = 1;
        }
        idle_.fetch_sub(counted_as, std::memory_order_relaxed);  // relaxed: counts
        wake_one();
        return item;
      }
      const std::size_t quiet = quiet_.fetch_add(1, std::memory_order_relaxed) + 1;  // relaxed: counts
      if (stopping && quiet == threads_) {
        finished_.store(true, std::memory_order_relaxed);  // relaxed: sleepers_lock_ and the parkers
        wake_all();
      }
      if (!keeps_time) {
        self.parker.park();  // who wakes us counts us as searching
      } else if (!self.parker.park_until(timers_.sleeps_until())) {
        if (remove_sleeper(self)) {
          idle_.fetch_sub(one_sleeping - 1, std::memory_order_relaxed);  // relaxed: counts
        } else {
          self.parker.park();  // somebody was about to wake us
        }
      }
      if (finished_.load(std::memory_order_relaxed)) return nullptr;  // relaxed: seen late, we end again
      quiet_.fetch_sub(1, std::memory_order_relaxed);                 // relaxed: counts
    }
  }

  /// Looks around for search_for. While others are busy with fresh work, or post to themselves, one goes on in
  /// naps: for those it would be dearer to wake it, and to have their lists looked at all the time.
  work_item* search_awake(worker& self) noexcept {
    // An item is stale, and may be stolen, once as many were popped as had been pushed at `since`.
    std::uint64_t seen[most_victims] = {};
    clock::time_point since[most_victims] = {};
    const clock::time_point start = clock::now();
    clock::time_point awake = start;
    clock::time_point looked{};
    std::uint64_t pushed = pushed_to_all();
    for (clock::time_point now = start;; now = clock::now()) {
      expire(now);
      if (work_item* const item = next_of(self)) return item;
      if (now - looked < look_every) {
        for (int i = 0; i < 8; ++i) Traits::pause();
        continue;
      }
      looked = now;
      bool all_empty = true;
      for (std::size_t i = 0; i < size_ && i < most_victims; ++i) {
        list& victim = workers_[i].list;
        if (victim.looks_empty()) continue;
        all_empty = false;
        if (since[i] == clock::time_point{} || victim.popped() >= seen[i]) {
          seen[i] = victim.pushed();
          since[i] = now;
        } else if (now - since[i] >= steal_after) {
          self.list.steal(victim);
          if (work_item* const item = self.list.pop()) return item;
          since[i] = {};
        }
      }
      if (now - start < search_for || (!all_empty && now - awake < steal_after + look_every)) continue;
      if (all_empty) {
        const std::uint64_t before = std::exchange(pushed, pushed_to_all());
        if (pushed == before || others_search()) return nullptr;
      }
      const clock::time_point due = timers_.earliest();
      std::this_thread::sleep_until(due < now + nap ? due : now + nap);
      awake = clock::now();
      looked = {};
    }
  }

  std::uint64_t pushed_to_all() const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < size_ && i < most_victims; ++i) sum += workers_[i].list.pushed();
    return sum;
  }

  work_item* look_everywhere(worker& self) noexcept {
    if (work_item* const item = injector_.pop_now()) return item;
    for (std::size_t i = 0; i < size_; ++i) {
      worker& at = workers_[i];
      if (work_item* const item = &at == &self ? at.list.pop() : at.list.take()) return item;
    }
    return nullptr;
  }

  /// Wakes a sleeper, where nobody searches.
  void wake_one() noexcept {
    if (worker* const sleeper = take_sleeper_if_idle()) sleeper->parker.unpark();
  }

  worker* take_sleeper_if_idle() noexcept {
    const std::uint64_t idle = idle_.load(std::memory_order_relaxed);  // relaxed: the lists' locks
    return idle >= one_sleeping && idle % one_sleeping == 0 ? take_sleeper() : nullptr;
  }

  /// For one that searches.
  bool others_search() const noexcept {
    return idle_.load(std::memory_order_relaxed) % one_sleeping > 1;  // relaxed: a hint
  }

  /// Makes a sleeper no sleeper, and counts it as searching; the caller unparks it.
  worker* take_sleeper(bool timekeeper_first = false) noexcept {
    worker* sleeper;
    {
      const detail::lock_guard guard(sleepers_lock_);
      if (sleepers_ == nullptr || (timekeeper_first && timekeeper_ != nullptr)) {
        sleeper = timekeeper_;
        if (sleeper == nullptr) return nullptr;
        timekeeper_ = nullptr;
      } else {
        sleeper = sleepers_;
        sleepers_ = sleeper->next_sleeper;
      }
    }
    idle_.fetch_sub(one_sleeping - 1, std::memory_order_relaxed);  // relaxed: counts
    return sleeper;
  }

  void wake_all() noexcept {
    while (worker* const sleeper = take_sleeper()) sleeper->parker.unpark();
  }

  /// True: it is the timekeeper.
  bool add_sleeper(worker& self) noexcept {
    const detail::lock_guard guard(sleepers_lock_);
    if (timekeeper_ == nullptr) {
      timekeeper_ = &self;
      return true;
    }
    self.next_sleeper = sleepers_;
    sleepers_ = &self;
    return false;
  }

  /// False: somebody took it to wake it.
  bool remove_sleeper(worker& self) noexcept {
    const detail::lock_guard guard(sleepers_lock_);
    if (timekeeper_ == &self) {
      timekeeper_ = nullptr;
      return true;
    }
    for (worker** at = &sleepers_; *at != nullptr; at = &(*at)->next_sleeper) {
      if (*at == &self) {
        *at = self.next_sleeper;
        return true;
      }
    }
    return false;
  }

  void stop() noexcept {
    stopping_.store(true, std::memory_order_release);  // E1 publish
    // caution: matters only where a thread could not be started; items go through the lists' locks
    wake_all();
    for (std::size_t i = 0; i < size_ && workers_[i].thread.joinable(); ++i) workers_[i].thread.join();
  }

  static constexpr std::size_t most_victims = 64;

  const std::size_t size_;
  const std::unique_ptr<worker[]> workers_;
  detail::shared_work_list<Traits> injector_;
  driver timers_{*this};
  alignas(detail::cache_line) typename Traits::template atomic<std::uint64_t> idle_{0};
  detail::spin_lock<Traits> sleepers_lock_;
  worker* sleepers_ = nullptr;    // but for the timekeeper
  worker* timekeeper_ = nullptr;  // guarded by sleepers_lock_
  std::size_t threads_ = size_;   // how many were started
  typename Traits::template atomic<std::size_t> quiet_{0};
  typename Traits::template atomic<bool> stopping_{false};
  typename Traits::template atomic<bool> finished_{false};
};

using thread_pool = basic_thread_pool<default_traits>;

}  // namespace millrace
