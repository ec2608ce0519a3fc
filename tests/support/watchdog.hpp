// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// A worker's sign of life, which costs it two plain instructions on a line of its own.
class alignas(64) pulse {
 public:
  /// For its one worker: it has done something that counts as progress.
  void beat() noexcept {
    beats_.store(beats_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  std::uint64_t beats() const noexcept { return beats_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> beats_{0};
};

/// Whether a count has stood still for too long: for so many looks at it in a row. Looks and not a clock,
/// because a program that was suspended has made no progress in that time either.
class stillness {
 public:
  explicit stillness(unsigned looks) noexcept : most_(looks) {}

  bool too_long(std::uint64_t count) noexcept {
    looks_ = count == std::exchange(count_, count) ? looks_ + 1 : 0;
    return looks_ >= most_;
  }

 private:
  const unsigned most_;
  unsigned looks_ = 0;
  std::uint64_t count_ = 0;
};

/// While it lives, ends the program when no worker's pulse has beaten for five seconds, after saying
/// what it knows.
class watchdog {
 public:
  using clock = std::chrono::steady_clock;
  using bite = void (*)(const std::string& what);

  static constexpr clock::duration default_patience = std::chrono::seconds(5);

  [[noreturn]] static void abort(const std::string& what) {
    std::fputs(what.c_str(), stderr);
    std::abort();
  }

  watchdog(std::string name, std::size_t workers, clock::duration patience = default_patience,
           bite act = abort)
      : name_(std::move(name)), pulses_(workers), patience_(patience), act_(act), thread_([this] {
          watch();
        }) {}

  ~watchdog() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  pulse& worker(std::size_t index) noexcept { return pulses_[index]; }

 private:
  static constexpr unsigned looks = 10;

  void watch() {
    stillness still(looks);
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, patience_ / looks, [this] { return over_; })) {
      std::uint64_t sum = 0;
      for (const pulse& one : pulses_) sum += one.beats();
      if (!still.too_long(sum)) continue;
      act_(describe());
      return;
    }
  }

  std::string describe() const {
    std::string text = "watchdog: no progress in " + name_ + "; beats of each worker:";
    for (const pulse& one : pulses_) text += ' ' + std::to_string(one.beats());
    return text + '\n';
  }

  const std::string name_;
  std::vector<pulse> pulses_;
  const clock::duration patience_;
  const bite act_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;   // guarded by mutex_
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace support
