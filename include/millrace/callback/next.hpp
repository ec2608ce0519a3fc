// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <exception>
#include <type_traits>
#include <utility>

#include <millrace/callback/callback_registry.hpp>
#include <millrace/callback/next_waiters.hpp>
#include <millrace/callback/published_message.hpp>
#include <millrace/callback/retained_value.hpp>
#include <millrace/callback/single_threaded.hpp>
#include <millrace/callback/subscribe_options.hpp>
#include <millrace/callback/topic.hpp>
#include <millrace/detail/atomic.hpp>
#include <millrace/detail/raw_slot.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace {

namespace detail {

/// Waits for the next publication; Copy::of(args...) is what is kept of it.
///
/// Threads     the publication that has taken the waiter delivers, before it wakes it.
template <class Traits, class Copy, class... Args>
class next_step : next_slot<Args...> {
  using slot = next_slot<Args...>;
  using message = typename Copy::type;
  static constexpr bool copies_safely =
      noexcept(Copy::of(std::declval<std::remove_reference_t<passed_argument<Args>>&>()...));
  struct nothing {};

 public:
  using traits = Traits;
  using result_type = pop_result<message>;

  explicit next_step(next_waiters<Traits>& at) noexcept : slot{&deliver}, at_(&at) {}

  bool attempt_fast() noexcept { return false; }
  bool attempt() noexcept { return false; }
  bool park(waiter<traits>& w) noexcept {
    result_.refuse(op_status::closed);  // unless somebody says otherwise
    w.place = static_cast<slot*>(this);
    at_->park(w);
    return true;
  }
  bool withdraw(waiter<traits>& w) noexcept { return at_->withdraw(w); }
  const void* parks_at() const noexcept { return at_; }
  void refuse(op_status why) noexcept { result_.refuse(why); }
  result_type take_result() noexcept(copies_safely) {
    if constexpr (!copies_safely) {
      if (error_) std::rethrow_exception(std::move(error_));
    }
    return std::move(result_);
  }

 private:
  static void deliver(slot& to, passed_argument<Args>... args) noexcept {
    auto& self = static_cast<next_step&>(to);
    if constexpr (copies_safely) {
      self.result_.deliver(Copy::of(args...));
    } else {
      try {
        self.result_.deliver(Copy::of(args...));
      } catch (...) {
        self.error_ = std::current_exception();
      }
    }
  }

  next_waiters<Traits>* at_;
  result_type result_;
  [[no_unique_address]] std::conditional_t<copies_safely, nothing, std::exception_ptr> error_;
};

template <class... Args>
struct copy_of_all {
  static_assert((std::copy_constructible<std::decay_t<Args>> && ...),
                "millrace: next() gives a copy, so what is published must have one: publish "
                "std::shared_ptr<const T>");
  using type = published_message<Args...>;
  template <class... Passed>
  static type of(Passed&... args) noexcept(std::is_nothrow_constructible_v<type, Passed&...>) {
    return type(args...);
  }
};

/// Of what a topic's registry hands on, the message.
template <class T>
struct copy_of_first {
  static_assert(std::copy_constructible<T>,
                "millrace: next() gives a copy, so what is published must have one: publish "
                "std::shared_ptr<const T>");
  using type = T;
  static type of(const T& message,
                 const retained_pointer<T>*) noexcept(std::is_nothrow_copy_constructible_v<T>) {
    return message;
  }
};

template <class Copy, class Traits, class... Args>
auto make_next(next_waiters<Traits>& at) noexcept {
  static_assert(message_requirements<typename Copy::type>::met);
  using step = next_step<Traits, Copy, Args...>;
  return operation<step>(std::in_place_type<step>, at);
}

}  // namespace detail

/// Operation -> pop_result<published_message<Args...>>: waits for the next publication, and takes a copy of
/// its argument; of several, or none, a std::tuple. One that is published while nobody waits is gone: between
/// the end of one next() and the start of another, too. All that wait get the same publication.
///
/// Threads     any thread may wait; the publisher copies.
/// Progress    waits until something is published; a spin lock for a few instructions. publish() takes it
///             too, where somebody waits.
/// Ordering    who waits is served before the callbacks are called. What precedes publish() happens-before
///             the return of the wait. Who begins to wait inside a callback waits for the next publication.
/// Resumption  as every operation; never inside the publication, or one around it.
/// Errors      `closed`: the registry was destroyed. What copying throws is thrown by co_await and wait(),
///             not by publish(); where start() was called, it ends the program.
/// Complexity  publish() is linear in those that wait. Nothing allocates.
/// Lifetime    the registry outlives the start of the operation, and may be destroyed while it waits.
/// Use instead subscribe_on, or subscribe a callback that pushes to a queue, where no message may be missed.
template <class R, class... Args, class Traits>
auto next(basic_callback_registry<R(Args...), Traits>& of) noexcept {
  static_assert(
      !std::same_as<Traits, single_threaded>,
      "millrace: who waits needs another thread to publish, or an executor: callback_registry<...>, "
      "not the single_threaded one");
  return detail::make_next<detail::copy_of_all<Args...>, Traits, Args...>(detail::next_access::waiters(of));
}
/// The same, of a topic; not what it retains, but what comes next. The topic may go as a registry may.
template <class T>
auto next(const topic<T>& of) noexcept {
  return detail::make_next<detail::copy_of_first<T>, default_traits, const T&,
                           const detail::retained_pointer<T>*>(detail::next_access::waiters(of));
}

}  // namespace millrace
