// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include <millrace/detail/iterators.hpp>
#include <millrace/queue/batch_result.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

/// Writes through an iterator that stays where it is.
template <class Out>
class borrowed_sink {
 public:
  explicit borrowed_sink(Out& out) noexcept : out_(&out) {}
  decltype(auto) operator*() const noexcept(noexcept(*std::declval<Out&>())) { return **out_; }
  borrowed_sink& operator++() noexcept(noexcept(++std::declval<Out&>())) {
    ++*out_;
    return *this;
  }

 private:
  Out* out_;
};

/// Writes the message; where that throws, it goes to on_undelivered.
template <class Core, class Out>
void write_or_lose(Core& core, Out& out, typename Core::value_type&& message) {
  try {
    *out = std::move(message);
    ++out;
  } catch (...) {
    core.lose(std::move(message));
    throw;
  }
}

/// Takes up to n messages that are there, to *out and what follows: how many. Where writing cannot throw,
/// a run is claimed in one step.
template <class Core, class Out>
std::size_t take_some(Core& core, Out& out, std::size_t n) {
  using T = typename Core::value_type;
  std::size_t done = 0;
  if constexpr (nothrow_sink<Out, T>) {
    if (core.tap() == nullptr) done = core.pop_run(borrowed_sink<Out>(out), n);
  }
  while (done < n) {
    pop_result<T> one;
    if (!core.pop_fast(one)) core.pop(one);
    if (!one) break;
    core.observe(*one);
    write_or_lose(core, out, *std::move(one));
    ++done;
  }
  return done;
}

/// pop_some (see step.hpp): waits for one message, then takes what is there.
template <class Core, class Out>
class pop_some_step {
 public:
  using traits = typename Core::traits;
  using result_type = batch_result;
  static constexpr bool is_unlisted_by_stop = unlists_at_stop<Core>;

  pop_some_step(Core& core, Out out, std::size_t most) noexcept(std::is_nothrow_move_constructible_v<Out>)
      : core_(&core), most_(most), out_(std::move(out)) {}

  bool attempt_fast() noexcept {
    if (most_ != 0) {
      if (!core_->pop_fast(first_)) return false;
      core_->observe(*first_);
    }
    return true;
  }
  bool attempt() noexcept {
    if (most_ != 0) {
      if (!core_->pop(first_)) return false;
      if (first_) core_->observe(*first_);
    }
    return true;
  }
  bool park(waiter<traits>& w) noexcept {
    w.place = &first_;
    return core_->park_pop(w);
  }
  const void* parks_at() const noexcept { return core_; }
  bool withdraw(waiter<traits>& w) noexcept { return core_->withdraw_pop(w); }
  void refuse(op_status why) noexcept { first_.refuse(why); }
  /// As that of pop_step.
  void lose() noexcept {
    if (first_) core_->lose(*std::move(first_));
  }

  result_type take_result() {
    if (most_ == 0) return {0, op_status::ok};
    if (!first_) return {0, first_.status()};
    write_or_lose(*core_, out_, *std::move(first_));
    return {1 + take_some(*core_, out_, most_ - 1), op_status::ok};
  }

 private:
  Core* core_;
  std::size_t most_;
  pop_result<typename Core::value_type> first_;
  Out out_;
};

/// push_range (see step.hpp): pushes element after element; woken because one was taken, it goes on with the
/// next.
template <class Core, class I, class S>
class push_range_step {
  using value_type = typename Core::value_type;
  using reference = decltype(*std::declval<I&>());
  static_assert(
      nothrow_source<I, value_type>,
      "millrace: the elements of a range are built in the queue, where nothing may throw: give them away "
      "(std::move_iterator), or push them one by one");

  // What a waiting push leaves with the queue is the element itself, where it is given away: then it is moved
  // from only if it is pushed. Else a copy.
  static constexpr bool gives_away =
      std::is_rvalue_reference_v<reference> && std::is_same_v<std::remove_cvref_t<reference>, value_type>;

 public:
  using traits = typename Core::traits;
  using result_type = push_range_result<I>;
  static constexpr bool is_unlisted_by_stop = unlists_at_stop<Core>;

  push_range_step(Core& core, I first, S last) noexcept
      : core_(&core), next_(std::move(first)), last_(std::move(last)) {}

  bool attempt_fast() noexcept {
    while (next_ != last_ && core_->push_fast(source())) advance();
    slot_.status = op_status::ok;
    return next_ == last_;
  }
  bool attempt() noexcept {
    for (; next_ != last_; advance()) {
      if (!core_->push(source(), slot_.status,
                       [this](auto&& oldest) noexcept { core_->lose(std::move(oldest)); }))
        return false;
      if (slot_.status != op_status::ok) return true;
    }
    return true;
  }
  bool park(waiter<traits>& w) noexcept {
    if constexpr (gives_away) {
      auto&& element = *next_;
      slot_.message = &element;
    } else {
      copy_.emplace(*next_);
      slot_.message = &*copy_;
    }
    slot_.status = op_status::ok;
    w.place = &slot_;
    is_parked_ = true;
    if (core_->park_push(w)) return true;
    is_parked_ = false;
    return false;
  }
  /// After a sleep: whether it is to be attempted once more.
  bool goes_on() noexcept {
    if (slot_.status != op_status::ok) return false;
    if (std::exchange(is_parked_, false)) advance();
    return next_ != last_;
  }
  const void* parks_at() const noexcept { return core_; }
  bool withdraw(waiter<traits>& w) noexcept { return core_->withdraw_push(w); }
  void relieve(waiter<traits>& w) noexcept
    requires leaves_duty<Core>
  {
    if (w.relieve()) core_->do_duty();
  }
  void refuse(op_status why) noexcept { slot_.status = why; }
  result_type take_result() noexcept { return {std::move(next_), count_, slot_.status}; }

 private:
  auto source() noexcept {
    return [this](auto&& sink) noexcept { return sink(*next_); };
  }
  void advance() noexcept {
    ++next_;
    ++count_;
  }

  Core* core_;
  I next_;
  S last_;
  std::size_t count_ = 0;
  push_slot<value_type> slot_{nullptr, op_status::ok};
  bool is_parked_ = false;
  std::optional<std::conditional_t<gives_away, char, value_type>> copy_;
};

}  // namespace millrace::detail
