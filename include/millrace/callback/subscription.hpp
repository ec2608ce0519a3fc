// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/backoff.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/thread_waiter.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

template <class Traits>
class basic_subscription;

namespace detail {

template <class Traits>
class closed_step;

/// What a subscription holds on to: shared with whatever calls the callback. Counts who holds it.
///
/// Threads     any.
/// Lifetime    made with two holders: the subscription, and what calls the callback. The last to release it
///             destroys it.
template <class Traits>
class basic_subscription_state {
  // connected --disconnect()--> disconnected --nothing of it runs, nor will: close()--> closed
  //
  // Who waits for `closed` is listed under lock_, and belongs to close(), or to who withdraws it before.
  // close()'s unlock is its last touch but for the holder's own release().
  //
  // E1  release -> last   what the holders did.
  // E2  close -> wait     what the callbacks did; and the destruction of the callback, where that came before.
  // F1  park <-> disconnect   forbids that a waiter lists itself and does not find it disconnected, and who
  //                           disconnects finds nobody to wait.

 public:
  using traits = Traits;

  basic_subscription_state() noexcept = default;
  basic_subscription_state(const basic_subscription_state&) = delete;
  basic_subscription_state& operator=(const basic_subscription_state&) = delete;

  /// The callback is not called any more, but for what has been taken for it. Never blocks.
  virtual void disconnect() noexcept = 0;
  /// Whether the calling thread can wait until nothing of it runs.
  virtual bool can_wait() const noexcept { return !is_inside(); }
  /// Until it is closed. After disconnect().
  virtual void wait() noexcept = 0;
  /// Whether it is called, from now on; false: it is disconnected, or this kind cannot be blocked.
  virtual bool set_blocked(bool) noexcept { return false; }

  /// Before a wait: closes it, or sees to it that this will happen. False: it is still connected.
  virtual bool seek() noexcept { return true; }
  /// Whether seek() has been, or is not yet due.
  virtual bool may_park() noexcept { return true; }

  bool is_closed() const noexcept { return is_closed_.load(std::memory_order_acquire); }  // E2 observe

  /// Lists w; false: it is closed, or seek() is to be called first.
  bool park(waiter<Traits>& w) noexcept {
    const lock_guard guard(lock_);
    has_waited_.exchange(true, std::memory_order_seq_cst);         // F1 publish, F1 observe
    if (is_closed_.load(std::memory_order_relaxed)) return false;  // relaxed: written under the lock
    if (!may_park()) return false;
    waiters_.push_back(w);
    return true;
  }
  bool withdraw(waiter<Traits>& w) noexcept {
    const lock_guard guard(lock_);
    if (!w.is_listed()) return false;
    waiters_.remove(w);
    return true;
  }

  void retain() noexcept {
    holders_.fetch_add(1, std::memory_order_relaxed);  // relaxed: who retains it holds it
  }
  void release() noexcept {
    if (is_only_holder() ||
        holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) {  // E1 publish, E1 observe
      destroy();
    }
  }

  /// For a holder: whether there is no other, nor ever will be.
  bool is_only_holder() const noexcept {
    return holders_.load(std::memory_order_acquire) == 1;  // E1 observe
  }

  /// Whether the calling thread is inside a callback of this subscription.
  bool is_inside() const noexcept {
    const auto* at = static_cast<const inside*>(Traits::this_thread().callback);
    while (at != nullptr && at->state_ != this) at = at->outer_;
    return at != nullptr;
  }

 protected:
  virtual ~basic_subscription_state() = default;
  virtual void destroy() noexcept { delete this; }

  /// While it lives, the calling thread is inside a callback of `state`.
  class inside {
   public:
    explicit inside(const basic_subscription_state& state) noexcept
        : state_(&state), outer_(static_cast<inside*>(Traits::this_thread().callback)) {
      Traits::this_thread().callback = this;
    }
    inside(const inside&) = delete;
    inside& operator=(const inside&) = delete;
    ~inside() { Traits::this_thread().callback = outer_; }

   private:
    friend basic_subscription_state;
    const basic_subscription_state* state_;
    inside* outer_;
  };

  /// After disconnecting: whether anybody has ever waited, so that seek() is called.
  bool has_waited() const noexcept { return has_waited_.load(std::memory_order_seq_cst); }  // F1 observe

  /// Closes it, once; wake_one(waiter) for each that waits. *this may be gone afterwards, unless the caller holds it.
  template <class Wake>
  void close(Wake wake_one) noexcept {
    work_list woken;
    {
      const lock_guard guard(lock_);
      is_closed_.store(true, std::memory_order_release);  // E2 publish
      waiters_.take_all(woken);
    }
    while (!woken.empty()) wake_one(static_cast<waiter<Traits>&>(woken.pop_front()));
  }
  void close() noexcept {
    close([](waiter<Traits>& w) { wake(w); });
  }

  /// Blocks the thread until it is closed, in a coroutine too.
  void block() noexcept {
    backoff<Traits> pause;
    thread_waiter<waiter<Traits>, Traits> sleeper;
    sleeper.contest = nullptr;
    for (; !is_closed(); pause()) {
      seek();
      if (!park(sleeper)) continue;
      return sleeper.block();
    }
  }

  typename Traits::template atomic<std::uint32_t> holders_{2};
  typename Traits::template atomic<bool> is_closed_{false};
  typename Traits::template atomic<bool> has_waited_{false};
  spin_lock<Traits> lock_;
  waiter_list<Traits> waiters_;
};

/// Waits until a subscription is closed. Holds what it waits for.
template <class Traits>
class closed_step {
  using state_type = basic_subscription_state<Traits>;

 public:
  using traits = Traits;
  using result_type = op_status;

  explicit closed_step(state_type* state) noexcept : state_(state) {
    if (state != nullptr) state->retain();
  }
  closed_step(closed_step&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), status_(other.status_) {}
  closed_step& operator=(closed_step&&) = delete;
  ~closed_step() {
    if (state_ != nullptr) state_->release();
  }

  bool attempt_fast() noexcept { return state_ == nullptr || state_->is_closed(); }
  bool attempt() noexcept {
    if (attempt_fast()) return true;
    return state_->seek() && state_->is_closed();
  }
  bool park(waiter<traits>& w) noexcept { return state_->park(w); }
  bool withdraw(waiter<traits>& w) noexcept { return state_->withdraw(w); }
  const void* parks_at() const noexcept { return state_; }
  void refuse(op_status why) noexcept { status_ = why; }
  op_status take_result() noexcept { return status_; }

 private:
  state_type* state_;
  op_status status_ = op_status::ok;
};

using subscription_state = basic_subscription_state<default_traits>;

}  // namespace detail

/// A callback's registration: as long as it lives, the callback is called.
///
/// Threads     one thread at a time; the callback itself may disconnect or destroy it.
/// Lifetime    the destructor disconnects, and waits until no callback of this subscription runs, where
///             disconnect_and_wait() would. It may outlive what it subscribed to.
template <class Traits>
class [[nodiscard("millrace: the callback is disconnected when its subscription goes")]] basic_subscription {
  using state_type = detail::basic_subscription_state<Traits>;
  using closed_type = detail::closed_step<Traits>;

 public:
  basic_subscription() noexcept = default;
  /// Takes over one holder's share of the state.
  explicit basic_subscription(state_type* state) noexcept : state_(state) {}
  basic_subscription(basic_subscription&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  basic_subscription& operator=(basic_subscription&& other) noexcept {
    basic_subscription(std::move(other)).swap(*this);
    return *this;
  }
  ~basic_subscription() {
    if (state_ == nullptr) return;
    end(*state_);
    state_->release();
  }

  void swap(basic_subscription& other) noexcept { std::swap(state_, other.state_); }

  /// The callback is not called any more; what a consumer of a queue has already taken is still given to it.
  /// Never blocks.
  void disconnect() noexcept {
    if (state_ != nullptr) state_->disconnect();
  }

  /// As disconnect(), and no callback runs after it has returned. False where it could not wait: it was called
  /// from inside this callback; or, for that of a registry, from inside any callback of a registry, so
  /// that callbacks which disconnect each other do not wait for each other. Where it consumes a queue, not for a
  /// thread that runs an executor's work, unless nothing of this subscription can be queued behind it
  /// (checked in debug builds).
  bool disconnect_and_wait() noexcept {
    if (state_ == nullptr) return true;
    const closed_type held(state_);  // the callback may drop ours
    return end(*state_);
  }

  /// An operation: waits until the subscription is disconnected, by whatever, and no callback of it runs any
  /// more. It may outlive the subscription.
  [[nodiscard]] operation<closed_type> closed() const noexcept {
    return operation<closed_type>(std::in_place_type<closed_type>, state_);
  }

  /// The callback is not called until unblock(); a call that has begun goes on. False: it is disconnected, or
  /// consumes a queue, where it cannot be blocked.
  bool block() noexcept { return state_ != nullptr && state_->set_blocked(true); }
  bool unblock() noexcept { return state_ != nullptr && state_->set_blocked(false); }

 private:
  static bool end(state_type& state) noexcept {
    state.disconnect();
    if (!state.can_wait()) return false;
    state.wait();
    return true;
  }

  state_type* state_ = nullptr;
};

using subscription = basic_subscription<default_traits>;

}  // namespace millrace
