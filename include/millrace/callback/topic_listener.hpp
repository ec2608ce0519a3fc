// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <millrace/callback/callback_registry.hpp>
#include <millrace/callback/erased_function.hpp>
#include <millrace/callback/retained_value.hpp>
#include <millrace/callback/subscribe_options.hpp>
#include <millrace/callback/topic_subscription.hpp>

namespace millrace {

/// How a callback is called with the messages of topics; only who asks for something pays for it.
template <class T>
struct topic_subscribe_options {
  int priority = 0;       ///< higher ones are called first; those of the same, in the order of subscription
  bool one_shot = false;  ///< called once, then disconnected from all its topics; a retained value counts
  /// The callback is called where this says true. A one_shot waits for that.
  erased_function<bool(const T&)> filter{};
  /// Held while the callback runs; once it has expired, the callback is disconnected instead of called.
  tracked_object lifetime{};
  const void* owner = nullptr;  ///< for disconnect_all(owner); it is compared, and never followed
};

namespace detail {

/// What a topic's registry hands on: the message, and where it is retained (null: nowhere).
template <class T>
using topic_registry = callback_registry<void(const T&, const retained_pointer<T>*)>;

/// A topic_subscription to topics of one type.
template <class T>
class topic_listener : public topic_subscription {
 public:
  explicit topic_listener(int priority) noexcept : priority_(priority) {}

  virtual void call(const T& message) = 0;

  /// From now on it is called by that registry; through the gate, where there is one. Nothing happens where it is
  /// disconnected. settle() is to follow. Runs no user code, as long as the caller has a part. Errors: std::bad_alloc.
  void attach(topic_registry<T>& to, std::shared_ptr<retained_gate<T>> gate) {
    part mine = this->another_part();
    if (!mine) return;
    auto c = std::make_unique<child>();
    typename topic_registry<T>::subscribe_options how;
    how.priority = priority_;
    c->listener = to.subscribe(forward(*this, std::move(mine), std::move(gate)), std::move(how));
    this->add(std::move(c));
  }

 private:
  class forward {
   public:
    forward(topic_listener& to, part&& mine, std::shared_ptr<retained_gate<T>>&& gate) noexcept
        : to_(&to), gate_(std::move(gate)), part_(std::move(mine)) {}

    void operator()(const T& message, const retained_pointer<T>* retained) const {
      if (gate_ != nullptr && retained != nullptr && !gate_->passes(*retained)) return;
      to_->call(message);
    }

   private:
    topic_listener* to_;
    std::shared_ptr<retained_gate<T>> gate_;
    part part_;  // the last one to be destroyed may take *to_ with it
  };

  const int priority_;
};

/// The same, with the callable.
template <class T, class F>
class topic_callback final : public topic_listener<T> {
 public:
  topic_callback(F&& f, topic_subscribe_options<T>&& how)
      : topic_listener<T>(how.priority), held_(std::in_place, std::move(f), std::move(how)) {}

  void call(const T& message) override {
    if (this->is_blocked()) return;
    const topic_subscribe_options<T>& how = held_->how;
    std::shared_ptr<const void> alive;
    if (how.lifetime) {
      alive = how.lifetime.lock();
      if (alive == nullptr) return this->disconnect();
    }
    if (how.filter && !how.filter(message)) return;
    if (how.one_shot && !this->disconnect_once()) return;
    static_cast<void>(held_->f(message));
  }

 private:
  struct held {
    held(F&& callable, topic_subscribe_options<T>&& options)
        : f(std::move(callable)), how(std::move(options)) {}
    F f;
    const topic_subscribe_options<T> how;
  };

  void drop() noexcept override { held_.reset(); }

  std::optional<held> held_;
};

/// A callable that is called by a topic's registry without anything between.
template <class T, class F>
struct bare_topic_callback {
  F f;
  void operator()(const T& message, const retained_pointer<T>*) { static_cast<void>(f(message)); }
};

}  // namespace detail

}  // namespace millrace
