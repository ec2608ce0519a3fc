// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <millrace/callback/callback_errors.hpp>
#include <millrace/callback/next_waiters.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/callback/topic_listener.hpp>
#include <millrace/callback/topic_state.hpp>

namespace millrace {

class message_bus;

struct topic_options {
  bool retain = false;  ///< a new subscriber is given the last message first
};

/// A handle of one channel of messages to callbacks: of one that it makes, or of a message_bus's.
///
/// Threads     any thread may call anything, from inside a callback too; a handle itself is assigned, moved and
///             destroyed by one thread at a time.
/// Progress    publish() as callback_registry: it takes no lock and writes nothing that two publishers share. Where
///             the topic retains, it takes a spin lock for a few instructions. No user code runs under a lock.
/// Ordering    as callback_registry. A topic that retains numbers its messages as they come to publish(): subscribe()
///             gives the callback the last one, #k, on the caller's thread; then it gets each one after #k once, and
///             none before. What is published while subscribe() is at that is called there, too, and not by its
///             publisher; subscribe() returns when the callback has caught up. Messages whose publications overlap
///             may reach a callback in any order, so the last one called is not always the one that is retained.
///             A subscribe() that overlaps with the call that makes the topic retain may find that it does not.
/// Errors      as callback_registry. What a callback throws when it is given a retained message goes to the sink, if
///             there is one; else subscribe() throws it, and nothing is subscribed. publish() throws what copying a
///             message throws that is to be retained, with nothing called.
/// Complexity  publish() costs a pointer and a test more than callback_registry's, and does not allocate; one
///             allocation, and a copy of the message, where the topic retains.
/// Lifetime    the topic lives as long as a handle or its bus. Subscriptions may outlive it. A handle that was moved
///             from can be assigned or destroyed.
template <class T>
class topic {
  static_assert(
      std::is_object_v<T> && std::same_as<T, std::remove_cv_t<T>> && !std::is_array_v<T>,
      "millrace: a topic's messages are objects: topic<T>, not topic<const T>, topic<T&> or topic<T[]>");
  using state = detail::topic_state<T>;

 public:
  using value_type = T;
  using subscribe_options = topic_subscribe_options<T>;

  /// A topic of its own, without a bus. The name may be anything.
  explicit topic(std::string name = {}, topic_options how = {}, callback_registry_options errors = {})
      : state_(std::make_shared<state>(std::move(name),
                                       std::make_shared<detail::topic_commons>(std::move(errors)))) {
    if (how.retain) state_->retain();
  }

  const std::string& name() const noexcept { return state_->name(); }

  /// Calls all callbacks.
  void publish(const T& message) const { state_->publish(message); }

  /// From now on f(message) is called by each publication, on the publishing thread, as long as the subscription
  /// lives; by several threads at the same time where they publish. What f returns is dropped.
  template <class F>
  subscription subscribe(F f) const {
    static_assert(detail::callback_requirements<F, const T&>::met);
    const std::shared_ptr<state> held = state_;  // f may destroy this handle, where it is called at once
    return held->subscribe(std::move(f));
  }
  template <class F>
  subscription subscribe(F f, subscribe_options how) const {
    static_assert(detail::callback_requirements<F, const T&>::met);
    const std::shared_ptr<state> held = state_;  // as above
    return held->subscribe(std::move(f), std::move(how));
  }

  /// Disconnects all that was subscribed to this topic, by whatever handle, with this `owner`, and waits as
  /// disconnect_and_wait(). False where it could not wait.
  bool disconnect_all(const void* owner) const {
    return state_->commons()->disconnect_all(
        [&](const auto& one) { return one.owner == owner && one.topic == state_.get(); });
  }

 private:
  friend message_bus;
  friend detail::next_access;
  explicit topic(std::shared_ptr<state> of) noexcept : state_(std::move(of)) {}

  auto& waiters() const noexcept { return detail::next_access::waiters(state_->registry()); }

  std::shared_ptr<state> state_;
};

}  // namespace millrace
