// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>
#include <utility>

#include <millrace/detail/atomic.hpp>

namespace millrace {

namespace detail {

/// What a subscription holds on to: shared with whatever calls the callback.
class subscription_state {
 public:
  subscription_state() noexcept = default;
  subscription_state(const subscription_state&) = delete;
  subscription_state& operator=(const subscription_state&) = delete;
  virtual ~subscription_state() = default;

  /// No further message is taken. Never blocks.
  virtual void disconnect() noexcept = 0;
  /// Until no callback runs, nor ever will.
  virtual void wait() noexcept = 0;

  /// Whether the calling thread is inside a callback of this subscription.
  bool is_inside() const noexcept {
    const auto* at = static_cast<const inside*>(default_traits::this_thread().callback);
    while (at != nullptr && at->state_ != this) at = at->outer_;
    return at != nullptr;
  }

 protected:
  /// While it lives, the calling thread is inside a callback of `state`.
  class inside {
   public:
    explicit inside(const subscription_state& state) noexcept
        : state_(&state),
          outer_(static_cast<inside*>(default_traits::this_thread().callback)) {
      default_traits::this_thread().callback = this;
    }
    inside(const inside&) = delete;
    inside& operator=(const inside&) = delete;
    ~inside() { default_traits::this_thread().callback = outer_; }

   private:
    friend subscription_state;
    const subscription_state* state_;
    inside* outer_;
  };
};

}  // namespace detail

/// A callback's registration: as long as it lives, the callback is called.
///
/// Threads     one thread at a time; the callback itself may disconnect or destroy it.
/// Lifetime    the destructor disconnects and waits until no callback of this subscription runs,
///             unless it is called from inside one. It may outlive what it subscribed to.
class [[nodiscard("millrace: the callback is disconnected when its subscription goes")]] subscription {
 public:
  subscription() noexcept = default;
  explicit subscription(std::shared_ptr<detail::subscription_state> state) noexcept
      : state_(std::move(state)) {}
  subscription(subscription&&) noexcept = default;
  subscription& operator=(subscription&& other) noexcept {
    subscription(std::move(other)).swap(*this);
    return *this;
  }
  ~subscription() { disconnect_and_wait(); }

  void swap(subscription& other) noexcept { state_.swap(other.state_); }

  /// No further message is taken; one that is already taken is still given to the callback. Never
  /// blocks.
  void disconnect() noexcept {
    if (state_) state_->disconnect();
  }

  /// As disconnect(), and no callback runs after it has returned. False where it could not wait,
  /// because it was called from inside the callback. Not for a thread that runs an executor's work,
  /// unless nothing of this subscription can be queued behind it (checked in debug builds).
  bool disconnect_and_wait() noexcept {
    if (!state_) return true;
    const std::shared_ptr<detail::subscription_state> state = state_;  // the callback may drop ours
    state->disconnect();
    if (state->is_inside()) return false;
    state->wait();
    return true;
  }

 private:
  std::shared_ptr<detail::subscription_state> state_;
};

}  // namespace millrace
