// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include <millrace/wait/operation.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/suspension.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

namespace detail {

/// What connect() yields: an operation that completes a receiver.
template <class Step, class Receiver>
class sender_state : suspension<Step, stop_token, false> {
  using base = suspension<Step, stop_token, false>;
  static constexpr bool may_throw = !noexcept(std::declval<Step&>().take_result());

 public:
  sender_state(Step&& step, Receiver&& receiver) noexcept(std::is_nothrow_move_constructible_v<Receiver>)
      : base(step_), step_(std::move(step)), receiver_(std::move(receiver)) {}

  /// Once. *this may be gone when it returns.
  void start() & noexcept {
    const environment env = promise_env<Receiver>::get(receiver_);
    if (!ignores_ambient_stop<Step> && env.token.stop_requested()) {
      step_.refuse(op_status::cancelled);
      return complete();
    }
    if (step_.attempt_fast()) return complete();
    this->home = env.executor;
    this->run = [](work_item* item) noexcept {
      auto* const self = static_cast<sender_state*>(item);
      if (!self->sleeps_on()) self->complete();
    };
    typename base::rivals_type others;
    if (!ignores_ambient_stop<Step>) others.token = env.token;
    if (!this->sleep(others)) complete();
  }

 private:
  void complete() noexcept {
    if constexpr (may_throw) {
      try {
        std::move(receiver_).set_value(step_.take_result());
      } catch (...) {
        std::move(receiver_).set_error(std::current_exception());
      }
    } else {
      std::move(receiver_).set_value(step_.take_result());
    }
  }

  Step step_;
  Receiver receiver_;
};

}  // namespace detail

/// An operation in the shape of P2300's senders, with none of their libraries: connect(receiver) yields an object
/// whose start() runs the operation and completes the receiver with set_value(result).
///
/// Resumption  the receiver may have a member `environment env() const noexcept` (see promise_env): its executor is
///             where a wait goes on, its token ends the wait. Without one, as operation says.
/// Errors      set_error(std::exception_ptr) where the operation throws. How it ended otherwise, `cancelled`
///             included, is in the result: set_stopped() would lose the message of a push.
/// Complexity  no allocation.
/// Lifetime    what connect() yields stays where it is, from start() until it has completed.
template <class Step>
class [[nodiscard]] operation_sender {
 public:
  using result_type = typename Step::result_type;

  explicit operation_sender(Step&& step) noexcept : step_(std::move(step)) {}

  template <class Receiver>
  detail::sender_state<Step, Receiver> connect(Receiver receiver) && {
    return {std::move(step_), std::move(receiver)};
  }

 private:
  Step step_;
};

/// The sender of an operation that was given no modifier: where it runs and what stops it, the receiver says.
template <class Step>
operation_sender<Step> as_sender(operation<Step> op) noexcept {
  return operation_sender<Step>(detail::operation_access::take_step(std::move(op)));
}

}  // namespace millrace
