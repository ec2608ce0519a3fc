// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <millrace/pipeline/failed.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/queue/producer.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/after.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/op_status.hpp>

namespace millrace {

/// What a stage does with a message at which it threw: it tries again, each time after a longer delay.
struct retry {
  std::size_t attempts = 3;                     ///< how often it tries at most, the first time included
  std::chrono::nanoseconds first{100'000'000};  ///< the delay before the second attempt
  double factor = 2;                            ///< how much longer each further delay is
  double jitter = 0.1;  ///< each delay is up to this part of itself shorter or longer, at random: 0 to 1
  std::chrono::nanoseconds most{60'000'000'000};  ///< no delay is longer, but for its jitter
};

/// What a stage does with a message at which it threw: the message goes to on_undelivered (see start), and
/// the stage goes on with the next one.
struct skip {};

namespace detail {

/// The pipeline fails: the default.
struct fails {};

template <class Queue>
struct dead_letters {
  Queue queue;  // a pointer to one, or a producer
};

template <class P>
inline constexpr bool is_last_resort = false;
template <>
inline constexpr bool is_last_resort<skip> = true;
template <class Queue>
inline constexpr bool is_last_resort<dead_letters<Queue>> = true;

/// What on_error() was told. It is copied for each worker of the stage.
///
/// Source      the delays: exponential back-off, with jitter so that those who failed together do not try
///             again together (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
template <class Last>
class error_policy {
 public:
  error_policy(const retry& again, Last last) : again_(again), last_(std::move(last)) {
    const auto check = [](bool is_good, const char* what, auto value) {
      if (!is_good)
        throw std::invalid_argument("millrace: retry with " + std::string(what) + ' ' +
                                    std::to_string(value));
    };
    check(again.attempts > 0, "attempts =", again.attempts);
    check(again.first.count() >= 0, "first (ns) =", again.first.count());
    check(again.most.count() >= 0, "most (ns) =", again.most.count());
    check(again.factor >= 1, "factor < 1:", again.factor);
    check(again.jitter >= 0 && again.jitter <= 1, "jitter not in 0 to 1:", again.jitter);
  }

  static constexpr bool gives_up = !std::same_as<Last, fails>;

  /// For the stage, which threw `why` at this message, for the attempts-th time. True: it is to try again.
  /// False: the message is elsewhere now. Errors: rethrows `why` where the stage fails, or was stopped.
  template <class T>
  auto settle(std::exception_ptr why, T& message, std::size_t attempts, const stage_info& stage) {
    return settling<T>::run(*this, std::move(why), message, attempts, stage);
  }

 private:
  /// A class, for g++, which warns of a function's frame if a type in it is local, but not of a class's.
  template <class T>
  struct settling {
    static task<bool> run(error_policy& self, std::exception_ptr why, T& message, std::size_t attempts,
                          const stage_info& stage) {
      if (attempts < self.again_.attempts) {
        const op_status slept = co_await after(self.delay(attempts));
        if (slept != op_status::ok) std::rethrow_exception(why);
        co_return true;
      }
      if constexpr (std::same_as<Last, fails>) {
        std::rethrow_exception(why);
      } else if constexpr (std::same_as<Last, skip>) {
        stage.graph->lose(std::move(message), stage);
        co_return false;
      } else {
        std::string name = stage.name;  // before the message is moved from
        failed<T> letter{std::move(message), std::move(why), attempts, std::move(name)};
        auto pushed = co_await pointee_or_self(self.last_.queue).push(std::move(letter));
        if (pushed.returned()) stage.graph->lose(std::move(std::move(pushed).value().message), stage);
        co_return false;
      }
    }
  };

  std::chrono::nanoseconds delay(std::size_t attempts) noexcept {
    const double most = static_cast<double>(again_.most.count());
    double even = static_cast<double>(again_.first.count());
    while (--attempts > 0 && even < most) even *= again_.factor;
    if (even > most) even = most;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(even + even * again_.jitter * random()));
  }

  /// From -1 to 1. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
  double random() noexcept {
    if (state_ == 0) state_ = reinterpret_cast<std::uintptr_t>(this);  // each worker's own
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
  }

  retry again_;
  Last last_;
  std::uint64_t state_ = 0;
};

template <std::same_as<retry> Retry>
auto make_policy(Retry again) {
  return error_policy<fails>(again, {});
}
template <class Last>
  requires is_last_resort<Last>
auto make_policy(Last last) {
  return error_policy<Last>({.attempts = 1}, std::move(last));
}
template <class Last>
  requires is_last_resort<Last>
auto make_policy(const retry& again, Last last) {
  return error_policy<Last>(again, std::move(last));
}

template <class... Policies>
concept error_policies = requires(Policies... each) { make_policy(std::move(each)...); };

}  // namespace detail

/// What a stage does with a message at which it threw: it pushes it, in a failed<T>, into this queue, and
/// goes on with the next one. Where the queue is full, it waits.
///
/// Lifetime    the queue outlives the pipeline, which does not close it: several stages may have the same
///             one. Where it is closed, the messages go to on_undelivered (see start).
template <class Queue>
  requires requires(Queue& queue, typename Queue::value_type m) { queue.push(std::move(m)); }
auto dead_letter(Queue& queue) {
  return detail::dead_letters<Queue*>{&queue};
}
/// The same for a producer, which the stage keeps as long as the pipeline lives.
template <class T, class Queue>
auto dead_letter(producer<T, Queue> queue) {
  return detail::dead_letters<producer<T, Queue>>{std::move(queue)};
}

}  // namespace millrace
