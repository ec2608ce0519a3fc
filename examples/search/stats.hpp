// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <mutex>

#include <sys/resource.h>

namespace search {

using steady = std::chrono::steady_clock;
using time_point = steady::time_point;

/// What one runner of a stage saw of its messages, or all its runners together. A message that goes
/// from stage A to stage B takes T_A + T_queue + T_B: service in A, a wait between, service in B.
struct stage_times {
  std::uint64_t messages = 0;
  steady::duration waited{}, longest_wait{};     // T_queue before the stage
  steady::duration served{}, longest_service{};  // T_B of what it took, T_A of what it sends
  // The queue behind the stage, as each push finds it:
  std::uint64_t sent = 0, depth = 0, deepest = 0;

  stage_times& operator+=(const stage_times& other) noexcept {
    messages += other.messages;
    waited += other.waited;
    longest_wait = std::max(longest_wait, other.longest_wait);
    served += other.served;
    longest_service = std::max(longest_service, other.longest_service);
    sent += other.sent;
    depth += other.depth;
    deepest = std::max(deepest, other.deepest);
    return *this;
  }
};

/// The sum over the runners of a stage. Any thread may add.
class stage_total {
 public:
  void add(const stage_times& times) {
    const std::lock_guard lock(mutex_);
    sum_ += times;
  }
  stage_times sum() const {
    const std::lock_guard lock(mutex_);
    return sum_;
  }

 private:
  mutable std::mutex mutex_;
  stage_times sum_;
};

/// One runner's stopwatch: a message is begun, paused whenever the runner waits for others, and
/// done while paused. What it saw goes to the stage's total when the runner ends. Where it is not
/// on, it does nothing and looks at no clock.
class stopwatch {
 public:
  stopwatch(bool on, stage_total& total) noexcept : on_(on), total_(total) {}
  stopwatch(const stopwatch&) = delete;
  stopwatch& operator=(const stopwatch&) = delete;
  ~stopwatch() {
    if (on_) total_.add(times_);
  }

  void begin() noexcept {
    service_ = {};
    resume();
  }

  /// The message comes out of a queue.
  template <class Message>
  void begin(const Message& message) noexcept {
    begin();
    if (!on_) return;
    const auto waited = started_ - message.sent;
    times_.waited += waited;
    times_.longest_wait = std::max(times_.longest_wait, waited);
  }

  void pause() noexcept {
    if (on_) service_ += steady::now() - started_;
  }
  void resume() noexcept {
    if (on_) started_ = steady::now();
  }

  /// A message is about to be pushed.
  template <class Message, class Queue>
  void send(Message& message, const Queue& to) noexcept {
    if (!on_) return;
    const auto depth = static_cast<std::uint64_t>(to.size_approx());
    ++times_.sent;
    times_.depth += depth;
    times_.deepest = std::max(times_.deepest, depth);
    message.sent = steady::now();
  }

  void done() noexcept {
    if (!on_) return;
    ++times_.messages;
    times_.served += service_;
    times_.longest_service = std::max(times_.longest_service, service_);
  }

 private:
  bool on_;
  stage_total& total_;
  time_point started_{};
  steady::duration service_{};
  stage_times times_;
};

/// A row of the table that --stats prints.
struct stage_row {
  const char* name;
  const stage_total& times;
  const stage_total* before = nullptr;  // the stage that feeds it
  std::size_t capacity = 0;             // of the queue between them
};

/// A time as text, in the unit that suits it.
class readable {
 public:
  explicit readable(steady::duration time) noexcept {
    double value = std::chrono::duration<double, std::nano>(time).count();
    const char* const units[] = {"ns", "us", "ms", "s"};
    std::size_t unit = 0;
    for (; value >= 1000 && unit < 3; ++unit) value /= 1000;
    std::snprintf(text_, sizeof text_, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
  }
  const char* text() const noexcept { return text_; }

 private:
  char text_[32];
};

/// The most memory that this process had, in KiB.
inline long peak_memory() noexcept {
  long peak = 0;
  if (std::FILE* const status = std::fopen("/proc/self/status", "r")) {
    char line[128];
    while (std::fgets(line, sizeof line, status) != nullptr &&
           std::sscanf(line, "VmHWM: %ld", &peak) != 1) {
    }
    std::fclose(status);
  }
  if (peak != 0) return peak;
  rusage used{};  // counts what was there before exec(), too
  ::getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss;
}

inline void print_stats(std::initializer_list<stage_row> rows, steady::duration elapsed) {
  std::fprintf(stderr, "%-15s  %21s  %32s  %20s\n", "", "wait before (T_queue)",
               "service (T_A, T_B)", "queue before");
  std::fprintf(stderr, "%-6s %8s  %10s %10s  %10s %10s %10s  %6s %6s %6s\n", "stage", "messages",
               "mean", "longest", "mean", "longest", "total", "depth", "peak", "limit");
  for (const stage_row& row : rows) {
    const stage_times times = row.times.sum();
    const auto count = static_cast<steady::rep>(std::max<std::uint64_t>(times.messages, 1));
    const readable wait(times.waited / count), longest_wait(times.longest_wait);
    const readable service(times.served / count), longest_service(times.longest_service);
    const bool fed = row.before != nullptr;
    std::fprintf(stderr, "%-6s %8llu  %10s %10s  %10s %10s %10s", row.name,
                 static_cast<unsigned long long>(times.messages), fed ? wait.text() : "-",
                 fed ? longest_wait.text() : "-", service.text(), longest_service.text(),
                 readable(times.served).text());
    if (fed) {
      const stage_times feeder = row.before->sum();
      const auto sent = static_cast<double>(std::max<std::uint64_t>(feeder.sent, 1));
      std::fprintf(stderr, "  %6.1f %6llu %6zu\n", static_cast<double>(feeder.depth) / sent,
                   static_cast<unsigned long long>(feeder.deepest), row.capacity);
    } else {
      std::fprintf(stderr, "  %6s %6s %6s\n", "-", "-", "-");
    }
  }
  std::fprintf(stderr, "elapsed %s, peak memory %.1f MiB\n", readable(elapsed).text(),
               static_cast<double>(peak_memory()) / 1024);
}

}  // namespace search
