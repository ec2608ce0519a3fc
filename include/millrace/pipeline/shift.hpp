// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <millrace/detail/macros.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/stage_meter.hpp>
#include <millrace/task/detached.hpp>

namespace millrace::detail {

/// Counts where a worker's time goes, if it is told to: a worker says before each wait what that is for. A worker
/// may sleep at every message: so a cheap clock does, whose errors cancel each other out.
class shift final : public sleep_observer {
 public:
  shift() = default;
  shift(const shift&) = delete;

  void enroll(meter_roll& roll, detached& worker, const pipeline_graph& graph) {
    if (!roll.is_on) return;
    graph_ = &graph;
    worker.observe(*this);
  }
  const worker_meter& meter() const noexcept { return meter_; }

  void begin() noexcept {
    if (graph_ != nullptr) meter_.began.set(graph_->stamp());
  }
  void end() noexcept {
    if (graph_ != nullptr) meter_.ended.set(graph_->stamp());
  }
  /// What the next wait is for.
  void expects(wait_kind kind) noexcept { next_ = kind; }
  void sleeps() noexcept override {
    meter_.asleep_as.set(static_cast<std::uint64_t>(next_));
    meter_.asleep_since.set(graph_->rough_stamp());
  }
  /// For a wait that is no operation.
  void pauses() noexcept {
    expects(wait_kind::paused);
    if (graph_ != nullptr) sleeps();
  }
  /// To be called after each wait.
  MILLRACE_ALWAYS_INLINE void woke() noexcept {
    if (meter_.asleep_since.get() != 0) count();
  }

 private:
  MILLRACE_NOINLINE void count() noexcept {
    meter_.waits[static_cast<std::size_t>(next_)].add(graph_->rough_stamp() - meter_.asleep_since.get());
    meter_.asleep_since.set(0);
  }

  wait_kind next_ = wait_kind::works;
  const pipeline_graph* graph_ = nullptr;  // null: nothing is counted
  worker_meter meter_;
};

/// begin() and end() of a shift.
class on_shift {
 public:
  explicit on_shift(shift& of) noexcept : of_(of) { of_.begin(); }
  on_shift(const on_shift&) = delete;
  ~on_shift() { of_.end(); }

 private:
  shift& of_;
};

}  // namespace millrace::detail
