// SPDX-License-Identifier: BSL-1.0
#pragma once

// The door to the model checker: relacy (Debian: relacy-dev) runs a scenario under every schedule
// with few preemptions, then under random ones, on a memory that is as weak as C++ allows. It reports
// data races, uses after destruction, leaks, deadlocks (a sleeper that nobody wakes) and livelocks.

// The standard library and what calls the system come first: relacy's macros must not reach them.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>

#include <millrace/detail/asymmetric_fence.hpp>
#include <millrace/detail/cpu.hpp>
#include <millrace/detail/futex.hpp>
#include <millrace/detail/pages.hpp>

#include <relacy/relacy.hpp>

#undef $
#undef VAR
#undef VAR_T
#undef TLS_T
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#include <cassert>
#include <cerrno>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/thread_context.hpp>
#include <millrace/wait/waiter.hpp>

// relacy replaces the unsized ones.
inline void operator delete(void* memory, std::size_t) noexcept {
  ::operator delete(memory);
}
inline void operator delete[](void* memory, std::size_t) noexcept {
  ::operator delete[](memory);
}

namespace millrace::model {

constexpr int most_threads = 4;
inline detail::thread_context thread_contexts[most_threads];
inline bool has_acted[most_threads];  // since its last yield

inline rl::debug_info here(const char* function = __builtin_FUNCTION(), const char* file = __builtin_FILE(),
                           unsigned line = __builtin_LINE()) noexcept {
  return rl::debug_info(function, file, line);
}

constexpr rl::memory_order order(std::memory_order o) noexcept {
  switch (o) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_consume:
      return rl::mo_consume;
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return rl::mo_release;
    case std::memory_order_acq_rel:
      return rl::mo_acq_rel;
    default:
      return rl::mo_seq_cst;
  }
}

/// Whether an object is still there. relacy has its own mark, but compilers leave out the store by
/// which a destructor wipes it; not so a volatile one.
class life_mark {
 public:
  life_mark() = default;
  life_mark(const life_mark&) = delete;
  life_mark& operator=(const life_mark&) = delete;
  ~life_mark() { mark_ = 0; }
  void check(const rl::debug_info& at) const {
    if (mark_ != alive) {
      rl::ctx().fail_test("it was destroyed", rl::test_result_access_to_freed_memory, at);
    }
  }

 private:
  static constexpr unsigned alive = 0x11fe11fe;
  volatile unsigned mark_ = alive;
};

/// What relacy can print: for pointers to functions or to what is const, their numbers.
template <class T>
using printable =
    std::conditional_t<std::is_pointer_v<T> && !std::is_convertible_v<T, void*>, std::uintptr_t, T>;

/// std::atomic, watched. Before every access the checker may switch threads.
template <class T>
class atomic {
  using info = const rl::debug_info&;

 public:
  atomic() = default;
  atomic(T value) : word_(in(value)) {}  // NOLINT: as std::atomic
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  T load(std::memory_order o, info at = here()) const {
    const access now(*this, at);
    return out(word_.load(order(o), at));
  }
  void store(T value, std::memory_order o, info at = here()) {
    const access now(*this, at);
    word_.store(in(value), order(o), at);
  }
  T exchange(T value, std::memory_order o, info at = here()) {
    const access now(*this, at);
    return out(word_.exchange(in(value), order(o), at));
  }
  T fetch_add(T value, std::memory_order o, info at = here()) {
    const access now(*this, at);
    return word_.fetch_add(value, order(o), at);
  }
  T fetch_sub(T value, std::memory_order o, info at = here()) {
    const access now(*this, at);
    return word_.fetch_sub(value, order(o), at);
  }
  bool compare_exchange_strong(T& found, T wanted, std::memory_order success, std::memory_order failure,
                               info at = here()) {
    return compare_exchange<false>(found, wanted, success, failure, at);
  }
  bool compare_exchange_weak(T& found, T wanted, std::memory_order success, std::memory_order failure,
                             info at = here()) {
    return compare_exchange<true>(found, wanted, success, failure, at);
  }

 private:
  /// The switch, then a look whether the atomic is still there; no other switch while it lives.
  class access {
   public:
    access(const atomic& self, info at) {
      has_acted[rl::ctx().current_thread()] = true;
      rl::ctx().sched();
      rl::ctx().disable_preemption();
      self.mark_.check(at);
    }
    access(const access&) = delete;
    access& operator=(const access&) = delete;
    ~access() { rl::ctx().enable_preemption(); }
  };

  template <bool Weak>
  bool compare_exchange(T& found, T wanted, std::memory_order success, std::memory_order failure, info at) {
    const access now(*this, at);
    // relacy takes no failure order that is stronger than the success order, so a failure is made of
    // a relaxed one and a load of the same value.
    printable<T> word = in(found);
    if (word_.compare_exchange(rl::bool_t<Weak>(), word, in(wanted), order(success), rl::mo_relaxed, at)) {
      return true;
    }
    found = out(failure != std::memory_order_relaxed ? word_.load(order(failure), at) : word);
    return false;
  }

  static printable<T> in(T value) {
    if constexpr (std::is_same_v<T, printable<T>>) {
      return value;
    } else {
      return reinterpret_cast<printable<T>>(value);
    }
  }
  static T out(printable<T> word) {
    if constexpr (std::is_same_v<T, printable<T>>) {
      return word;
    } else {
      return reinterpret_cast<T>(word);
    }
  }

  rl::atomic<printable<T>> word_;
  life_mark mark_;
};

/// Reports two accesses that no happens-before orders, unless both read.
class probe {
 public:
  probe() : cell_(0) {}
  void read(const rl::debug_info& at = here()) const {
    mark_.check(at);
    (void)cell_(at).load();
  }
  void write(const rl::debug_info& at = here()) {
    mark_.check(at);
    cell_(at).store(1);
  }

 private:
  rl::var<int> cell_;
  life_mark mark_;
};

/// How many deadlines may still pass in this schedule.
inline int timeouts = 0;

/// Blocks the model's thread: if nobody is left to unpark it, relacy reports a deadlock. There is no time:
/// a deadline before the clock's zero has passed; max() never comes; and any other passes at once, or never,
/// as the schedule has it.
class parker {
 public:
  void park() {
    while (token_.exchange(0, std::memory_order_acquire) == 0) {
      sleeper_ = rl::ctx().current_thread();  // no switch between the exchange and the sleep
      rl::ctx().park_current_thread(false, false, false, here());
      sleeper_ = nobody;
    }
  }
  template <class TimePoint>
  bool park_until(TimePoint deadline) {
    const bool has_passed = deadline < TimePoint();
    if (has_passed || (deadline != TimePoint::max() && timeouts > 0 && rl::rand(2) != 0)) {
      if (!has_passed) --timeouts;
      return token_.exchange(0, std::memory_order_acquire) != 0;
    }
    park();
    return true;
  }
  void unpark() {
    token_.exchange(1, std::memory_order_release);
    if (sleeper_ != nobody) rl::ctx().unpark_thread(std::exchange(sleeper_, nobody), false, here());
  }

 private:
  static constexpr rl::thread_id_t nobody = -1;

  atomic<int> token_{0};
  rl::thread_id_t sleeper_ = nobody;
};

/// Lets the others go first, in a loop that waits for one of them.
inline void yield() {
  has_acted[rl::ctx().current_thread()] = false;
  rl::yield(1, here());
}

/// As yield(), but pauses in a row are one.
inline void pause() {
  if (has_acted[rl::ctx().current_thread()]) model::yield();
}

/// The memory of one schedule: nothing is used twice in it, so what was freed stays dead.
class arena {
 public:
  static void reset() { used_ = live_ = 0; }
  static int live() { return live_; }  // blocks
  static void* take(std::size_t bytes, std::size_t alignment) {
    used_ = (used_ + alignment - 1) / alignment * alignment + bytes;
    if (alignment > page || used_ > sizeof bytes_) std::abort();
    ++live_;
    return bytes_ + used_ - bytes;
  }
  static void put() { --live_; }

 private:
  static constexpr std::size_t page = 4096;
  alignas(page) static inline unsigned char bytes_[64 * page];
  static inline std::size_t used_ = 0;
  static inline int live_ = 0;
};

/// The fences of a biased_lock: those of the language; and what Linux makes of them, where only heavy() is one,
/// of all threads.
struct symmetric_fence {
  static void prepare() {}
  static void light() { rl::atomic_thread_fence(rl::mo_seq_cst, here()); }
  static void heavy() { light(); }
};
struct asymmetric_fence {
  static void prepare() {}
  static void light() {}
  static void heavy() {
    rl::ctx().sched();
    rl::systemwide_fence(here());
  }
};

/// Storage for one object of each type and index, made and destroyed by hand: what relacy allocates for a
/// scenario is not aligned for cache lines.
template <class T, int Index = 0>
class box {
 public:
  template <class... Args>
  void make(Args&&... args) {
    ::new (static_cast<void*>(bytes_)) T(std::forward<Args>(args)...);
  }
  void destroy() { get().~T(); }
  T& get() { return *std::launder(reinterpret_cast<T*>(bytes_)); }
  T& operator*() { return get(); }
  T* operator->() { return &get(); }

 private:
  alignas(T) static inline constinit unsigned char bytes_[sizeof(T)] = {};
};

/// Traits for the shipped headers. Rings start at the ticket of operation number `First`: one of 8
/// bits, 4 of which are flags, counts to 16 operations. Segments have so many cells, lines so many slots.
template <class Ticket, Ticket First, std::size_t Cells = 2>
struct basic_model_traits {
  template <class T>
  using atomic = model::atomic<T>;
  using probe = model::probe;
  using ticket = Ticket;
  static constexpr ticket first_ticket = First;
  using parker = model::parker;
  using fence = model::symmetric_fence;
  static constexpr unsigned rebias_after = 1;
  static constexpr unsigned rebias_list_after = 1;

  // Every wait ends by another thread's step, so all of them are switches.
  static void pause() { model::pause(); }
  static void yield() { model::yield(); }

  static detail::thread_context& this_thread() noexcept {
    return thread_contexts[rl::ctx().current_thread()];
  }

  static detail::thread_context& this_thread_inlined() noexcept { return this_thread(); }
  static void at_thread_exit(void (*)(void*) noexcept, void*) noexcept {}
  template <class T>
  static T& global() noexcept {
    return *box<T>();  // the scenario's
  }
  static constexpr std::size_t least_retired = 1;
  static constexpr unsigned own_reader_bits = 63;
  static constexpr unsigned looks_before_fence = 1;
  static constexpr unsigned looks_while_emitting = 1;

  static void* allocate(std::size_t bytes, std::size_t alignment) { return arena::take(bytes, alignment); }
  static void deallocate(void*, std::size_t) noexcept { arena::put(); }
  static void discard(void*, std::size_t) noexcept {}
  template <std::size_t>
  static constexpr std::size_t segment_cells = Cells;
  static constexpr std::size_t least_refilled = 16;
  template <std::size_t>  // watched ones would not fit
  static constexpr std::size_t line_slots = Cells;
};

using model_traits = basic_model_traits<std::uint64_t, 0>;
using tiny_traits = basic_model_traits<std::uint8_t, 14>;  // the third operation wraps

/// A message that counts itself, and is watched for races.
class message {
 public:
  static inline int alive = 0;

  message(int id) noexcept : id_(id) { ++alive; }  // NOLINT: a message is its id
  message(message&& other) noexcept : id_(std::exchange(other.id_, gone)) {
    other.probe_.write();
    ++alive;
  }
  message& operator=(message&& other) noexcept {
    probe_.write();
    other.probe_.write();
    id_ = std::exchange(other.id_, gone);
    return *this;
  }
  ~message() {
    probe_.write();
    --alive;
  }
  int id() const {
    probe_.read();
    return id_;
  }

 private:
  static constexpr int gone = -1;
  int id_;
  probe probe_;
};

/// A waiter that a thread of the model sleeps in, and that counts its wake-ups.
template <class Traits>
class sleeper : public detail::waiter<Traits> {
 public:
  sleeper() {
    this->home = executor_ref(*this);
    this->contest = nullptr;
  }
  void post(work_item&) noexcept {
    ++wakes_;
    parker_.unpark();
  }
  void block() {
    parker_.park();
    this->probe.read();
  }
  int wakes() const { return wakes_; }

 private:
  int wakes_ = 0;
  typename Traits::parker parker_;
};

/// Parks it, or completes the step: false.
template <class Step, class Traits>
bool parks(Step& step, detail::waiter<Traits>& w) {
  while (!step.park(w)) {
    if (step.attempt()) return false;
    Traits::pause();
  }
  return true;
}

/// What happened to the messages 0, 1, ... of a scenario, in the order of the schedule.
class journal {
 public:
  static constexpr int most = 8;

  int now() { return ++time_; }
  void began_push(int id) { at(id).push_began = now(); }
  void pushed(int id) {
    RL_ASSERT(at(id).push_ended == never);
    at(id).push_ended = now();
    at(id).ok = true;
  }
  void returned(int id) {
    RL_ASSERT(at(id).push_ended == never);
    at(id).push_ended = now();
  }
  /// `began` is the now() of before the pop.
  void popped(int id, int began) {
    RL_ASSERT(id >= 0 && id < most);
    RL_ASSERT(at(id).pop_ended == never);  // delivered once
    at(id).pop_began = began;
    at(id).pop_ended = now();
  }
  bool was_popped(int id) { return at(id).pop_ended != never; }

  /// Conservation: what went in came out, once, and nothing else; call it when all is drained.
  /// First in, first out: of two pushes, one after the other, the second's message did not come out
  /// by a pop that had ended before the pop of the first began.
  void check() {
    for (const entry& a : entries_) {
      RL_ASSERT(a.ok == (a.pop_ended != never));
      if (!a.ok) continue;
      for (const entry& b : entries_) {
        if (b.ok && a.push_ended < b.push_began) RL_ASSERT(!(b.pop_ended < a.pop_began));
      }
    }
  }

 private:
  static constexpr int never = 0;
  struct entry {
    int push_began = never, push_ended = never, pop_began = never, pop_ended = never;
    bool ok = false;
  };
  entry& at(int id) { return entries_[static_cast<std::size_t>(id)]; }

  std::array<entry, most> entries_{};
  int time_ = 0;
};

constexpr unsigned without_bound = ~0u;  // preemptions: all schedules, where nothing loops

/// How far one scenario is searched: all schedules with at most so many preemptions (0: none), and
/// so many random schedules.
struct search {
  unsigned preemptions;
  std::uint64_t random;
};

/// A scenario derives from this; it is made anew for each schedule.
template <class Derived, int Threads>
struct scenario : rl::test_suite<Derived, Threads> {
  static_assert(Threads <= most_threads);
  scenario() {
    for (auto& context : thread_contexts) context = {};
    message::alive = 0;
    timeouts = 2;
    arena::reset();
  }
  ~scenario() { RL_ASSERT(arena::live() == 0); }
};

namespace suite {
inline int failures = 0;

template <class Scenario, template <rl::thread_id_t> class Scheduler>
bool run(const char* name, const char* how, rl::scheduler_type_e type, search depth) {
  static std::ostream nowhere(nullptr);
  rl::test_params params;
  params.search_type = type;
  params.context_bound = depth.preemptions;
  params.iteration_count = depth.random;
  params.execution_depth_limit = 4000;
  params.progress_stream = &nowhere;

  constexpr rl::thread_id_t threads = Scenario::params::thread_count;
  rl::ostringstream state;
  const unsigned start = get_tick_count();
  const bool passed =
      rl::run_test<Scenario, Scheduler<threads>>(params, state, false) == rl::test_result_success;
  const unsigned milliseconds = get_tick_count() - start;
  std::printf("%s  %-56s %8llu %s schedules, %u ms\n", passed ? "ok    " : "FAILED", name,
              static_cast<unsigned long long>(params.stop_iteration), how, milliseconds);
  std::fflush(stdout);
  if (!passed) {
    ++failures;
    if (std::getenv("MILLRACE_MODEL_BRIEF") == nullptr) {  // once more, with its history
      params.initial_state = state.str();
      params.collect_history = true;
      rl::ostringstream ignored;
      rl::run_test<Scenario, Scheduler<threads>>(params, ignored, true);
    }
  }
  return passed;
}
}  // namespace suite

/// Searches a scenario; its name is what it shows. After a failure nothing more runs.
template <class Scenario>
void check(const char* name, search depth) {
  if (suite::failures != 0) return;
  if (depth.preemptions == without_bound) {
    if (!suite::run<Scenario, rl::full_search_scheduler>(name, "all", rl::sched_full, depth)) return;
  } else if (depth.preemptions != 0) {
    if (!suite::run<Scenario, rl::context_bound_scheduler>(name, "all", rl::sched_bound, depth)) return;
  }
  if (depth.random != 0) {
    suite::run<Scenario, rl::random_scheduler>(name, "random", rl::sched_random, depth);
  }
}

/// For main() to return.
inline int result() {
  return suite::failures == 0 ? 0 : 1;
}

}  // namespace millrace::model
