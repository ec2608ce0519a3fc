// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/after.hpp>

namespace millrace::detail {

// The nodes of a chain that keep messages back: until there are enough of them, or for a time.

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
  static constexpr bool gives_many = true;
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

  bool next(std::optional<output>& to) {
    output& kept = this->kept();
    for (;;) {
      if (kept.capacity() < n_) kept.reserve(n_);  // before a message is in hand
      std::optional<input> message;
      if (!this->prev_.next(message)) break;
      if (kept.empty()) this->begin();
      kept.push_back(*std::move(message));
      if (kept.size() == n_) return give(to);
    }
    if (!this->is_over()) return false;
    return give(to);
  }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    for (input& message : this->kept()) lose(std::move(message), this->stage());
    this->kept().clear();
    chain_node<Prev>::abandon(lose);
  }

 private:
  bool give(std::optional<output>& to) noexcept {
    to.emplace(std::exchange(this->kept(), {}));
    this->gave();
    return true;
  }

  const std::size_t n_;
};

/// The last message before a quiet time.
template <class Prev>
class debounce_node : public keeping_node<Prev, std::optional<typename Prev::output>, stage_timer> {
 public:
  using output = typename Prev::output;

  debounce_node(Prev prev, stage_clock::duration quiet, const stage_info& stage)
      : keeping_node<Prev, std::optional<output>, stage_timer>(std::move(prev), {quiet}, stage) {}

  bool next(std::optional<output>& to) {
    std::optional<output>& kept = this->kept();
    while (this->prev_.next(to)) {
      kept.emplace(*std::move(to));
      to.reset();
      this->begin();
    }
    if (!this->is_over()) return false;
    to.emplace(*std::move(kept));
    kept.reset();
    this->gave();
    return true;
  }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    if (this->kept()) lose(*std::move(this->kept()), this->stage());
    this->kept().reset();
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

  bool next(std::optional<output>& to) {
    if (!this->take(to)) return false;
    const stage_clock::time_point now = this->stage().graph->now();
    if (now < time_ - slack_) {
      this->pause().emplace(pass(time_ - slack_ - now));
      this->hold(*to);
      to.reset();
      return false;
    }
    time_ = (time_ < now ? now : time_) + interval_;
    this->gave();
    return true;
  }

 private:
  static task<> pass(stage_clock::duration span) { co_await after(span); }

  const stage_clock::duration interval_;
  const stage_clock::duration slack_;
  stage_clock::time_point time_{};
};

}  // namespace millrace::detail
