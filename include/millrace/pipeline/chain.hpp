// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <millrace/detail/macros.hpp>
#include <millrace/detail/raw_slot.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/stage_meter.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/clock.hpp>

namespace millrace::detail {

// A chain is stages that follow each other in one part: each node owns the one before it. A message is put in
// at the start; then next() of the last node pulls, through all of them, the messages that come of it, one at
// a time, until there is none. So a stage may give none, one or many, and nothing is ever buffered for that.
//
//   void put(T&&)                    while next() has nothing to give
//   bool next(std::optional<output>& to)    true: it has filled `to`, which was empty; where a stage throws, it
//                                    keeps the message that it had in hand
//   bool gives_many                  false: after each put(), next() is true once at most, and never at the end
//   std::optional<task<>>& pause()   filled by a stage that has something to wait for before it goes on with
//                                    the message that it has: then next() gives nothing, and whoever called
//                                    it takes the task, awaits it, and calls next() again
//   time_point deadline()            when next() has something to give, though nothing is put in until then
//   void finish()                    no put() will follow: next() gives what was kept back
//   bool is_sampled()                whether times are taken of the message that was put in
//   const tally& enroll(roll)        counts for the stats from now on: before it runs, where it stays; gives the
//                                    count of what it gives
//   void abandon(lose)               lose(message, stage) for each message that is inside
//   const stage_info& stage()        the last one

/// Calls f with a message that stays its caller's until f has returned: as an lvalue, so an f that takes T is
/// given a copy. An f that takes T&& owns what it was given, even where it throws.
template <class F, class T>
concept takes_message =
    requires(F& f, T& message) { f(message); } || requires(F& f, T& message) { f(std::move(message)); };

template <class F, class T>
decltype(auto) call(F& f, T& message) {
  if constexpr (requires { f(message); }) {
    return f(message);
  } else {
    return f(std::move(message));
  }
}
template <class F, class T>
using call_result = std::remove_cvref_t<decltype(call(std::declval<F&>(), std::declval<T&>()))>;

/// What leaves a stage that gives nothing.
struct no_message {};

/// State that a copy begins without: a chain is copied for other workers before it runs.
template <class State>
struct uncopied : State {
  uncopied() = default;
  uncopied(const uncopied&) : State() {}
  uncopied(uncopied&&) = default;
};

template <class T>
class chain_start {
 public:
  using output = T;
  static constexpr bool gives_many = false;
  static constexpr bool may_pause = false;
  static constexpr bool is_timed = false;

  explicit chain_start(const stage_info& stage) noexcept : stage_(&stage) {}

  MILLRACE_ALWAYS_INLINE void put(T&& message) noexcept {
    message_.emplace(std::move(message));
    count_.add();
    if (sample_every_ == 0) return;
    is_sampled_ = --until_sample_ == 0;
    if (is_sampled_) until_sample_ = sample_every_;
  }
  void put(stamped<T>&& from) noexcept {
    if (from.stamp != 0) {
      waits_->add(std::chrono::nanoseconds(stage_->graph->stamp() - from.stamp));
    }
    put(std::move(from.message));
  }
  bool is_sampled() const noexcept { return is_sampled_; }
  const tally& enroll(meter_roll& roll) {
    roll.arrivals.push_back({stage_, &count_, nullptr});
    roll.crews.back().start = stage_;
    if (roll.is_on) {
      sample_every_ = stage_->graph->sample_every();
      until_sample_ = 1;
      waits_.reset(new histogram);
      roll.waits.push_back({stage_, waits_.get()});
    }
    return count_;
  }
  // Not by value: what returns a small optional writes its flag as a byte and reads that as part of a word, and
  // so waits until every store before it has left the processor.
  bool next(std::optional<T>& to) noexcept {
    if (!message_) return false;
    to.emplace(*std::move(message_));
    message_.reset();
    return true;
  }
  std::optional<task<>>& pause() noexcept { return pause_; }
  static constexpr stage_clock::time_point deadline() noexcept { return stage_clock::time_point::max(); }
  void finish() noexcept {}
  const stage_info& stage() const noexcept { return *stage_; }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    if (message_) lose(*std::move(message_), *stage_);
    message_.reset();
  }

 private:
  const stage_info* stage_;
  uncopied<std::optional<T>> message_;
  uncopied<std::optional<task<>>> pause_;
  tally count_;
  bool is_sampled_ = false;
  std::size_t sample_every_ = 0;
  std::size_t until_sample_ = 0;
  uncopied<std::unique_ptr<histogram>> waits_;
};

/// What the nodes share: the one before, who they are, and the message that they threw at, with what is to
/// become of it.
template <class Prev, class Errors = fails, bool Pauses = !std::is_same_v<Errors, fails>>
class chain_node {
  static constexpr bool settles = !std::is_same_v<Errors, fails>;

 public:
  using input = typename Prev::output;
  static constexpr bool gives_many = Prev::gives_many;
  static constexpr bool may_pause = Prev::may_pause || Pauses;
  static constexpr bool is_timed = Prev::is_timed;

  MILLRACE_ALWAYS_INLINE void put(auto&& message) noexcept {
    prev_.put(std::forward<decltype(message)>(message));
  }
  bool is_sampled() const noexcept { return prev_.is_sampled(); }
  const tally& enroll(meter_roll& roll) {
    const tally& in = prev_.enroll(roll);
    roll.add(*stage_, in, &meter_);
    return meter_.out;
  }
  std::optional<task<>>& pause() noexcept { return prev_.pause(); }
  stage_clock::time_point deadline() const noexcept { return prev_.deadline(); }
  void finish() noexcept { prev_.finish(); }
  const stage_info& stage() const noexcept { return *stage_; }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    if (held_) lose(*std::move(held_), *stage_);
    held_.reset();
    prev_.abandon(lose);
  }

 protected:
  chain_node(Prev prev, const stage_info& stage, Errors errors = {})
      : prev_(std::move(prev)), stage_(&stage), errors_(std::move(errors)) {}

  /// As next(), for the message that is held, or else the next one.
  bool take(std::optional<input>& to) {
    if constexpr (Pauses) {
      if (held_) {
        to.emplace(*std::move(held_));
        held_.reset();
        return true;
      }
    }
    return prev_.next(to);
  }
  void hold(input& message) noexcept { held_.emplace(std::move(message)); }

  /// To be called before f is, and, with what this has given, once f has taken the message.
  std::uint64_t begin() const noexcept { return is_sampled() ? stage_->graph->stamp() : 0; }
  void passed(std::uint64_t began) noexcept {
    worked(began);
    done(began != 0);
  }
  /// The same in two steps, for a stage that works on one message several times.
  void worked(std::uint64_t began) noexcept {
    if (began != 0) work_ += meter_.span(*stage_, began, stage_->graph->stamp());
  }
  void done(bool was_timed) noexcept {
    if constexpr (settles) attempts_ = 0;
    if (was_timed) meter_.service->add(std::exchange(work_, {}));
  }
  void gave() noexcept { meter_.out.add(); }
  /// To be called where f threw at the message, which is held from now on: rethrows, or there is a pause,
  /// before the message is tried again or is gone.
  MILLRACE_NOINLINE void caught(input& message) {
    meter_.errors.add();
    work_ = {};
    hold(message);
    if constexpr (settles) {
      pause().emplace(settle(std::current_exception()));
    } else {
      throw;
    }
  }
  Prev prev_;

 private:
  task<> settle(std::exception_ptr why) {
    const std::size_t attempts = ++attempts_;
    const bool again = co_await errors_.settle(std::move(why), *held_, attempts, *stage_);
    if (again) {
      meter_.retries.add();
      co_return;
    }
    held_.reset();
    attempts_ = 0;
  }

  const stage_info* stage_;
  uncopied<std::optional<input>> held_;
  [[no_unique_address]] Errors errors_;
  std::size_t attempts_ = 0;         // at the message that is held
  std::chrono::nanoseconds work_{};  // so far, on the message in hand
  stage_meter meter_;
};

}  // namespace millrace::detail
