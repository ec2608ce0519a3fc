// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

#include <millrace/detail/cpu.hpp>

namespace bench {

/// A message has not come in several seconds.
struct no_progress : std::exception {
  const char* what() const noexcept override { return "no progress: a message was lost"; }
};

/// How everybody here waits for the other side: 16 pauses, then yields. Errors: no_progress, as nothing else would
/// end the wait.
class spin {
 public:
  void operator()() {
    if (++turns_ <= 16) {
      millrace::detail::cpu_pause();
    } else if (turns_ < give_up) {
      millrace::detail::cpu_yield();
    } else {
      throw no_progress();
    }
  }

 private:
  static constexpr unsigned give_up = 1u << 22;

  unsigned turns_ = 0;
};

/// Threads that do the same work run after run, and how long each run takes them. They are created
/// before the first run, sleep between two runs, and start each from one line.
class crew {
 public:
  /// Each thread calls body(index, next) once; next() begins its next run, or answers false: the end. Where body
  /// throws no_progress, the crew is stuck, and makes no run after that one.
  template <class Body>
  crew(std::size_t threads, Body body) : size_(threads) {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this, body, i] {
        try {
          body(i, [this, run = 0u]() mutable { return next(run); });
        } catch (const no_progress&) {
          is_stuck_ = true;
          finish();
        }
      });
    }
  }
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;
  ~crew() {
    over_ = true;
    begin_run();
    for (auto& thread : threads_) thread.join();
  }

  /// Seconds from the moment when the last thread stood at the line until the last had finished.
  double run() {
    at_line_ = 0;
    finished_ = 0;
    working_ = true;
    begin_run();
    while (working_) working_.wait(true);
    return std::chrono::duration<double>(finish_ - start_).count();
  }
  bool is_stuck() const { return is_stuck_; }

 private:
  using clock = std::chrono::steady_clock;

  void begin_run() {
    ++called_;
    called_.notify_all();
  }

  void finish() {
    if (++finished_ != size_) return;
    finish_ = clock::now();
    working_ = false;  // last: run() reads the time then
    working_.notify_one();
  }

  bool next(unsigned& run) {
    if (run != 0) finish();
    called_.wait(run);
    if (over_) return false;
    ++run;
    if (++at_line_ == size_) {
      start_ = clock::now();
      started_ = run;
    } else {
      for (spin wait; started_ != run;) wait();
    }
    return true;
  }

  const std::size_t size_;
  std::atomic<unsigned> called_{0};
  std::atomic<unsigned> started_{0};
  std::atomic<std::size_t> at_line_{0};
  std::atomic<std::size_t> finished_{0};
  std::atomic<bool> working_{false};
  std::atomic<bool> over_{false};
  std::atomic<bool> is_stuck_{false};
  clock::time_point start_;
  clock::time_point finish_;
  std::vector<std::thread> threads_;
};

}  // namespace bench
