// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include <millrace/detail/backoff.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

/// The step (see step.hpp) of a subscriber's pop. Who wakes it only says that a message is there: it copies
/// that itself. What a copy throws, take_result() throws.
template <class Core>
class broadcast_pop_step {
  using value_type = typename Core::value_type;
  using cursor = typename Core::cursor;
  static constexpr bool may_throw = !std::is_nothrow_copy_constructible_v<value_type>;

  // How result_ stands: `empty`: nothing has ended the operation yet, or it was woken for a message.

 public:
  using traits = typename Core::traits;
  using result_type = pop_result<value_type>;
  static constexpr bool may_owe = true;  // attempt_fast() may have read a message and say false

  explicit broadcast_pop_step(cursor& at) noexcept : at_(&at) {}

  /// Wakes nobody: where it has made room for pushers that wait, the attempt ends in attempt().
  bool attempt_fast() noexcept {
    if (!read()) return false;
    owes_room_ = core().is_room_wanted();
    return !owes_room_;
  }
  bool attempt() noexcept {
    if (owes_room_ || (read() && core().is_room_wanted())) {
      owes_room_ = false;
      core().serve_pushers();
      return true;
    }
    if (is_done()) return true;
    if (!core().is_over(*at_)) return false;
    result_.refuse(op_status::closed);
    return true;
  }
  bool park(waiter<traits>& w) noexcept {
    if (owes_room_) return false;
    w.place = &result_;
    return core().park_pop(w, *at_);
  }
  const void* parks_at() const noexcept { return &core(); }
  bool withdraw(waiter<traits>& w) noexcept { return core().withdraw_pop(w, *at_); }
  void refuse(op_status why) noexcept { result_.refuse(why); }
  /// It was woken for a message, and will not take it: that is still the subscriber's.
  void lose() noexcept { at_->is_waiting = false; }

  result_type take_result() noexcept(!may_throw) {
    at_->is_waiting = false;
    if constexpr (may_throw) {
      if (error_.thrown) std::rethrow_exception(std::move(error_.thrown));
    }
    if (result_.status() == op_status::empty) {
      for (backoff<traits> pause; !core().read(*at_, result_);) pause();
      if (core().is_room_wanted()) core().serve_pushers();
    }
    return std::move(result_);
  }

 private:
  Core& core() const noexcept { return at_->core; }

  bool read() noexcept {
    if constexpr (may_throw) {
      try {
        return core().read(*at_, result_);
      } catch (...) {
        error_.thrown = std::current_exception();
        return true;
      }
    } else {
      return core().read(*at_, result_);
    }
  }
  bool is_done() const noexcept {
    if constexpr (may_throw) {
      if (error_.thrown) return true;
    }
    return static_cast<bool>(result_);
  }

  struct error {
    std::exception_ptr thrown;
  };
  struct nothing {};

  cursor* at_;
  result_type result_;
  bool owes_room_ = false;
  [[no_unique_address]] std::conditional_t<may_throw, error, nothing> error_;
};

}  // namespace millrace::detail
