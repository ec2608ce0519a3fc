// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <exception>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/detail/macros.hpp>
#include <millrace/detail/raw_slot.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/after.hpp>

namespace millrace::detail {

// A chain is stages that follow each other in one part: each node owns the one before it. A message is put in
// at the start; then next() of the last node pulls, through all of them, the messages that come of it, one at
// a time, until there is none. So a stage may give none, one or many, and nothing is ever buffered for that.
//
//   void put(T&&)                    while next() has nothing to give
//   std::optional<output> next()     where a stage throws, it keeps the message that it had in hand
//   std::optional<task<>>& pause()   filled by a stage that has something to wait for before it goes on with
//                                    the message that it has: then next() gives nothing, and whoever called
//                                    it takes the task, awaits it, and calls next() again
//   time_point deadline()            when next() has something to give, though nothing is put in until then
//   void finish()                    no put() will follow: next() gives what was kept back
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
  static constexpr bool may_pause = false;
  static constexpr bool is_timed = false;

  explicit chain_start(const stage_info& stage) noexcept : stage_(&stage) {}

  void put(T&& message) noexcept { message_.emplace(std::move(message)); }
  std::optional<T> next() noexcept {
    std::optional<T> out;
    if (message_) out.emplace(*std::move(message_));
    message_.reset();
    return out;
  }
  std::optional<task<>>& pause() noexcept { return pause_; }
  static constexpr stage_clock::time_point deadline() noexcept { return stage_clock::time_point::max(); }
  void finish() noexcept {}
  const stage_info& stage() const noexcept { return *stage_; }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    if (std::optional<T> message = next()) lose(*std::move(message), *stage_);
  }

 private:
  const stage_info* stage_;
  uncopied<std::optional<T>> message_;
  uncopied<std::optional<task<>>> pause_;
};

/// What the nodes share: the one before, who they are, and the message that they threw at, with what is to
/// become of it.
template <class Prev, class Errors = fails, bool Pauses = !std::is_same_v<Errors, fails>>
class chain_node {
  static constexpr bool settles = !std::is_same_v<Errors, fails>;

 public:
  using input = typename Prev::output;
  static constexpr bool may_pause = Prev::may_pause || Pauses;
  static constexpr bool is_timed = Prev::is_timed;

  void put(auto&& message) noexcept { prev_.put(std::forward<decltype(message)>(message)); }
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

  /// The message that is held, or else the next one.
  std::optional<input> take() {
    if constexpr (Pauses) {
      if (held_) return std::exchange(static_cast<std::optional<input>&>(held_), std::nullopt);
    }
    return prev_.next();
  }
  void hold(input& message) noexcept { held_.emplace(std::move(message)); }

  /// To be called once f has taken the message.
  void passed() noexcept {
    if constexpr (settles) attempts_ = 0;
  }
  /// To be called where f threw at the message, which is held from now on: rethrows, or there is a pause,
  /// before the message is tried again or is gone.
  MILLRACE_NOINLINE void caught(input& message) {
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
    if (again) co_return;
    held_.reset();
    attempts_ = 0;
  }

  const stage_info* stage_;
  uncopied<std::optional<input>> held_;
  [[no_unique_address]] Errors errors_;
  std::size_t attempts_ = 0;  // at the message that is held
};

template <class Prev, class F, class Errors = fails>
class map_node : public chain_node<Prev, Errors> {
  using input = typename Prev::output;

 public:
  using output = call_result<F, input>;
  static_assert(message_requirements<output>::met);

  map_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : chain_node<Prev, Errors>(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  std::optional<output> next() {
    std::optional<input> message = this->take();
    if (!message) return std::nullopt;
    try {
      std::optional<output> result(call(f_, *message));
      this->passed();
      return result;
    } catch (...) {
      this->caught(*message);
      return std::nullopt;
    }
  }

 private:
  F f_;
};

template <class Prev, class F, class Errors = fails>
class filter_node : public chain_node<Prev, Errors> {
 public:
  using output = typename Prev::output;

  filter_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : chain_node<Prev, Errors>(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  std::optional<output> next() {
    for (;;) {
      std::optional<output> message = this->take();
      if (!message) return message;
      try {
        const bool passes = f_(std::as_const(*message));
        this->passed();
        if (passes) return message;
      } catch (...) {
        this->caught(*message);
        return std::nullopt;
      }
    }
  }

 private:
  F f_;
};

/// f sees each message; where it is the last stage, none goes on.
template <class Prev, class F, bool GoesOn, class Errors = fails>
class visit_node : public chain_node<Prev, Errors> {
  using input = typename Prev::output;

 public:
  using output = std::conditional_t<GoesOn, input, no_message>;

  visit_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : chain_node<Prev, Errors>(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  std::optional<output> next() {
    for (;;) {
      std::optional<input> message = this->take();
      if (!message) return std::nullopt;
      try {
        if constexpr (GoesOn) {
          static_cast<void>(f_(std::as_const(*message)));
        } else {
          static_cast<void>(call(f_, *message));
        }
        this->passed();
      } catch (...) {
        this->caught(*message);
        return std::nullopt;
      }
      if constexpr (GoesOn) return message;
    }
  }

 private:
  F f_;
};

/// Whether what a range of this type gives is its own, and may be moved from.
template <class Range>
inline constexpr bool owns_elements =
    std::is_lvalue_reference_v<decltype(*std::begin(std::declval<Range&>()))> &&
    !std::is_const_v<std::remove_reference_t<decltype(*std::begin(std::declval<Range&>()))>> &&
    std::is_const_v<std::remove_reference_t<decltype(*std::begin(std::declval<const Range&>()))>>;

/// The elements of f(message), which is a range.
template <class Prev, class F, class Errors = fails>
class flat_map_node : public chain_node<Prev, Errors> {
  using input = typename Prev::output;
  using range = call_result<F, input>;
  using iterator = decltype(std::begin(std::declval<range&>()));
  using sentinel = decltype(std::end(std::declval<range&>()));

 public:
  using output = std::remove_cvref_t<decltype(*std::declval<iterator&>())>;
  static_assert(message_requirements<output>::met);

  flat_map_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : chain_node<Prev, Errors>(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  std::optional<output> next() {
    for (;;) {
      if (elements_) {
        if (std::optional<output> element = elements_->next()) return element;
        elements_.reset();
        message_.reset();
      }
      std::optional<input> message = this->take();
      if (!message) return std::nullopt;
      message_.emplace(*std::move(message));  // the range may refer to it
      try {
        elements_.emplace(call(f_, *message_));
        this->passed();
      } catch (...) {
        this->caught(*message_);
        return std::nullopt;
      }
    }
  }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    while (elements_) {
      std::optional<output> element = elements_->next();
      if (!element) break;
      lose(*std::move(element), this->stage());
    }
    elements_.reset();
    chain_node<Prev, Errors>::abandon(lose);
  }

 private:
  struct elements {
    explicit elements(range&& from) : of(std::move(from)), at(std::begin(of)), end(std::end(of)) {}

    std::optional<output> next() {
      std::optional<output> element;
      if (at == end) return element;
      if constexpr (owns_elements<range>) {
        element.emplace(std::move(*at));
      } else {
        element.emplace(*at);
      }
      ++at;
      return element;
    }

    range of;
    iterator at;
    sentinel end;
  };

  F f_;
  uncopied<std::optional<input>> message_;
  uncopied<std::optional<elements>> elements_;
};

/// How long a node keeps what it has: until it has all that it waits for.
struct untimed {
  static constexpr bool is_timed = false;
  static void begin(const stage_info&) noexcept {}
  static constexpr bool is_over(const stage_info&) noexcept { return false; }
};
/// For this span at most.
struct stage_timer {
  static constexpr bool is_timed = true;
  stage_clock::duration span;
  stage_clock::time_point due{};
  void begin(const stage_info& stage) noexcept { due = stage.graph->now() + span; }
  bool is_over(const stage_info& stage) const noexcept { return stage.graph->now() >= due; }
};

/// What the nodes share that keep messages back: Kept is a container of them.
template <class Prev, class Kept, class Timer>
class keeping_node : public chain_node<Prev> {
 public:
  static constexpr bool is_timed = Prev::is_timed || Timer::is_timed;

  stage_clock::time_point deadline() const noexcept {
    const stage_clock::time_point before = chain_node<Prev>::deadline();
    if constexpr (Timer::is_timed) {
      if (has_kept() && timer_.due < before) return timer_.due;
    }
    return before;
  }
  void finish() noexcept {
    chain_node<Prev>::finish();
    is_last_ = true;
  }

 protected:
  keeping_node(Prev prev, Timer timer, const stage_info& stage)
      : chain_node<Prev>(std::move(prev), stage), timer_(timer) {}

  Kept& kept() noexcept { return kept_; }
  void begin() noexcept { timer_.begin(this->stage()); }
  /// Whether it is to wait no longer for more: to be asked once there are none before it.
  bool is_over() noexcept {
    return has_kept() && !this->pause() && (is_last_ || timer_.is_over(this->stage()));
  }

 private:
  bool has_kept() const noexcept {
    if constexpr (requires { kept_.has_value(); }) {
      return kept_.has_value();
    } else {
      return !kept_.empty();
    }
  }

  [[no_unique_address]] Timer timer_;
  uncopied<Kept> kept_;
  bool is_last_ = false;
};

/// Groups of n messages; the last one, and one whose time is over, may be smaller.
template <class Prev, class Timer = untimed>
class batch_node : public keeping_node<Prev, std::vector<typename Prev::output>, Timer> {
  using input = typename Prev::output;

 public:
  using output = std::vector<input>;

  batch_node(Prev prev, std::size_t n, const stage_info& stage, Timer timer = {})
      : keeping_node<Prev, output, Timer>(std::move(prev), timer, stage), n_(n) {}

  std::optional<output> next() {
    output& kept = this->kept();
    for (;;) {
      if (kept.capacity() < n_) kept.reserve(n_);  // before a message is in hand
      std::optional<input> message = this->prev_.next();
      if (!message) break;
      if (kept.empty()) this->begin();
      kept.push_back(*std::move(message));
      if (kept.size() == n_) return std::exchange(kept, {});
    }
    if (this->is_over()) return std::exchange(kept, {});
    return std::nullopt;
  }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    for (input& message : this->kept()) lose(std::move(message), this->stage());
    this->kept().clear();
    chain_node<Prev>::abandon(lose);
  }

 private:
  const std::size_t n_;
};

/// The last message before a quiet time.
template <class Prev>
class debounce_node : public keeping_node<Prev, std::optional<typename Prev::output>, stage_timer> {
 public:
  using output = typename Prev::output;

  debounce_node(Prev prev, stage_clock::duration quiet, const stage_info& stage)
      : keeping_node<Prev, std::optional<output>, stage_timer>(std::move(prev), {quiet}, stage) {}

  std::optional<output> next() {
    std::optional<output>& kept = this->kept();
    while (std::optional<output> message = this->prev_.next()) {
      kept.emplace(*std::move(message));
      this->begin();
    }
    if (this->is_over()) return std::exchange(kept, std::nullopt);
    return std::nullopt;
  }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    if (this->kept()) lose(*std::exchange(this->kept(), std::nullopt), this->stage());
    chain_node<Prev>::abandon(lose);
  }
};

/// Each message, but no more of them in any time than a rate allows.
template <class Prev>
class throttle_node : public chain_node<Prev, fails, true> {
  // Source: the generic cell rate algorithm (ITU-T I.371), which is a leaky bucket that needs no timer: a
  // message may pass where it comes no more than the slack before its time, and the time of the next one is an
  // interval after that, or after now if that is later.

 public:
  using output = typename Prev::output;

  throttle_node(Prev prev, stage_clock::duration interval, std::size_t burst, const stage_info& stage)
      : chain_node<Prev, fails, true>(std::move(prev), stage),
        interval_(interval),
        slack_(interval * static_cast<stage_clock::rep>(burst - 1)) {}

  std::optional<output> next() {
    std::optional<output> message = this->take();
    if (!message) return message;
    const stage_clock::time_point now = this->stage().graph->now();
    if (now < time_ - slack_) {
      this->pause().emplace(pass(time_ - slack_ - now));
      this->hold(*message);
      return std::nullopt;
    }
    time_ = (time_ < now ? now : time_) + interval_;
    return message;
  }

 private:
  static task<> pass(stage_clock::duration span) { co_await after(span); }

  const stage_clock::duration interval_;
  const stage_clock::duration slack_;
  stage_clock::time_point time_{};
};

}  // namespace millrace::detail
