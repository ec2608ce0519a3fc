// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/pipeline/flow.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/pipeline_stats.hpp>
#include <millrace/pipeline/undelivered.hpp>
#include <millrace/task/join_counter.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>

namespace millrace {

/// How a drain() ended.
struct drain_report {
  bool is_complete;          ///< all that was inside went through before the deadline
  std::size_t undelivered;   ///< how many messages left the pipeline by no sink, since it was started
  std::exception_ptr error;  ///< null: it has not failed
};

/// A pipeline that was started.
///
/// Threads     any thread may stop(); one at a time waits for the end.
/// Lifetime    the destructor stops it and blocks until nothing of it runs: never where that would block a
///             thread that the pipeline needs. Who has awaited finished() does not block. The executor
///             outlives it.
template <class Result>
class running_pipeline {
 public:
  running_pipeline(std::shared_ptr<detail::pipeline_graph> graph,
                   detail::pipeline_result<Result> result) noexcept
      : graph_(std::move(graph)), result_(std::move(result)) {}
  running_pipeline(running_pipeline&&) noexcept = default;
  running_pipeline& operator=(running_pipeline&& other) noexcept {
    running_pipeline gone(std::move(*this));
    graph_ = std::move(other.graph_);
    result_ = std::move(other.result_);
    return *this;
  }
  ~running_pipeline() {
    if (graph_ == nullptr) return;
    graph_->stop();
    try {
      static_cast<void>(finished().wait());
    } catch (...) {
      // said to who has asked
    }
  }

  /// Operation -> op_status, ok unless it was given a deadline or a token: waits until nothing of the
  /// pipeline runs. Errors: rethrows the first exception of a stage.
  auto finished() noexcept {
    using step = detail::join_step<detail::pipeline_graph>;
    return operation<step>(std::in_place_type<step>, *graph_);
  }
  /// Blocks until the pipeline is finished, and gives its result. Errors: as finished().
  Result wait() {
    static_cast<void>(finished().wait());
    if constexpr (!std::is_void_v<Result>) return std::move(*result_);
  }
  /// The result, once finished() is over and has not thrown.
  template <class R = Result>
    requires(!std::is_void_v<R>)
  R& result() noexcept {
    return *result_;
  }

  /// Takes no more from the sources, lets what is inside go through, and where that takes longer, stops it.
  /// The running_pipeline stays where it is until then.
  template <class Rep, class Period>
  task<drain_report> drain(std::chrono::duration<Rep, Period> most) {
    graph_->end_intake();
    bool is_complete = true;
    try {
      is_complete = co_await finished().within(most) == op_status::ok;
      if (!is_complete) {
        stop();
        co_await finished();
      }
    } catch (...) {
      is_complete = false;
    }
    co_return drain_report{is_complete, graph_->lost(), graph_->error()};
  }

  /// What the pipeline has done so far: counts are exact, times are those of the messages that were sampled (see
  /// run_options). Complexity: linear in stages and workers; it disturbs none of them.
  pipeline_stats stats() const { return detail::stats_of(*graph_); }

  /// When workers worked, of what was sampled, and as far as run_options asked to keep it. Precondition: finished()
  /// is over.
  std::vector<stage_span> trace() const { return detail::spans_of(*graph_); }

  /// Ends the pipeline: its waits end, what is in work is finished, and all that is inside goes to
  /// on_undelivered.
  void stop() noexcept { graph_->stop(); }

 private:
  std::shared_ptr<detail::pipeline_graph> graph_;
  detail::pipeline_result<Result> result_;
};

namespace detail {

template <class F>
class function_heir final : public message_heir {
 public:
  explicit function_heir(F f) : f_(std::move(f)) {}
  void inherit(const undelivered& message) noexcept override { f_(message); }

 private:
  F f_;
};

}  // namespace detail

/// How a pipeline is watched.
struct run_options {
  /// Of each so many messages of a worker, the times of one are taken, for stats(); 0: of none, and no worker looks
  /// at the clock.
  std::size_t sample_every = 128;
  /// Of those, so many spans of work are kept for each worker, for trace(): 24 bytes each.
  std::size_t most_spans = 0;
};

/// Starts a pipeline: its stages run on `home` from here on.
///
/// Threads     what the stages call is called by the executor's threads.
/// Errors      std::bad_alloc, with nothing started. Where a stage throws, the pipeline fails: what it has
///             already given goes on to the sink, whose queue is closed with the exception; the stages before
///             it are stopped; and finished() rethrows. What is inside those then goes to on_undelivered.
/// Complexity  an allocation for each worker; none for a message but those of its stages.
template <executor E, class Result>
running_pipeline<Result> start(E& home, pipeline<Result> what, const run_options& how = {}) {
  what.graph_->start(home, nullptr, how.sample_every, how.most_spans);
  return {std::move(what.graph_), std::move(what.result_)};
}
/// The same; on_undelivered(const undelivered&) is called for each message that leaves the pipeline by no
/// sink, by several threads at the same time. It must not throw: that ends the program.
template <executor E, class Result, class F>
  requires(!std::convertible_to<F, const run_options&>)
running_pipeline<Result> start(E& home, pipeline<Result> what, F on_undelivered,
                               const run_options& how = {}) {
  static_assert(std::invocable<F&, const undelivered&>,
                "millrace: start(executor, pipeline, on_undelivered): on_undelivered cannot be called with a "
                "const undelivered&");
  what.graph_->start(home, std::make_unique<detail::function_heir<F>>(std::move(on_undelivered)),
                     how.sample_every, how.most_spans);
  return {std::move(what.graph_), std::move(what.result_)};
}

/// Says what is missing of a pipeline that has no sink.
template <executor E, class Flow, class... More>
  requires requires { typename std::remove_cvref_t<Flow>::is_pipeline_flow; }
void start(E&, Flow&&, More&&...) {
  static_assert(std::is_void_v<Flow>,
                "millrace: start(executor, pipeline): the pipeline has no sink: end it with | into(queue), "
                "| for_each(f) or | collect()");
}

}  // namespace millrace
