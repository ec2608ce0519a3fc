// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <exception>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/backoff.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/queue/closable_lock.hpp>
#include <millrace/queue/message_source.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/queue/queue_stats.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// Where pushes and pops meet, without room for a message between them: what rendezvous_queue does, without
/// its interface.
///
/// Threads     any thread may call anything but the constructor and the destructor.
/// Progress    a spin lock for a few instructions.
template <class T, class Traits>
class rendezvous_core : public core_options<T> {
  // close()'s unlock says `closed`: who hears that may destroy the queue.
  //
  // A push that finds a popper, or a pop that finds a pusher, takes it under the lock, and moves the message
  // after the unlock; else it may be listed. So only one of the lists ever holds waiters that can be served,
  // but for two that belong to one contest: a select does not serve itself.
  //
  // Who may destroy what, and when: as in bounded_core.

 public:
  using value_type = T;
  using traits = Traits;

  explicit rendezvous_core(const queue_options<T>& options = {}) noexcept : core_options<T>(options) {}

  ~rendezvous_core() {
    close(nullptr);
    for (backoff<Traits> pause; !is_left();) pause();
  }

  std::size_t size_approx() const noexcept { return 0; }
  bool is_closed() const noexcept { return lock_.is_closed(); }
  std::exception_ptr close_reason() const noexcept { return is_closed() ? reason_ : std::exception_ptr{}; }
  bool sees_room() noexcept {
    const guard here(lock_);
    return !poppers_.empty();
  }

  template <class Source>
  bool push_fast(const Source&) noexcept {
    return false;
  }
  bool pop_fast(pop_result<T>&) noexcept { return false; }

  template <class Out>
  static constexpr std::size_t pop_run(Out&&, std::size_t) noexcept {
    return 0;
  }

  template <class Source, class Displaced>
  MILLRACE_NOINLINE bool push(const Source& source, op_status& status, Displaced&&) noexcept {
    waiter<Traits>* popper = nullptr;
    {
      const guard here(lock_);
      if (here.is_closed()) {
        status = op_status::closed;
        return true;
      }
      popper = poppers_.take();
    }
    if (popper == nullptr) {
      status = op_status::full;
      return false;
    }
    auto* const out = static_cast<pop_result<T>*>(popper->place);
    source([out](auto&&... args) noexcept { out->deliver(std::forward<decltype(args)>(args)...); });
    this->observe(**out);
    status = op_status::ok;
    wake(*popper);  // *this may be gone from here on
    return true;
  }

  bool park_push(waiter<Traits>& w) noexcept { return park(pushers_, poppers_, w); }

  MILLRACE_NOINLINE bool pop(pop_result<T>& out) noexcept {
    waiter<Traits>* pusher = nullptr;
    {
      const guard here(lock_);
      if (here.is_closed()) {
        out.refuse(op_status::closed);
        return true;
      }
      pusher = pushers_.take();
    }
    if (pusher == nullptr) {
      out.refuse(op_status::empty);
      return false;
    }
    auto* const slot = static_cast<push_slot<T>*>(pusher->place);
    out.deliver(std::move(*slot->message));
    slot->status = op_status::ok;
    wake(*pusher);  // *this may be gone from here on
    return true;
  }

  queue_stats stats() const noexcept { return {this->options_.name, 0, 0, 0, 0, is_closed()}; }

  bool park_pop(waiter<Traits>& w) noexcept { return park(poppers_, pushers_, w); }

  bool is_drained() const noexcept { return is_closed(); }

  bool park_drained(waiter<Traits>& w) noexcept {
    const guard here(lock_);
    if (here.is_closed()) return false;
    drainers_.push_back(w);
    return true;
  }

  /// True for the call that closed it.
  bool close(std::exception_ptr reason) noexcept {
    work_list woken;
    work_list handed_back;
    work_list done;
    {
      guard here(lock_);
      if (here.is_closed()) return false;
      reason_ = std::move(reason);
      poppers_.take_all(woken);
      pushers_.take_all(handed_back);
      drainers_.take_all(done);
      here.close();
    }  // *this may be gone from here on
    wake_all<Traits>(
        woken, [](waiter<Traits>& w) { static_cast<pop_result<T>*>(w.place)->refuse(op_status::closed); });
    wake_all<Traits>(handed_back, [](waiter<Traits>& w) {
      static_cast<push_slot<T>*>(w.place)->status = op_status::closed;
    });
    wake_all<Traits>(done, [](waiter<Traits>&) {});
    return true;
  }

  bool withdraw_pop(waiter<Traits>& w) noexcept { return withdraw(poppers_, w); }
  bool withdraw_push(waiter<Traits>& w) noexcept { return withdraw(pushers_, w); }
  bool withdraw_drained(waiter<Traits>& w) noexcept { return withdraw(drainers_, w); }

 private:
  using guard = typename closable_lock<Traits>::guard;

  bool park(waiter_list<Traits>& list, const waiter_list<Traits>& opposite, waiter<Traits>& w) noexcept {
    const guard here(lock_);
    if (here.is_closed() || opposite.has_other(w)) return false;
    list.push_back(w);
    return true;
  }

  bool withdraw(waiter_list<Traits>& list, waiter<Traits>& w) noexcept {
    if (!w.is_listed()) return false;
    const guard here(lock_);
    if (!w.is_listed()) return false;
    list.remove(w);
    return true;
  }

  /// Whether all that others have won were withdrawn.
  bool is_left() noexcept {
    const guard here(lock_);
    return poppers_.empty() && pushers_.empty() && drainers_.empty();
  }

  closable_lock<Traits> lock_;  // guards the rest
  waiter_list<Traits> poppers_;
  waiter_list<Traits> pushers_;
  waiter_list<Traits> drainers_;
  std::exception_ptr reason_;
};

}  // namespace millrace::detail
