// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/macros.hpp>
#include <millrace/wait/stop_token.hpp>

namespace millrace::detail {

/// How a chain of coroutines that await each other hears of a stop: listed at the source once, for as long as
/// the chain lives, it knows the one operation in which the chain sleeps. So going to sleep is a store and a
/// load, and no lock.
///
/// Threads     enter() and leave(): who owns the operation at that time; a stop comes from any.
/// Progress    enter() is wait-free. leave() waits for a stop that is just ending the operation.
/// Lifetime    attached until detach(); the source outlives that.
template <class Traits>
class stop_slot : stop_node<Traits> {
  // sleeping_:  null --enter--> the node of the operation --leave--> null
  //
  //   enter:  sleeping_ = node;  light fence;  is a stop requested? then the operation is to end at once
  //   stop:   requested = true;  heavy fence;  fires the node that is in sleeping_
  //   leave:  sleeping_ = null;  light fence;  is a stop requested? then waits until nobody fires it
  //
  // By the fences (F1, see asymmetric_fence), either the chain sees the request, or the stop sees what the
  // chain has stored: so it never fires a node that has left, and never misses one that stays. A leave() that
  // saw the request has taken the slot off the source: the chain's later operations see it too.
  //
  // An operation that only its list and this slot can end enters and leaves while that list is locked (see
  // waiter_list), so who is listed is entered, and who is not is not. A leave() that waits for a stop then does
  // so under the list's lock: therefore the stop, who wants that lock to take the operation off the list, gives
  // up as soon as that is not listed any more.
  //
  // E1  enter -> stop   the operation, by sleeping_.

 public:
  stop_slot() noexcept {
    this->fire = [](stop_node<Traits>* self) noexcept {
      stop_node<Traits>* const sleeping =
          static_cast<stop_slot*>(self)->sleeping_.load(std::memory_order_acquire);  // E1 observe
      if (sleeping != nullptr) sleeping->fire(sleeping);  // *self may be gone from here on
    };
  }

  void attach(basic_stop_token<Traits> token) noexcept {
    token_ = token;
    Traits::fence::prepare();
    token_.add(*this, true);
  }
  void detach() noexcept { token_.remove(*this); }

  bool stop_requested() const noexcept { return token_.stop_requested(); }

  /// From now on a stop fires the operation's node. False: a stop was requested, and may fire it or not.
  bool enter(stop_node<Traits>& operation) noexcept {
    sleeping_.store(&operation, std::memory_order_release);  // E1 publish
    Traits::fence::light();
    return !token_.stop_requested();
  }

  /// When this returns, the operation's fire() is not running and never will, unless on this very thread.
  void leave() noexcept {
    sleeping_.store(nullptr, std::memory_order_relaxed);  // relaxed: F1
    Traits::fence::light();
    if (token_.stop_requested()) [[unlikely]]
      wait_for_stop();
  }

 private:
  MILLRACE_NOINLINE void wait_for_stop() noexcept { token_.remove(*this); }

  basic_stop_token<Traits> token_;
  typename Traits::template atomic<stop_node<Traits>*> sleeping_{nullptr};
};

}  // namespace millrace::detail
