// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/detail/macros.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/queue/consumer.hpp>
#include <millrace/task/awaitable.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/stop_slot.hpp>
#include <millrace/wait/stop_token.hpp>

namespace millrace::detail {

// Where a part gets its messages from:
//
//   auto next(worker)        to be awaited: something like an optional; empty: there are no more
//   auto next_until(worker, time)   the same, if it can wait so long: a pop_result, `timeout`: there may be more
//   bool try_feed(worker, chain)    with next(): puts a message into the chain, if one is there
//   bool feed(chain)         instead of next(), where it never waits: puts a message into it; false: there are no
//                            more
//   void begin(intake, workers)   before all the others, once
//   bool has_ended()         asked before each next()
//   void close()             as pipeline_part::close_input
//   close_reason()

/// True: there was a message, and it is in the chain.
template <class Queue, class Chain>
MILLRACE_ALWAYS_INLINE bool put_next(Queue& queue, Chain& chain) noexcept {
  auto pop = queue.pop();
  if (!operation_access::attempt_now(pop)) return false;
  auto message = operation_access::take_result(pop);
  if (!message) return false;  // closed
  chain.put(*std::move(message));
  return true;
}

/// A queue between parts.
template <class T>
class edge_input {
 public:
  using value_type = T;

  explicit edge_input(pipeline_edge<T>& edge) noexcept : edge_(&edge) {}

  template <class Chain>
  bool try_feed(std::size_t, Chain& chain) noexcept {
    return put_next(edge_->queue(), chain);
  }
  auto next(std::size_t) noexcept { return edge_->queue().pop(); }
  auto next_until(std::size_t, stage_clock::time_point time) noexcept { return next({}).until(time); }
  static void begin(const stop_token&, std::size_t) noexcept {}
  static constexpr bool has_ended() noexcept { return false; }
  void close() noexcept { edge_->close(nullptr); }
  std::exception_ptr close_reason() const noexcept { return edge_->queue().close_reason(); }

 private:
  pipeline_edge<T>* edge_;
};

/// Several queues between parts, one for each worker.
template <class T>
class lane_input {
 public:
  using value_type = T;

  explicit lane_input(std::vector<pipeline_edge<T>*> edges) noexcept : edges_(std::move(edges)) {}

  template <class Chain>
  bool try_feed(std::size_t worker, Chain& chain) noexcept {
    return put_next(edges_[worker]->queue(), chain);
  }
  auto next(std::size_t worker) noexcept { return edges_[worker]->queue().pop(); }
  auto next_until(std::size_t worker, stage_clock::time_point time) noexcept {
    return next(worker).until(time);
  }
  static void begin(const stop_token&, std::size_t) noexcept {}
  static constexpr bool has_ended() noexcept { return false; }
  void close() noexcept {
    for (pipeline_edge<T>* const edge : edges_) edge->close(nullptr);
  }
  std::exception_ptr close_reason() const noexcept { return edges_.front()->queue().close_reason(); }

 private:
  std::vector<pipeline_edge<T>*> edges_;
};

/// What the sources share: they end where the pipeline takes no more in.
class source_input {
 public:
  void begin(const stop_token& intake, std::size_t) noexcept { intake_ = intake; }
  MILLRACE_ALWAYS_INLINE bool has_ended() const noexcept { return intake_.stop_requested(); }
  static void close() noexcept {}
  static std::exception_ptr close_reason() noexcept { return nullptr; }

 protected:
  stop_token intake_;
};

/// Where the pops of a source's worker enter, instead of the list of all that the intake's end stops.
class intake_slot : public stop_slot<default_traits> {
 public:
  explicit intake_slot(const stop_token& intake) noexcept { attach(intake); }
  intake_slot(const intake_slot&) = delete;
  ~intake_slot() { detach(); }
};

/// A queue of the user's; Queue is a pointer to one, or a consumer.
template <class Queue>
class queue_source : public source_input {
 public:
  using value_type =
      typename std::remove_cvref_t<decltype(pointee_or_self(std::declval<Queue&>()))>::value_type;

  explicit queue_source(Queue queue) noexcept : queue_(std::move(queue)) {}

  template <class Chain>
  bool try_feed(std::size_t, Chain& chain) noexcept
    requires(
        requires(Queue& of) { operation_access::take_step(pointee_or_self(of).pop()); } &&
        !requires(Queue& of) { operation_access::take_step(pointee_or_self(of).pop()).may_owe; })
  {
    return put_next(pointee_or_self(queue_), chain);
  }
  void begin(const stop_token& intake, std::size_t workers) {
    source_input::begin(intake, workers);
    for (slots_.reserve(workers); slots_.size() < workers;) {
      slots_.push_back(std::make_unique<intake_slot>(intake));
    }
  }
  auto next(std::size_t) noexcept { return pointee_or_self(queue_).pop().with(intake_); }
  auto next(std::size_t worker) noexcept
    requires requires(Queue& of, stop_token token, intake_slot& slot) {
      operation_access::with_slot(pointee_or_self(of).pop(), token, slot);
    }
  {
    return operation_access::with_slot(pointee_or_self(queue_).pop(), intake_, *slots_[worker]);
  }
  auto next_until(std::size_t, stage_clock::time_point time) noexcept {
    return pointee_or_self(queue_).pop().with(intake_).until(time);
  }
  std::exception_ptr close_reason() const noexcept { return pointee_or_self(queue_).close_reason(); }

 private:
  Queue queue_;
  std::vector<std::unique_ptr<intake_slot>> slots_;  // one for each worker
};

/// A range: a pointer to one, which is copied from, or one of its own, which is moved from.
template <class Range>
class range_source : public source_input {
  using iterator = decltype(std::begin(pointee_or_self(std::declval<Range&>())));

 public:
  using value_type = std::remove_cvref_t<decltype(*std::declval<iterator&>())>;

  explicit range_source(Range range)
      : range_(std::make_unique<Range>(std::move(range))), at_(std::begin(pointee_or_self(*range_))) {}

  template <class Chain>
  bool feed(Chain& chain) {
    if (at_ == std::end(pointee_or_self(*range_))) return false;
    if constexpr (std::is_pointer_v<Range>) {
      chain.put(value_type(*at_));
    } else {
      chain.put(value_type(std::move(*at_)));
    }
    ++at_;
    return true;
  }

 private:
  std::unique_ptr<Range> range_;  // stays where it is
  iterator at_;
};

/// What a function source gives, at once or later: a std::optional.
template <class Result>
struct function_result {
  using type = std::remove_cvref_t<Result>;
};
template <awaitable Result>
struct function_result<Result> {
  using type = std::remove_cvref_t<await_result_t<Result>>;
};

/// A function that is called for each message: it returns an optional, or something to be awaited that gives
/// one.
template <class F>
class function_source : public source_input {
  using result = std::invoke_result_t<F&>;

 public:
  using value_type = typename function_result<result>::type::value_type;

  explicit function_source(F f) : f_(std::move(f)) {}

  auto next(std::size_t)
    requires awaitable<result>
  {
    return f_();
  }
  template <class Chain>
    requires(!awaitable<result>)
  bool feed(Chain& chain) {
    auto message = f_();
    if (!message) return false;
    chain.put(*std::move(message));
    return true;
  }

 private:
  F f_;
};

}  // namespace millrace::detail
