// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/shift.hpp>
#include <millrace/pipeline/stage_meter.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/task/awaitable.hpp>
#include <millrace/task/awaiting_promise.hpp>
#include <millrace/task/detached.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>

namespace millrace::detail {

// --- the stage that waits, at the end of a part's chain -------------------------------------------

/// What f(message) gives, or what awaiting that gives.
template <class F, class T>
struct stage_result {
  using type = call_result<F, T>;
};
template <class F, class T>
  requires awaitable<decltype(call(std::declval<F&>(), std::declval<T&>()))>
struct stage_result<F, T> {
  using type = std::remove_cvref_t<await_result_t<decltype(call(std::declval<F&>(), std::declval<T&>()))>>;
};

struct waits_not {
  using result = void;
  static constexpr bool settles = false;
};

/// f(message) is awaited, if that can be.
template <class F, class T, class Errors = fails>
class waiting_stage {
 public:
  using result = typename stage_result<F, T>::type;
  static constexpr bool settles = !std::is_same_v<Errors, fails>;

  waiting_stage(F f, const stage_info& stage, Errors errors = {})
      : f_(std::move(f)), stage_(&stage), errors_(std::move(errors)) {}

  decltype(auto) operator()(T& message) { return call(f_, message); }
  const stage_info& stage() const noexcept { return *stage_; }
  const tally& enroll(meter_roll& roll, const tally& in) {
    roll.add(*stage_, in, &meter_);
    return meter_.out;
  }
  /// To be called with the time at which f was, or 0, once it has taken a message.
  void passed(std::uint64_t began) noexcept {
    if (began != 0) meter_.record(*stage_, began, stage_->graph->stamp());
    meter_.out.add();
  }
  void caught() noexcept { meter_.errors.add(); }

  /// Goes on with a message at which f threw `why`: true, with a result, or false, with the message gone.
  /// Errors: that of f, where the stage fails.
  template <class U>
  task<bool> recover(T& message, std::optional<U>& to, std::exception_ptr why) {
    for (std::size_t attempts = 1;; ++attempts) {
      const bool again = co_await errors_.settle(std::exchange(why, nullptr), message, attempts, *stage_);
      if (!again) co_return false;
      meter_.retries.add();
      try {
        if constexpr (!awaitable<decltype(call(f_, message))>) {
          to.emplace(call(f_, message));
        } else if constexpr (std::is_void_v<result>) {
          co_await call(f_, message);
        } else {
          to.emplace(co_await call(f_, message));
        }
        passed(0);
        co_return true;
      } catch (...) {
        caught();
        why = std::current_exception();
      }
    }
  }

 private:
  F f_;
  const stage_info* stage_;
  [[no_unique_address]] Errors errors_;
  stage_meter meter_;
};

// --- where a part's messages go -----------------------------------------------------------------
//
//   ways()                                         how many times a message is pushed
//   bool try_push(graph, std::optional<T>& message, stamp)    if it has one way: true: that was possible at once
//   auto push(T& message, way, stamp)              an operation; then
//   bool has_pushed(graph, its result, message, stamp)    false: nobody takes messages there any more
//   void enroll(roll, given)                       as that of a chain, which has given so many
//   void close(why)                                as pipeline_part::close_output

/// Nowhere: the last stage has used them.
struct no_output {
  static void enroll(meter_roll&, const tally&) noexcept {}
  static void close(const std::exception_ptr&) noexcept {}
};

/// A queue between parts.
template <class T>
class edge_output {
 public:
  explicit edge_output(pipeline_edge<T>& edge) noexcept : edge_(&edge) { edge.add_writer(); }

  static constexpr std::size_t ways() noexcept { return 1; }
  bool try_push(pipeline_graph& graph, std::optional<T>& message, std::uint64_t stamp) noexcept {
    return edge_->push_fast(message, stamp) || graph.hands_over(*this, message, stamp);
  }
  auto push(T& message, std::size_t, std::uint64_t stamp) noexcept {
    return edge_->push(std::move(message), stamp);
  }
  bool has_pushed(pipeline_graph& graph, push_result<stamped<T>>&& result, T&, std::uint64_t) noexcept {
    return graph.has_passed(std::move(result), edge_->reader());
  }
  static void enroll(meter_roll&, const tally&) noexcept {}
  void close(const std::exception_ptr& why) noexcept { edge_->end_writer(why); }

 private:
  pipeline_edge<T>* edge_;
};

/// A queue of the user's; Queue is a pointer to one, or a producer.
template <class Queue>
class queue_output {
 public:
  using value_type =
      typename std::remove_cvref_t<decltype(pointee_or_self(std::declval<Queue&>()))>::value_type;

  queue_output(Queue queue, const stage_info& stage) noexcept : queue_(std::move(queue)), stage_(&stage) {}

  static constexpr std::size_t ways() noexcept { return 1; }
  bool try_push(pipeline_graph& graph, std::optional<value_type>& message, std::uint64_t) noexcept
    requires requires(Queue& to, value_type& m) {
      operation_access::attempt_fast(pointee_or_self(to).push_from(m));
    }
  {
    return operation_access::attempt_fast(pointee_or_self(queue_).push_from(*message)) ||
           graph.hands_over(*this, message, 0);
  }
  auto push(value_type& message, std::size_t, std::uint64_t) noexcept {
    return pointee_or_self(queue_).push(std::move(message));
  }
  bool has_pushed(pipeline_graph& graph, push_result<value_type>&& result, value_type&,
                  std::uint64_t) noexcept {
    return graph.has_passed(std::move(result), *stage_);
  }
  void enroll(meter_roll& roll, const tally& given) const { roll.add(*stage_, given, nullptr); }
  void close(const std::exception_ptr& why) noexcept { pointee_or_self(queue_).close(why); }

 private:
  Queue queue_;
  const stage_info* stage_;
};

// --- the part -----------------------------------------------------------------------------------

/// Takes messages from its input, one at a time for each worker, through the chain and the stage that waits,
/// if there is one, to its output.
template <class Input, class Chain, class Waiting, class Output>
class fused_stages final : public pipeline_part {
  using carried = typename Chain::output;
  static constexpr bool waits = !std::is_same_v<Waiting, waits_not>;
  static constexpr bool gives = !std::is_void_v<typename Waiting::result>;
  using result = std::conditional_t<gives, typename Waiting::result, no_message>;
  static constexpr bool has_output = !std::is_same_v<Output, no_output>;
  static constexpr bool is_fed = requires(Input& in, Chain& chain) { in.feed(chain); };
  /// Whether its messages need not pass the coroutine, where neither end has to wait.
  static constexpr bool is_direct =
      !waits && !Chain::may_pause && !Chain::is_timed &&
      (is_fed || requires(Input& in, Chain& chain) { in.try_feed(std::size_t(), chain); }) &&
      (!has_output || requires(Output& out, pipeline_graph& of, std::optional<carried>& message) {
        out.try_push(of, message, std::uint64_t());
      });

 public:
  fused_stages(pipeline_graph& graph, Input input, Chain chain, Waiting waiting, Output output,
               std::size_t workers)
      : pipeline_part(graph), input_(std::move(input)), output_(std::move(output)) {
    crew_.reserve(workers);
    if constexpr (std::is_copy_constructible_v<Chain> && std::is_copy_constructible_v<Waiting>) {
      while (crew_.size() + 1 < workers)
        crew_.push_back(std::make_unique<member>(chain, waiting, crew_.size()));
    } else if (workers > 1) {
      throw std::invalid_argument(
          "millrace: stages behind by_key have a copy of their functions for each shard, so "
          "those must be ones that can be copied");
    }
    crew_.push_back(std::make_unique<member>(std::move(chain), std::move(waiting), crew_.size()));
  }

  void prepare() override {
    input_.begin(graph().intake(), crew_.size());
    workers_.reserve(crew_.size());
    meter_roll& roll = graph().roll();
    for (auto& each : crew_) {
      roll.add_crew(each->work_shift.meter());
      const tally* given = &each->chain.enroll(roll);
      if constexpr (waits) given = &each->waiting.enroll(roll, *given);
      output_.enroll(roll, *given);
      workers_.push_back(work(*this, *each));
      each->work_shift.enroll(roll, workers_.back(), graph());
    }
  }
  void close_input() noexcept override { input_.close(); }
  std::exception_ptr end_reason() const noexcept override { return input_.close_reason(); }
  void close_output(const std::exception_ptr& why) noexcept override { output_.close(why); }
  void abandon() noexcept override {
    const auto lose = [this](auto&& message, const stage_info& stage) noexcept {
      if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(message)>, no_message>) {
        graph().lose(std::move(message), stage);
      }
    };
    for (auto& each : crew_) each->chain.abandon(lose);
  }

 private:
  struct member {
    member(Chain c, Waiting w, std::size_t n) : chain(std::move(c)), waiting(std::move(w)), number(n) {}
    Chain chain;
    [[no_unique_address]] Waiting waiting;
    const std::size_t number;
    shift work_shift;
  };

  static detached work(fused_stages& self, member& m) {
    const on_shift here(m.work_shift);
    try {
      for (bool is_last = false; !is_last;) {
        std::optional<carried> message;
        progress so_far = progress::starved;
        if constexpr (is_direct) {
          unsigned operations = 0;
          so_far = self.run_ready(m, message, operations);
          co_await awaiting_promise::spent{operations};
        }
        stage_clock::time_point due = stage_clock::time_point::max();
        if constexpr (Chain::is_timed) due = m.chain.deadline();
        m.work_shift.expects(wait_kind::starved);
        if (so_far == progress::inside) {
          // what is in hand first
        } else if (so_far == progress::ended || self.input_.has_ended()) {
          is_last = true;
        } else if constexpr (is_fed) {
          is_last = !self.input_.feed(m.chain);
        } else if (Chain::is_timed && due != stage_clock::time_point::max()) {
          if constexpr (Chain::is_timed) {
            auto taken = co_await self.input_.next_until(m.number, due);
            if (taken) {
              m.chain.put(*std::move(taken));
            } else {
              is_last = taken.status() != op_status::timeout;
            }
          }
        } else if (auto taken = co_await self.input_.next(m.number)) {
          m.chain.put(*std::move(taken));
        } else {
          is_last = true;
        }
        m.work_shift.woke();
        if (!message && self.is_stopped()) break;
        if (is_last) m.chain.finish();
        if (is_direct && !is_fed && !is_last && so_far == progress::starved) continue;
        for (;; message.reset()) {
          if (!message && !m.chain.next(message)) {
            if constexpr (Chain::may_pause) {
              if (m.chain.pause()) {
                task<> pause = *std::exchange(m.chain.pause(), std::nullopt);
                m.work_shift.pauses();
                co_await std::move(pause);
                m.work_shift.woke();
                if (self.is_stopped()) co_return;
                continue;
              }
            }
            break;
          }
          std::optional<result> awaited;
          if constexpr (waits) {
            try {
              std::exception_ptr failure;
              try {
                const std::uint64_t began = m.chain.is_sampled() ? self.graph().stamp() : 0;
                m.work_shift.expects(wait_kind::works);
                if constexpr (gives) {
                  awaited.emplace(co_await m.waiting(*message));
                } else {
                  co_await m.waiting(*message);
                }
                m.work_shift.woke();
                m.waiting.passed(began);
              } catch (...) {
                m.waiting.caught();
                if constexpr (Waiting::settles) {
                  failure = std::current_exception();
                } else {
                  throw;
                }
              }
              if constexpr (Waiting::settles) {
                if (failure) {
                  m.work_shift.pauses();
                  const bool is_there = co_await m.waiting.recover(*message, awaited, std::move(failure));
                  m.work_shift.woke();
                  if (!is_there) continue;
                }
              }
            } catch (...) {
              self.graph().lose(*std::move(message), m.waiting.stage());
              throw;
            }
          }
          if constexpr (has_output) {
            auto& out = one_of<waits>(awaited, message);
            try {
              const std::uint64_t stamp = m.chain.is_sampled() ? self.graph().stamp() : 0;
              for (std::size_t way = 0; way < self.output_.ways(); ++way) {
                m.work_shift.expects(wait_kind::blocked);
                auto pushed = co_await self.output_.push(*out, way, stamp);
                m.work_shift.woke();
                if (!self.output_.has_pushed(self.graph(), std::move(pushed), *out, stamp)) {
                  self.graph().give_up(self);
                  co_return;
                }
              }
            } catch (...) {  // the choice of a way, or a copy, before it was pushed
              self.graph().lose(*std::move(out), m.chain.stage());
              throw;
            }
          }
        }
      }
    } catch (...) {
      self.graph().fail(self, std::current_exception());
    }
  }

  enum class progress {
    starved,  // it wants a message
    inside,   // what has been put into the chain is not all out yet
    ended     // there will be no more
  };

  /// What work() does, as often as none of that has to wait. A message that is left in `message` is to be pushed.
  progress run_ready(member& m, std::optional<carried>& message, unsigned& operations) {
    constexpr unsigned most = 64;
    for (;;) {
      while (m.chain.next(message)) {
        if constexpr (has_output) {
          const std::uint64_t stamp = m.chain.is_sampled() ? graph().stamp() : 0;
          if (!output_.try_push(graph(), message, stamp)) return progress::inside;
          message.reset();
          ++operations;
          if constexpr (!Chain::gives_many) break;
          if (operations >= most) return progress::inside;
        }
      }
      if (operations >= most || is_stopped() || input_.has_ended()) return progress::starved;
      if constexpr (is_fed) {
        if (!input_.feed(m.chain)) return progress::ended;
      } else {
        if (!input_.try_feed(m.number, m.chain)) return progress::starved;
        ++operations;
      }
    }
  }

  template <bool First, class A, class B>
  static auto& one_of(A& first, B& second) noexcept {
    if constexpr (First) {
      return first;
    } else {
      return second;
    }
  }

  Input input_;
  Output output_;
  std::vector<std::unique_ptr<member>> crew_;
};

}  // namespace millrace::detail
