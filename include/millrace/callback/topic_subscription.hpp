// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <millrace/callback/emitter.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/detail/atomic.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

/// One subscription that stands for several: of one callback to several topics, or to publishers and to a queue of
/// what they publish. Who derives from it has the callable.
///
/// Threads     any.
/// Progress    a spin lock for a few instructions; disconnect() is linear in the topics.
/// Lifetime    counts its holders, as every state of a subscription; the second of them are its parts, together.
class topic_subscription : public subscription_state {
  // A part is what may call the callable: a listener of a topic (until its registry has destroyed it, so that
  // nobody is inside), a subscribe() that is giving it retained values, or a bus that would give it to new
  // topics. When the last one is gone, the callable is destroyed, then the subscription is closed.
  //
  //   connected --disconnect()--> disconnected: no new parts --somebody waits--> sought --no part is left--> closed
  //
  // All that is not const stands under lock_, where also base::park() asks may_park(): so has_waited(), which
  // park() sets there, needs no more than that lock. children_ only grows. Who adds a child calls settle() after
  // that, where user code may run: disconnect() or seek() may have looked before.

 public:
  using traits = default_traits;

  /// Keeps one from closing. Empty: it is disconnected.
  class part {
   public:
    part() noexcept = default;
    part(part&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    part& operator=(part&&) = delete;
    ~part() {
      if (of_ != nullptr) of_->end_part();
    }
    explicit operator bool() const noexcept { return of_ != nullptr; }

   private:
    friend topic_subscription;
    explicit part(topic_subscription& of) noexcept : of_(&of) {}
    topic_subscription* of_ = nullptr;
  };

  /// Keeps its memory.
  class holder {
   public:
    explicit holder(topic_subscription& of) noexcept : of_(&of) { of.retain(); }
    holder(holder&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    holder& operator=(holder&& other) noexcept {
      std::swap(of_, other.of_);
      return *this;
    }
    ~holder() {
      if (of_ != nullptr) of_->release();
    }
    topic_subscription* operator->() const noexcept { return of_; }
    topic_subscription& operator*() const noexcept { return *of_; }

   private:
    topic_subscription* of_;
  };

  /// The part that it is made with, for who has made it.
  part first_part() noexcept { return part(*this); }
  part another_part() noexcept {
    const lock_guard guard(lock_);
    if (is_disconnected_) return part();
    ++parts_;
    return part(*this);
  }
  /// One that disconnect() ends, or end_bus_part().
  void begin_bus_part() noexcept {
    const lock_guard guard(lock_);
    if (is_disconnected_) return;
    ++parts_;
    has_bus_part_ = true;
  }
  void end_bus_part() noexcept {
    bool had = false;
    {
      const lock_guard guard(lock_);
      had = std::exchange(has_bus_part_, false);
    }
    if (had) end_part();
  }

  /// What calls the callable with one topic's messages; it has a part.
  struct child {
    subscription listener;
    child* next = nullptr;
  };
  void add(std::unique_ptr<child> one) noexcept {
    const lock_guard guard(lock_);
    one->next = children_;
    children_ = one.release();
  }
  void settle() noexcept {
    bool is_sought = false;
    {
      const lock_guard guard(lock_);
      if (!is_disconnected_) return;
      is_sought = is_sought_;
    }
    disconnect_children();
    if (is_sought) seek_children();
  }

  bool is_disconnected() noexcept {
    const lock_guard guard(lock_);
    return is_disconnected_;
  }

  void disconnect() noexcept override { static_cast<void>(disconnect_once()); }
  /// True for the one call that did it. The caller has a part, or holds it.
  bool disconnect_once() noexcept {
    bool had_bus_part = false;
    {
      const lock_guard guard(lock_);
      if (is_disconnected_) return false;
      is_disconnected_ = true;
      had_bus_part = std::exchange(has_bus_part_, false);
    }
    disconnect_children();
    if (this->has_waited()) seek();
    if (had_bus_part) end_part();
    return true;
  }

  bool can_wait() const noexcept override {
    return emitters<traits>::outermost() == nullptr && !this->is_inside();
  }
  void wait() noexcept override { this->block(); }

  bool set_blocked(bool blocked) noexcept override {
    is_blocked_.store(blocked, std::memory_order_relaxed);  // relaxed: nothing travels with it
    return !is_disconnected();
  }
  bool is_blocked() const noexcept {
    return is_blocked_.load(std::memory_order_relaxed);  // relaxed: nothing travels with it
  }

  bool seek() noexcept override {
    {
      const lock_guard guard(lock_);
      if (!is_disconnected_) return false;
      is_sought_ = true;
    }
    seek_children();
    return true;
  }

 protected:
  ~topic_subscription() override {
    while (children_ != nullptr) {
      const std::unique_ptr<child> first(children_);
      children_ = first->next;
    }
  }

  /// Destroys the callable.
  virtual void drop() noexcept = 0;

 private:
  bool may_park() noexcept override { return !is_disconnected_ || is_sought_; }  // the lock is held

  void end_part() noexcept {
    {
      const lock_guard guard(lock_);
      if (--parts_ != 0) return;
      is_disconnected_ = true;
    }
    {
      const inside here(*this);  // the callable may own the subscription
      drop();
    }
    this->close([](waiter<traits>& w) { emitters<traits>::wake_later(w); });
    this->release();  // *this may be gone from here on
  }

  child* first_child() noexcept {
    const lock_guard guard(lock_);
    return children_;
  }
  void disconnect_children() noexcept {
    for (child* c = first_child(); c != nullptr; c = c->next) c->listener.disconnect();
  }
  void seek_children() noexcept {
    for (child* c = first_child(); c != nullptr; c = c->next) {
      static_cast<void>(operation_access::take_step(c->listener.closed()).attempt());
    }
  }

  std::size_t parts_ = 1;
  bool has_bus_part_ = false;
  bool is_disconnected_ = false;
  bool is_sought_ = false;
  child* children_ = nullptr;
  traits::atomic<bool> is_blocked_{false};
};

}  // namespace millrace::detail
