// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <millrace/callback/callback_errors.hpp>
#include <millrace/callback/emitter.hpp>
#include <millrace/callback/retained_value.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/callback/subscription_roll.hpp>
#include <millrace/callback/topic_listener.hpp>
#include <millrace/detail/atomic.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/type_name.hpp>

namespace millrace::detail {

/// What all topics of a bus share: where exceptions go, and whose callbacks there are.
struct topic_commons {
  struct owned {
    topic_subscription::holder subscription;
    const void* owner;
    const void* topic;  // null: several
  };

  explicit topic_commons(callback_registry_options&& o) : options(std::move(o)) {}

  /// Options for one registry, which may outlive this only while it emits.
  static callback_registry_options options_of(const std::shared_ptr<topic_commons>& all) {
    callback_registry_options mine;
    mine.errors = all->options.errors;
    if (all->options.sink) mine.sink = [all](std::exception_ptr e) { all->options.sink(std::move(e)); };
    return mine;
  }

  /// Disconnects those with wanted(entry), and waits. False where it could not wait.
  template <class Wanted>
  bool disconnect_all(Wanted wanted) {
    const auto mine = owners.take(wanted);
    for (const owned& one : mine) one.subscription->disconnect();
    bool has_waited = true;
    for (const owned& one : mine) {
      if (one.subscription->can_wait()) {
        one.subscription->wait();
      } else {
        has_waited = false;
      }
    }
    return has_waited;
  }

  const callback_registry_options options;
  subscription_roll<owned> owners;
};

/// A topic of a type that is known to who asks.
class any_topic {
 public:
  any_topic(std::string&& name, const std::type_info& type, std::string_view type_name) noexcept
      : name_(std::move(name)), type_(&type), type_name_(type_name) {}
  any_topic(const any_topic&) = delete;
  any_topic& operator=(const any_topic&) = delete;
  virtual ~any_topic() = default;

  const std::string& name() const noexcept { return name_; }
  const std::type_info& type() const noexcept { return *type_; }
  std::string_view type_name() const noexcept { return type_name_; }

 private:
  const std::string name_;
  const std::type_info* const type_;
  const std::string_view type_name_;
};

/// What the handles of one topic share.
template <class T>
class topic_state final : public any_topic, public std::enable_shared_from_this<topic_state<T>> {
 public:
  topic_state(std::string name, std::shared_ptr<topic_commons> commons)
      : any_topic(std::move(name), typeid(T), detail::type_name<T>()),
        registry_(topic_commons::options_of(commons)),
        commons_(std::move(commons)) {}

  bool retains() const noexcept {
    return retains_.load(std::memory_order_relaxed);  // relaxed: nothing travels with it
  }
  void retain() {
    if constexpr (std::copy_constructible<T>) {
      retains_.store(true, std::memory_order_relaxed);  // relaxed: nothing travels with it
    } else {
      throw std::invalid_argument("millrace: topic \"" + name() + "\" cannot retain a " +
                                  std::string(type_name()) +
                                  ", which cannot be copied; std::shared_ptr<const T> can");
    }
  }

  void publish(const T& message) {
    if (retains()) [[unlikely]]
      return publish_retained(message);
    registry_.publish(message, nullptr);
  }

  template <class F>
  subscription subscribe(F f) {
    if (retains()) return subscribe_counted(std::move(f), topic_subscribe_options<T>());
    return registry_.subscribe(bare_topic_callback<T, F>{std::move(f)});
  }
  template <class F>
  subscription subscribe(F f, topic_subscribe_options<T>&& how) {
    if (how.owner != nullptr || retains()) return subscribe_counted(std::move(f), std::move(how));
    return registry_.subscribe(bare_topic_callback<T, F>{std::move(f)}, plain(std::move(how)));
  }

  /// What waits for a listener that was listed here. Null: nothing.
  std::shared_ptr<retained_gate<T>> list(topic_listener<T>& l) {
    std::shared_ptr<retained_gate<T>> gate;
    if (retains()) gate = std::make_shared<retained_gate<T>>();
    l.attach(registry_, gate);
    return gate;
  }

  /// Gives it the retained messages. Not inlined: who subscribes may be a coroutine.
  MILLRACE_NOINLINE void open(retained_gate<T>& gate, topic_listener<T>& l) {
    if constexpr (std::copy_constructible<T>) {
      const emission<default_traits> here;  // so that nobody inside the callback waits for another
      gate.open(retained_, [&](const T& message) {
        if (l.is_disconnected()) return;
        if (!commons_->options.sink) return l.call(message);
        try {
          l.call(message);
        } catch (...) {
          commons_->options.sink(std::current_exception());
        }
      });
    }
  }

  topic_registry<T>& registry() noexcept { return registry_; }
  const std::shared_ptr<topic_commons>& commons() const noexcept { return commons_; }

 private:
  static typename topic_registry<T>::subscribe_options plain(topic_subscribe_options<T>&& how) {
    typename topic_registry<T>::subscribe_options to;
    to.priority = how.priority;
    to.one_shot = how.one_shot;
    to.lifetime = std::move(how.lifetime);
    if (how.filter) {
      to.filter = [filter = std::move(how.filter)](const T& message, const retained_pointer<T>*) {
        return filter(message);
      };
    }
    return to;
  }

  MILLRACE_NOINLINE void publish_retained(const T& message) {
    if constexpr (std::copy_constructible<T>) {
      const retained_pointer<T> kept = retained_.keep(message);
      registry_.publish(message, &kept);
    }
  }

  template <class F>
  subscription subscribe_counted(F f, topic_subscribe_options<T>&& how) {
    const void* const owner = how.owner;
    auto* const l = new topic_callback<T, F>(std::move(f), std::move(how));
    subscription s(l);
    const topic_subscription::part first = l->first_part();
    if (owner != nullptr) commons_->owners.add({topic_subscription::holder(*l), owner, this});
    const auto gate = list(*l);
    l->settle();
    if (gate != nullptr) open(*gate, *l);
    return s;
  }

  topic_registry<T> registry_;
  default_traits::atomic<bool> retains_{false};
  retained_value<T> retained_;
  const std::shared_ptr<topic_commons> commons_;
};

}  // namespace millrace::detail
