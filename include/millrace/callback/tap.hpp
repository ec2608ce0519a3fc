// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>
#include <utility>

#include <millrace/callback/callback_registry.hpp>
#include <millrace/callback/subscribe_options.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/queue/message_tap.hpp>
#include <millrace/queue/queue_interface.hpp>

namespace millrace {

namespace detail {

/// A queue's tap: all that is observed is published to whoever taps it.
template <class T>
class registry_tap final : public message_tap<T> {
 public:
  void observe(const T& message) noexcept override { registry_.publish(message); }
  callback_registry<void(const T&)>& registry() noexcept { return registry_; }

 private:
  callback_registry<void(const T&)> registry_;
};

}  // namespace detail

/// Observes a queue: f(message) is called with every message that is popped, before the pop has it; no message is
/// taken. Several may tap one queue, and they see each message in the order of a callback_registry.
///
/// Threads     any may tap, at any time. f is called by the thread that pops the message, or by the one that hands
///             it to a pop that waits; by several at the same time where messages are popped at the same time. No
///             lock is held: f may use the queue, tap it, and disconnect.
/// Ordering    a pop that begins after tap() has returned is observed. Where one thread pops at a time, f sees
///             the messages in the order of the queue.
/// Errors      std::bad_alloc. f must not throw: that ends the program.
/// Complexity  a queue that was never tapped pays for a load and a branch in each pop; one that was, for a
///             publication (see callback_registry) until it goes.
/// Lifetime    the subscription may outlive the queue. What is displaced, or goes to on_undelivered without having
///             been popped, is not observed; what close_and_drain() takes is.
template <class Queue, class F>
subscription tap(Queue& queue, F f, subscribe_options<void(const typename Queue::value_type&)> how = {}) {
  using T = typename Queue::value_type;
  static_assert(detail::callback_requirements<F, const T&>::met);
  auto& point = detail::queue_access::tap_point_of(queue);
  detail::message_tap<T>* at = point.tap();
  if (at == nullptr) at = &point.install(std::make_unique<detail::registry_tap<T>>());
  // Nobody else installs one.
  return static_cast<detail::registry_tap<T>*>(at)->registry().subscribe(std::move(f), std::move(how));
}

}  // namespace millrace
