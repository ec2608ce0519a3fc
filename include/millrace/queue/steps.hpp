// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <memory>
#include <new>
#include <utility>

#include <millrace/detail/macros.hpp>
#include <millrace/queue/message_source.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

/// What a waiting push leaves with the queue: where its message is, and where to say how it ended.
template <class T>
struct push_slot {
  T* message;
  op_status status;
  bool has_displaced = false;  // it is in the queue, and another one came out of it
};

/// A queue that leaves a duty with the pushers that it wakes: to let others in.
template <class Core>
concept leaves_duty = requires(Core& core) {
  { core.do_duty() } noexcept;
};

/// A queue that can tell at a glance whether somebody waits at the other end: a hint.
template <class Core>
concept sees_partners = requires(const Core& core) {
  { core.sees_popper() } noexcept -> std::same_as<bool>;
  { core.sees_pusher() } noexcept -> std::same_as<bool>;
};

/// A queue of which withdraw_pop() and withdraw_push() give up on its lock as soon as the waiter is not listed.
template <class Core>
constexpr bool unlists_at_stop = requires { requires Core::unlists_at_stop; };

/// The steps (see step.hpp) of every queue; Core does the work.
template <class Core>
class pop_step {
 public:
  using traits = typename Core::traits;
  using result_type = pop_result<typename Core::value_type>;
  static constexpr bool is_unlisted_by_stop = unlists_at_stop<Core>;

  explicit pop_step(Core& core) noexcept : core_(&core) {}

  MILLRACE_ALWAYS_INLINE bool attempt_fast() noexcept {
    if (!core_->pop_fast(result_)) return false;
    core_->observe(*result_);
    return true;
  }
  bool attempt() noexcept {
    if (!core_->pop(result_)) return false;
    if (result_) core_->observe(*result_);
    return true;
  }
  bool sees_partner() const noexcept
    requires sees_partners<Core>
  {
    return core_->sees_pusher();
  }
  bool park(waiter<traits>& w) noexcept {
    w.place = &result_;
    return core_->park_pop(w);
  }
  const void* parks_at() const noexcept { return core_; }
  bool withdraw(waiter<traits>& w) noexcept { return core_->withdraw_pop(w); }
  void refuse(op_status why) noexcept { result_.refuse(why); }
  /// It was delivered to somebody who will not take it.
  void lose() noexcept {
    if (result_) core_->lose(*std::move(result_));
  }
  result_type take_result() noexcept { return std::move(result_); }

 private:
  Core* core_;
  result_type result_;
};

/// The part that the two kinds of push share: Derived::message() is where the message is.
template <class Core, class Derived>
class push_step_base {
 public:
  using traits = typename Core::traits;
  static constexpr bool is_unlisted_by_stop = unlists_at_stop<Core>;

  MILLRACE_ALWAYS_INLINE bool attempt_fast() noexcept {
    if (!core_->push_fast(source_of(self().message()))) return false;
    slot_.status = op_status::ok;
    return true;
  }
  bool attempt() noexcept {
    return core_->push(source_of(self().message()), slot_.status,
                       [this](auto&& displaced) noexcept { self().displaced(std::move(displaced)); });
  }
  bool sees_partner() const noexcept
    requires sees_partners<Core>
  {
    return core_->sees_popper();
  }
  bool park(waiter<traits>& w) noexcept {
    slot_.message = &self().message();
    w.place = &slot_;
    return core_->park_push(w);
  }
  const void* parks_at() const noexcept { return core_; }
  bool withdraw(waiter<traits>& w) noexcept { return core_->withdraw_push(w); }
  void relieve(waiter<traits>& w) noexcept
    requires leaves_duty<Core>
  {
    if (w.relieve()) core_->do_duty();
  }
  void refuse(op_status why) noexcept { slot_.status = why; }

 protected:
  explicit push_step_base(Core& core) noexcept : core_(&core) {}

  op_status status() const noexcept { return slot_.status; }
  Core& core() noexcept { return *core_; }
  push_slot<typename Core::value_type>& slot() noexcept { return slot_; }

 private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }

  Core* core_;
  push_slot<typename Core::value_type> slot_;
};

/// push: the message travels inside the operation, and back in its result.
template <class Core>
class push_step : public push_step_base<Core, push_step<Core>> {
  using value_type = typename Core::value_type;

 public:
  using result_type = push_result<value_type>;

  push_step(Core& core, value_type&& message) noexcept
      : push_step::push_step_base(core), message_(std::move(message)) {}

  value_type& message() noexcept { return message_; }
  /// The message is in the queue, and another one is out of it: that takes its place here.
  void displaced(value_type&& oldest) noexcept {
    message_.~value_type();
    ::new (static_cast<void*>(std::addressof(message_))) value_type(std::move(oldest));
    this->slot().has_displaced = true;
  }

  result_type take_result() noexcept {
    if (this->status() == op_status::ok && !this->slot().has_displaced) return result_type(op_status::ok);
    return result_type(this->status(), std::move(message_));
  }

 private:
  value_type message_;
};

/// push_from: the message stays the caller's until it is in the queue.
template <class Core>
class push_from_step : public push_step_base<Core, push_from_step<Core>> {
  using value_type = typename Core::value_type;

 public:
  using result_type = op_status;

  push_from_step(Core& core, value_type& message) noexcept
      : push_from_step::push_step_base(core), message_(&message) {}

  value_type& message() noexcept { return *message_; }
  void displaced(value_type&& oldest) noexcept { this->core().lose(std::move(oldest)); }
  result_type take_result() noexcept { return this->status(); }

 private:
  value_type* message_;
};

/// drained: nothing moves, and no ambient stop ends it: it is how a stopped task sees the end.
template <class Core>
class drained_step {
 public:
  using traits = typename Core::traits;
  using result_type = op_status;
  static constexpr bool ignores_ambient_stop = true;

  explicit drained_step(Core& core) noexcept : core_(&core) {}

  bool attempt_fast() noexcept { return false; }
  bool attempt() noexcept { return core_->is_drained(); }
  bool park(waiter<traits>& w) noexcept {
    w.place = &status_;
    return core_->park_drained(w);
  }
  const void* parks_at() const noexcept { return core_; }
  bool withdraw(waiter<traits>& w) noexcept { return core_->withdraw_drained(w); }
  void refuse(op_status why) noexcept { status_ = why; }
  op_status take_result() noexcept { return status_; }

 private:
  Core* core_;
  op_status status_ = op_status::ok;
};

}  // namespace millrace::detail
