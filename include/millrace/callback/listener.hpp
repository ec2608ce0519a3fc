// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

#include <millrace/callback/emitter.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

template <class Traits>
class listener_list;

/// One callback of a callback_registry, of which the registry calls call(). Who derives from it has the
/// callable, and casts call() back to what it is.
///
/// Threads     any.
/// Progress    disconnect() is a spin lock for a few instructions. seek() may be a system call.
/// Lifetime    held by its subscription, and by the list until no emission can find it any more.
template <class Traits>
class listener : public basic_subscription_state<Traits>, public retired {
  // call_ is how it is called:  the callable <--block, unblock--> not at all,  --disconnect--> null, for ever.
  // Who made it null takes it off the list. Then, under lock_ but for is_sought_:
  //
  //   disconnected --somebody waits: sought--> --after a heavy fence: fenced--> fenced
  //   fenced --nobody is inside its callback--> ended: the callable is destroyed --> closed
  //   disconnected --no emission can find it any more--> ended
  //
  // An emission that has left the callback, and finds call_ changed, looks whether it was sought: it, or who
  // seeks, is the last to take the lock, and sees what the other one did. The fence orders them (emitters' F1):
  //
  //   emission   current = another;  light;  call_ is null, and sought?  then: fenced, and nobody inside?
  //   seek       sought;             heavy;  fenced = true, and nobody inside?
  //
  // Or after all have begun anew: see emitters; one that has may be seen inside, and finds it sought.
  // An emission that nobody sees inside after the heavy fence does not call it. So nobody concludes from what
  // he sees before fenced, and the seeker sees it at the latest.
  //
  // E1  disconnect -> seek     what came before it, so also to who waits; and what seeks it fences after that.
  // F1  park <-> disconnect    basic_subscription_state's.

  using base = basic_subscription_state<Traits>;

 public:
  using call_type = void (*)();

  listener(listener_list<Traits>& list, call_type how, int priority) noexcept
      : list_(&list), priority_(priority), call_(how) {
    this->discard = [](retired* self) noexcept {
      auto* const l = static_cast<listener*>(self);
      if (!l->is_only_holder() && l->starts_to_end([] { return true; })) l->end();
      l->release();
    };
  }

  /// For one that was never listed: destroys it.
  void abandon() noexcept { this->destroy(); }

  /// Null: not at all.
  call_type call() const noexcept {
    return call_.load(std::memory_order_relaxed);  // relaxed: the list carries the callable; emitters' F1
  }

  void disconnect() noexcept override {
    if (!claim()) return;
    leave_list();
  }
  /// For the emission that calls it once: whether that is the one. It is disconnected.
  bool disconnect_once() noexcept {
    if (!claim()) return false;
    leave_list();
    return true;
  }

  bool can_wait() const noexcept override {
    return emitters<Traits>::outermost() == nullptr && !this->is_inside();
  }
  void wait() noexcept override { this->block(); }

  bool set_blocked(bool blocked) noexcept override {
    call_type found = callable(!blocked);
    const call_type wanted = callable(blocked);
    return call_.compare_exchange_strong(found, wanted, std::memory_order_relaxed,  // relaxed: as call()
                                         std::memory_order_relaxed) ||              // relaxed: as call()
           found == wanted;
  }

  bool seek() noexcept override {
    if (call_.load(std::memory_order_acquire) != nullptr) return false;  // E1 observe
    if (is_fenced_.load(std::memory_order_relaxed)) return true;  // relaxed: what follows is its doer's
    seek_before_fence();
    emitters<Traits>::all().fence(
        readers_.load(std::memory_order_relaxed));  // relaxed: all of them do no harm
    seek_after_fence();
    return true;
  }
  void seek_before_fence() noexcept {
    is_sought_.store(true, std::memory_order_relaxed);  // relaxed: emitters' F1
  }
  void seek_after_fence() noexcept {
    if (starts_to_end([this] {
          is_fenced_.store(true, std::memory_order_relaxed);  // relaxed: read under the lock, or a hint
          return !emitters<Traits>::all().is_current(this);
        })) {
      end();
    }
  }

  /// For an emission that has left its callback, and found call() changed.
  MILLRACE_NOINLINE void finished() noexcept {
    if (call() != nullptr || !is_sought_.load(std::memory_order_relaxed)) return;  // relaxed: emitters' F1
    if (starts_to_end([this] {
          return is_fenced_.load(std::memory_order_relaxed) &&  // relaxed: written under the lock
                 !emitters<Traits>::all().is_current(this);
        })) {
      end();
    }
  }

 protected:
  /// How it is called; where it is blocked: what takes the same arguments and does nothing.
  virtual call_type callable(bool is_blocked) const noexcept = 0;
  /// Destroys the callable.
  virtual void drop() noexcept = 0;
  /// In the destructor of who derives from it: whether drop() was called.
  bool is_dropped() const noexcept { return is_ended_; }

 private:
  friend listener_list<Traits>;

  /// True for who disconnects it: he takes it off the list.
  bool claim() noexcept {
    return call_.exchange(nullptr, std::memory_order_seq_cst) != nullptr;  // E1 publish, F1 publish
  }
  MILLRACE_NOINLINE void leave_list() noexcept {
    list_->detach(*this);  // the list may be gone from here on
    if (this->has_waited()) seek();
  }

  bool may_park() noexcept override {
    return call_.load(std::memory_order_seq_cst) != nullptr ||  // F1 observe
           is_fenced_.load(std::memory_order_relaxed);          // relaxed: written under the lock
  }

  template <class Condition>
  bool starts_to_end(Condition condition) noexcept {
    const lock_guard guard(this->lock_);
    if (!condition() || is_ended_) return false;
    is_ended_ = true;
    return true;
  }
  void end() noexcept {
    {
      const typename base::inside here(*this);  // the callable may own the subscription
      drop();
    }
    this->close([](waiter<Traits>& w) { emitters<Traits>::wake_later(w); });
  }

  static constexpr thread_bits all_threads = ~thread_bits{0};

  typename Traits::template atomic<thread_bits> readers_{all_threads};  // who may be inside: the list sets it
  typename Traits::template atomic<bool> is_sought_{false};
  typename Traits::template atomic<bool> is_fenced_{false};
  bool is_ended_ = false;
  listener_list<Traits>* const list_;
  std::uint32_t index_ = 0;  // the list's
  const int priority_;
  typename Traits::template atomic<call_type> call_;
};

}  // namespace millrace::detail
