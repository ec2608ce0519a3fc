// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <coroutine>
#include <utility>

#include <millrace/detail/macros.hpp>
#include <millrace/detail/thread_context.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// The loop at the bottom of a thread's stack that resumes coroutines, one after the other, so that
/// none is ever resumed by another's call: hand-offs run in constant stack on every compiler and at
/// every optimization level, where symmetric transfer is not always a tail call.
///
/// Threads     each belongs to the thread that made it.
/// Complexity  constant; a hand-off is a store, a return, a load and an indirect call.
template <class Traits>
class trampoline {
  // Trampolines of a thread nest (a coroutine may call a function that runs a loop of its own); the
  // innermost is the thread's current one. It is in one of two states:
  //   between_    it looks for the next thing to do, or runs a work item that is no coroutine
  //   !between_   a coroutine runs above it, which may name its successor in next_ and suspend
 public:
  /// `home` is the executor whose work this loop runs; empty: that of the loop around it, if any.
  explicit trampoline(executor_ref home = {}) noexcept
      : outer_(static_cast<trampoline*>(context().trampoline)), outer_home_(context().executor), home_(home) {
    context().trampoline = this;
    if (home_) context().executor = &home_;
  }
  trampoline(const trampoline&) = delete;
  trampoline& operator=(const trampoline&) = delete;
  ~trampoline() {
    context().trampoline = outer_;
    context().executor = outer_home_;
  }

  /// The executor whose work the calling thread is running; empty when there is none.
  static executor_ref current_executor() noexcept {
    const void* const executor = context().executor;
    return executor != nullptr ? *static_cast<const executor_ref*>(executor) : executor_ref{};
  }

  static bool active() noexcept { return context().trampoline != nullptr; }

  /// For the coroutine that has just suspended: `handle` goes on in its place.
  static void transfer(std::coroutine_handle<> handle) noexcept {
    trampoline* const here = current();
    if (here != nullptr && !here->between_ && !here->next_) {
      here->next_ = handle;
    } else {
      trampoline{}.run(handle);
    }
  }

  /// As transfer(), but on `home` where that is another executor than the one running here: `item`
  /// travels there, and its run() resumes the coroutine.
  static void transfer(std::coroutine_handle<> handle, const executor_ref& home, work_item& item) noexcept {
    if (home && !(home == current_executor())) {
      home.post(item);
    } else {
      transfer(handle);
    }
  }

  /// For a work item's run(): resumes `handle` as work of `home`.
  static void enter(std::coroutine_handle<> handle, const executor_ref& home) noexcept {
    trampoline* const here = current();
    if (here != nullptr && here->between_ && !here->next_ && (!home || here->home_ == home)) {
      here->next_ = handle;
    } else {
      run_above(handle, home);
    }
  }

  /// Runs `item` on this thread: at once where no coroutine runs here, else after the one that does.
  static void post(work_item& item) noexcept {
    if (trampoline* const here = current(); here != nullptr) {
      here->items_.push_back(item);
    } else {
      trampoline{}.run(item);
    }
  }

  /// Sends a work item to where DESIGN's order of executors says: its own home, the executor that
  /// this thread is running, or this thread's trampoline.
  static void dispatch(work_item& item, const executor_ref& home) noexcept {
    if (home) {
      home.post(item);
    } else if (const executor_ref here = current_executor()) {
      here.post(item);
    } else {
      post(item);
    }
  }

  /// Resumes `handle`, then all that it hands over to on this thread.
  void run(std::coroutine_handle<> handle) noexcept {
    next_ = handle;
    run();
  }

  /// Runs `item`, then all that it hands over to on this thread.
  void run(work_item& item) noexcept {
    item.run(&item);
    run();
  }

  void run() noexcept {
    for (;;) {
      if (next_) {
        between_ = false;
        std::exchange(next_, nullptr).resume();
        between_ = true;
      } else if (!items_.empty()) {
        work_item& item = items_.pop_front();
        item.run(&item);
      } else {
        return;
      }
    }
  }

 private:
  MILLRACE_NOINLINE static void run_above(std::coroutine_handle<> handle, const executor_ref& home) noexcept {
    trampoline{home}.run(handle);
  }

  static thread_context& context() noexcept { return Traits::this_thread(); }
  static trampoline* current() noexcept { return static_cast<trampoline*>(context().trampoline); }

  std::coroutine_handle<> next_;
  work_list items_;
  bool between_ = true;
  trampoline* const outer_;
  const void* const outer_home_;
  const executor_ref home_;
};

}  // namespace millrace::detail
