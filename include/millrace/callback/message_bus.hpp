// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <millrace/callback/callback_errors.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/callback/subscription_roll.hpp>
#include <millrace/callback/topic.hpp>
#include <millrace/callback/topic_pattern.hpp>
#include <millrace/callback/topic_state.hpp>
#include <millrace/callback/topic_subscription.hpp>
#include <millrace/detail/type_name.hpp>

namespace millrace {

/// A topic exists with messages of another type.
class topic_type_error : public std::logic_error {
 public:
  topic_type_error(std::string_view name, std::string_view existing, std::string_view asked)
      : std::logic_error("millrace: topic \"" + std::string(name) + "\" has messages of type " +
                         std::string(existing) + ", not of type " + std::string(asked)) {}
};

/// Topics by name, and callbacks for all whose names match a pattern (see topic_pattern).
///
/// Threads     any thread may call anything, from inside a callback too; it is destroyed when nobody else uses it.
/// Progress    topic(), subscribe() and publish() by name take a reader-writer lock to look the name up; making a
///             topic, or subscribing to a pattern, excludes the others for as long as it takes to find what matches,
///             and to list the callback there. No user code runs under a lock. Nothing here is in the
///             way of publishing by a handle.
/// Ordering    as topic. A callback that was subscribed to a pattern is called with every message that is published
///             after that to a topic that matches, be it made before or later; with the retained ones first, topics in
///             the order of their names.
/// Errors      std::invalid_argument has the text that is no name, or no pattern; topic_type_error has the topic and
///             both types. Types are the same where std::type_info says so: with libstdc++ also across shared libraries
///             that hide their symbols. With libc++ a library has to export the type; else this is an
///             error, never a wrong cast.
/// Complexity  logarithmic in the topics by name, linear for a pattern, or to make one. A topic is kept as long as
///             the bus.
/// Lifetime    handles and subscriptions may outlive the bus; who is subscribed to a pattern is called by the topics
///             that are left.
class message_bus {
 public:
  /// Where exceptions of callbacks go, for all of its topics.
  explicit message_bus(callback_registry_options errors = {})
      : commons_(std::make_shared<detail::topic_commons>(std::move(errors))) {}
  message_bus(const message_bus&) = delete;
  message_bus& operator=(const message_bus&) = delete;
  ~message_bus() {
    for (const wildcard& w : wildcards_.take([](const wildcard&) { return true; }))
      w.subscription->end_bus_part();
  }

  /// Finds or makes it. `retain` holds from then on, whoever has made it.
  template <class T>
  millrace::topic<T> topic(std::string_view name, topic_options how = {}) {
    detail::topic_state<T>* const known = find<T>(name);
    std::shared_ptr<detail::topic_state<T>> found =
        known != nullptr ? known->shared_from_this() : make<T>(name, how);
    if (how.retain) found->retain();
    return millrace::topic<T>(std::move(found));
  }

  /// Looks the topic up, or makes it, each time: who publishes often keeps a topic.
  template <class T>
  void publish(std::string_view name, const T& message) {
    static_assert(!std::is_array_v<T>,
                  "millrace: say what type the topic has: publish<std::string>(name, \"text\")");
    if (detail::topic_state<T>* const found = find<T>(name)) {
      found->publish(message);
    } else {
      topic<T>(name).publish(message);
    }
  }

  /// From now on f(message) is called by each publication to the topic of that name, which is made where there is
  /// none; or to all topics of type T that match the pattern. Where f throws at a retained message, see topic.
  template <class T, class F>
  subscription subscribe(std::string_view pattern, F f) {
    static_assert(detail::callback_requirements<F, const T&>::met);
    const topic_pattern wanted(pattern);
    if (wanted.is_exact()) return topic<T>(pattern).subscribe(std::move(f));
    return subscribe_to_all<T>(wanted, std::move(f), topic_subscribe_options<T>());
  }
  template <class T, class F>
  subscription subscribe(std::string_view pattern, F f, topic_subscribe_options<T> how) {
    static_assert(detail::callback_requirements<F, const T&>::met);
    const topic_pattern wanted(pattern);
    if (wanted.is_exact()) return topic<T>(pattern).subscribe(std::move(f), std::move(how));
    return subscribe_to_all<T>(wanted, std::move(f), std::move(how));
  }

  /// Disconnects all that was subscribed with this `owner`, through the bus or a handle, and waits as
  /// disconnect_and_wait(). False where it could not wait. Linear in all subscriptions that have an owner.
  bool disconnect_all(const void* owner) {
    return commons_->disconnect_all([&](const auto& one) { return one.owner == owner; });
  }

 private:
  using topic_pointer = std::shared_ptr<detail::any_topic>;
  struct wildcard {
    detail::topic_subscription::holder subscription;
    std::string pattern;
    const std::type_info* type;  // its subscription is a topic_listener of that
  };

  struct indexed {
    std::size_t hash;
    detail::any_topic* topic;
  };

  /// How many of so many come before a place, by is_before(i), which is true of these only.
  template <class Before>
  static std::size_t count_before(std::size_t size, Before is_before) noexcept {
    std::size_t first = 0;
    while (first != size) {
      const std::size_t middle = first + (size - first) / 2;
      if (is_before(middle)) {
        first = middle + 1;
      } else {
        size = middle;
      }
    }
    return first;
  }
  std::size_t place_of(std::size_t hash) const noexcept {
    return count_before(index_.size(), [&](std::size_t i) { return index_[i].hash < hash; });
  }
  /// Null: there is none of that name. The lock is held.
  detail::any_topic* look_up(std::size_t hash, std::string_view name) const noexcept {
    for (std::size_t i = place_of(hash); i != index_.size() && index_[i].hash == hash; ++i) {
      if (index_[i].topic->name() == name) return index_[i].topic;
    }
    return nullptr;
  }
  static std::size_t hash_of(std::string_view name) noexcept { return std::hash<std::string_view>()(name); }

  template <class T>
  static detail::topic_state<T>& typed(detail::any_topic& any) {
    if (any.type() != typeid(T)) {
      throw topic_type_error(any.name(), any.type_name(), detail::type_name<T>());
    }
    return static_cast<detail::topic_state<T>&>(any);
  }

  /// It stays where it is as long as the bus.
  template <class T>
  detail::topic_state<T>* find(std::string_view name) const {
    const std::size_t hash = hash_of(name);
    const std::shared_lock guard(mutex_);
    detail::any_topic* const found = look_up(hash, name);
    return found != nullptr ? &typed<T>(*found) : nullptr;
  }

  template <class T>
  std::shared_ptr<detail::topic_state<T>> make(std::string_view name, topic_options how) {
    using listener = detail::topic_listener<T>;
    topic_pattern::check_name(name);
    const std::size_t hash = hash_of(name);
    auto fresh = std::make_shared<detail::topic_state<T>>(std::string(name), commons_);
    if (how.retain) fresh->retain();
    struct visited {
      listener* at;
      detail::topic_subscription::part part;  // so that no callable is destroyed under the lock
    };
    std::vector<visited> matching;
    {
      const std::unique_lock guard(mutex_);
      if (auto* const found = look_up(hash, name)) return typed<T>(*found).shared_from_this();
      const std::size_t at =
          count_before(topics_.size(), [&](std::size_t i) { return name.compare(topics_[i]->name()) > 0; });
      index_.reserve(index_.size() + 1);
      topics_.insert(topics_.begin() + static_cast<std::ptrdiff_t>(at), fresh);
      try {
        wildcards_.for_each([&](const wildcard& w) {
          if (*w.type != typeid(T) || !topic_pattern(w.pattern).matches(name)) return;
          auto part = w.subscription->another_part();
          if (!part) return;
          matching.push_back({static_cast<listener*>(&*w.subscription), std::move(part)});
          matching.back().at->attach(fresh->registry(), nullptr);
        });
      } catch (...) {
        topics_.erase(topics_.begin() + static_cast<std::ptrdiff_t>(at));
        throw;
      }
      index_.insert(index_.begin() + static_cast<std::ptrdiff_t>(place_of(hash)), {hash, fresh.get()});
    }
    for (const visited& one : matching) one.at->settle();
    return fresh;
  }

  template <class T, class F>
  subscription subscribe_to_all(const topic_pattern& wanted, F f, topic_subscribe_options<T> how) {
    using state = detail::topic_state<T>;
    struct waiting {
      std::shared_ptr<state> topic;
      std::shared_ptr<detail::retained_gate<T>> gate;
    };
    const void* const owner = how.owner;
    auto* const l = new detail::topic_callback<T, F>(std::move(f), std::move(how));
    subscription s(l);
    const detail::topic_subscription::part first = l->first_part();
    if (owner != nullptr) commons_->owners.add({detail::topic_subscription::holder(*l), owner, nullptr});
    std::vector<waiting> gates;
    l->begin_bus_part();
    {
      const std::unique_lock guard(mutex_);
      wildcards_.add({detail::topic_subscription::holder(*l), std::string(wanted.text()), &typeid(T)});
      for (const topic_pointer& any : topics_) {
        if (any->type() != typeid(T) || !wanted.matches(any->name())) continue;
        auto to = std::static_pointer_cast<state>(any);
        if (auto gate = to->list(*l)) gates.push_back({std::move(to), std::move(gate)});
      }
    }
    l->settle();
    for (const waiting& one : gates) one.topic->open(*one.gate, *l);
    return s;
  }

  const std::shared_ptr<detail::topic_commons> commons_;
  detail::subscription_roll<wildcard> wildcards_;
  mutable std::shared_mutex mutex_;    // guards the rest, and that all topics have all wildcards
  std::vector<topic_pointer> topics_;  // by name
  std::vector<indexed> index_;         // the same, by hash
};

}  // namespace millrace
