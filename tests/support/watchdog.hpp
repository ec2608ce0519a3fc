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

/// Whether a count has stood still for too long.
class stillness {
 public:
  using clock = std::chrono::steady_clock;

  stillness(clock::duration patience, clock::time_point now) noexcept : patience_(patience), since_(now) {}

  bool too_long(std::uint64_t count, clock::time_point now) noexcept {
    if (count != count_) {
      count_ = count;
      since_ = now;
    }
    return now - since_ >= patience_;
  }

 private:
  const clock::duration patience_;
  clock::time_point since_;
  std::uint64_t count_ = 0;
};

/// While it lives, ends the program when no worker's pulse has beaten for five seconds, after saying
/// what it knows.
class watchdog {
 public:
  using clock = stillness::clock;
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
  void watch() {
    stillness still(patience_, clock::now());
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, patience_ / 10, [this] { return over_; })) {
      std::uint64_t sum = 0;
      for (const pulse& one : pulses_) sum += one.beats();
      if (!still.too_long(sum, clock::now())) continue;
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
