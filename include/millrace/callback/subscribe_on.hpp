// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <millrace/callback/callback_registry.hpp>
#include <millrace/callback/erased_function.hpp>
#include <millrace/callback/message_bus.hpp>
#include <millrace/callback/on_message.hpp>
#include <millrace/callback/published_message.hpp>
#include <millrace/callback/subscribe_options.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/callback/topic.hpp>
#include <millrace/callback/topic_subscription.hpp>
#include <millrace/detail/atomic.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/task/awaitable.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/trampoline.hpp>

namespace millrace {

template <class Signature>
struct subscribe_on_options;

/// How a callback is called on an executor.
template <class... Args>
struct subscribe_on_options<void(Args...)> {
  std::size_t capacity = 256;  ///< how many messages may wait for the callback
  /// What becomes of a message where so many wait: it takes the place of the oldest; or (reject) it is missed
  /// itself; or (wait) publish() blocks until there is room.
  overflow_policy overflow = overflow_policy::displace_oldest;
  std::size_t concurrency = 1;  ///< how many calls of the callback may run at the same time
  int priority = 0;             ///< when the message is queued, among the callbacks of the same publication
  /// Called by the publisher: only messages where this says true are copied.
  erased_function<bool(detail::passed_argument<Args>...)> filter{};
  /// Held while the callback runs; once it has expired, the callback is disconnected instead of called.
  tracked_object lifetime{};
};

namespace detail {

/// What a queued_subscription holds on to.
class queued_state : public topic_subscription {
 public:
  virtual std::size_t lag() const noexcept = 0;
  std::uint64_t missed() const noexcept {
    return missed_.load(std::memory_order_relaxed);  // relaxed: a count; who has waited for the end has all
  }

  void wait() noexcept override {
    static_cast<void>(operation<closed_step<traits>>(std::in_place_type<closed_step<traits>>, this).wait());
  }
  bool set_blocked(bool) noexcept override { return false; }

 protected:
  void miss(std::uint64_t n) noexcept {
    missed_.fetch_add(n, std::memory_order_relaxed);  // relaxed: a count
  }

 private:
  traits::atomic<std::uint64_t> missed_{0};
};

/// A queue between the publishers and a callback on an executor.
template <class F, class... Args>
class queued_delivery final : public queued_state {
  // Two parts (see topic_subscription): what the registry calls, which pushes, and what on_message calls,
  // which calls f. Each message that is pushed comes out once: to f, or to be missed.
  //
  // When the registry is gone, its part closes the queue, and f is given what is left. Where this is
  // disconnected, f is given what was taken for it before, and disconnect() drains the queue. It has a part
  // meanwhile, so that all that was missed is counted before anybody is told that it is closed. What is
  // pushed after that finds the queue closed.

 public:
  using message = published_message<Args...>;
  using options = subscribe_on_options<void(Args...)>;

  queued_delivery(F&& f, options&& how)
      : overflow_(how.overflow),
        held_(std::in_place, std::move(f), std::move(how)),
        queue_(held_->how.capacity, queue_options_of(*this)) {}

  void disconnect() noexcept override {
    const part mine = this->another_part();
    if (!mine || !this->disconnect_once()) return;
    this->miss(queue_.close_and_drain(nowhere()));
  }
  std::size_t lag() const noexcept override { return queue_.size_approx(); }

  /// For who has just made it: subscribes to what attach(f, priority) subscribes f to. Where it throws,
  /// nothing has been posted to the executor.
  template <executor E, class Attach>
  void begin(E& home, Attach attach) {
    const part first = this->first_part();
    const std::size_t concurrency = held_->how.concurrency;
    auto publishers = std::make_unique<child>();
    auto consumer = std::make_unique<child>();
    publishers->listener = attach(pusher(*this), held_->how.priority);
    consumer->listener = on_message(queue_, home, caller(*this), {.concurrency = concurrency});
    this->add(std::move(publishers));
    this->add(std::move(consumer));
    this->settle();  // f may have been disconnected already
  }

 private:
  struct held {
    held(F&& callable, options&& o) : f(std::move(callable)), how(std::move(o)) {}
    F f;
    const options how;
  };
  struct nowhere {
    nowhere& operator*() noexcept { return *this; }
    nowhere& operator++() noexcept { return *this; }
    void operator=(message&&) noexcept {}
  };

  class pusher {
   public:
    explicit pusher(queued_delivery& to) noexcept : to_(&to), part_(to.another_part()) {}
    pusher(pusher&&) noexcept = default;
    pusher& operator=(pusher&&) = delete;
    ~pusher() {
      if (part_) to_->queue_.close();
    }
    void operator()(passed_argument<Args>... args) const {
      const options& how = to_->held_->how;
      if (how.filter && !how.filter(static_cast<passed_argument<Args>>(args)...)) return;
      to_->push(message(args...));
    }

   private:
    queued_delivery* to_;
    part part_;  // the last one to be destroyed may take *to_ with it
  };

  class caller {
   public:
    explicit caller(queued_delivery& of) noexcept : of_(&of), part_(of.another_part()) {}
    void operator()(message&& m) const { of_->call(std::move(m)); }

   private:
    queued_delivery* of_;
    part part_;  // as above
  };

  static queue_options<message> queue_options_of(queued_delivery& self) noexcept {
    queue_options<message> how;
    how.on_undelivered = [](void* user, message&&) noexcept {  // displaced
      static_cast<queued_delivery*>(user)->miss(1);
    };
    how.user = &self;
    how.overflow = self.overflow_;
    return how;
  }

  void push(message&& m) noexcept {
    if (overflow_ == overflow_policy::wait) {
      assert(!trampoline<traits>::active() &&
             "millrace: who publishes to a callback with overflow_policy::wait may have to wait, so not "
             "inside a "
             "coroutine, or other work of an executor: the callback can be queued behind it on this thread");
      if (!queue_.push(std::move(m)).wait()) this->miss(1);
    } else if (queue_.try_push(std::move(m)) != op_status::ok) {
      this->miss(1);
    }
  }

  void call(message&& m) {
    const typename queued_state::inside here(*this);
    std::shared_ptr<const void> alive;
    if (held_->how.lifetime) {
      alive = held_->how.lifetime.lock();
      if (alive == nullptr) {
        this->miss(1);
        return disconnect();
      }
    }
    if constexpr (sizeof...(Args) == 1) {
      static_cast<void>(held_->f(std::move(m)));
    } else {
      std::apply(held_->f, std::move(m));
    }
  }

  void drop() noexcept override { held_.reset(); }

  const overflow_policy overflow_;
  std::optional<held> held_;
  bounded_queue<message> queue_;
};

}  // namespace detail

/// The registration of a callback that is called on an executor: a subscription that tells how far behind it
/// is.
///
/// Threads     as subscription; missed() and lag() by any, as long as it is not moved or destroyed.
/// Lifetime    as subscription: the destructor disconnects, and waits.
class queued_subscription {
 public:
  queued_subscription() noexcept = default;
  explicit queued_subscription(detail::queued_state* state) noexcept : held_(state), state_(state) {}
  queued_subscription(queued_subscription&& other) noexcept
      : held_(std::move(other.held_)), state_(std::exchange(other.state_, nullptr)) {}
  queued_subscription& operator=(queued_subscription&& other) noexcept {
    queued_subscription ended(std::move(*this));
    held_ = std::move(other.held_);
    state_ = std::exchange(other.state_, nullptr);
    return *this;
  }

  /// As a subscription that does not tell.
  operator subscription() && noexcept {
    state_ = nullptr;
    return std::move(held_);
  }

  /// How many messages it was not called with, and will not be: those for which there was no room, and those
  /// that were still queued when it was disconnected. Exact once it is closed.
  std::uint64_t missed() const noexcept { return state_ == nullptr ? 0 : state_->missed(); }

  /// A snapshot: how many messages wait for the callback; the one that the executor is about to call it with
  /// is not among them.
  std::size_t lag() const noexcept { return state_ == nullptr ? 0 : state_->lag(); }

  /// The callback is not called any more, but with the message that the executor may already have been
  /// given for it; what is queued is destroyed. Publishers that wait for room go on. Never blocks.
  void disconnect() noexcept { held_.disconnect(); }
  /// As disconnect(), and neither the callback nor the filter runs after it has returned. False where it
  /// could not wait: it was called from inside this callback, or inside any callback of a registry. Not for a
  /// thread that runs an executor's work, unless nothing of this subscription can be queued behind it
  /// (checked in debug builds).
  bool disconnect_and_wait() noexcept { return held_.disconnect_and_wait(); }
  /// An operation: see subscription.
  [[nodiscard]] auto closed() const noexcept { return held_.closed(); }

 private:
  subscription held_;
  const detail::queued_state* state_ = nullptr;
};

namespace detail {

template <class... Args>
struct queued_subscriber {
  template <class F, executor E, class Attach>
  static queued_subscription subscribe(E& home, F&& f, subscribe_on_options<void(Args...)>&& how,
                                       Attach attach) {
    static_assert((std::copy_constructible<std::decay_t<Args>> && ...),
                  "millrace: what is queued is a copy, so what is published must have one: publish "
                  "std::shared_ptr<const T>");
    static_assert(
        std::invocable<F&, std::decay_t<Args>...>,
        "millrace: a callback on an executor is given copies that are its own: it takes const T&, T&& "
        "or T, not T&");
    static_assert(
        !awaitable<std::invoke_result_t<F&, std::decay_t<Args>...>>,
        "millrace: nobody awaits what a callback on an executor returns: where it is a coroutine, push what "
        "is published to a queue, and consume that with on_message");
    auto* const delivery = new queued_delivery<F, Args...>(std::move(f), std::move(how));
    queued_subscription s(delivery);
    delivery->begin(home, std::move(attach));
    return s;
  }
};

}  // namespace detail

/// From now on f is called on the executor `home` with copies of what is published, in the order in which
/// they were queued; the publisher only copies and queues them.
///
///   auto s = subscribe_on(registry, pool, [](Quote q) {...}, {.capacity = 1000});
///   if (s.lag() > 900) ...
///   log(s.missed());
///
/// Threads     publishers copy the arguments, and call the filter; the executor's threads call f.
/// Progress    publish() as the push of a bounded_queue that does not wait. With overflow_policy::wait it
///             blocks while the queue is full, and holds up the callbacks that come later, and the freeing of
///             what is disconnected elsewhere meanwhile: for publishers that have a thread of their own.
///             Inside a coroutine, or other work of an executor, it is an error to publish to it (checked in
///             debug builds), and inside f itself it would wait for ever.
/// Ordering    with concurrency 1, the messages of one publisher come in their order. What precedes publish()
///             happens-before the call.
/// Errors      std::invalid_argument on capacity or concurrency 0; std::bad_alloc. What the filter or a copy
///             throws goes where the registry's error policy says, and is not counted. f must not throw: that
///             ends the program.
/// Complexity  as on_message and bounded_queue: no allocation for a message.
/// Lifetime    the executor outlives the subscription. Where the registry is destroyed, f is still called
///             with what is queued, and then the subscription is closed. What is queued at disconnect() is
///             missed.
/// Use instead subscribe() where f is shorter than a copy and a queue, and may run on the publisher's thread;
///             on_message where others consume the same queue, or f is a coroutine.
template <class R, class... Args, executor E, class F>
[[nodiscard]] queued_subscription subscribe_on(basic_callback_registry<R(Args...), default_traits>& of,
                                               E& home, F f, subscribe_on_options<void(Args...)> how = {}) {
  return detail::queued_subscriber<Args...>::subscribe(
      home, std::move(f), std::move(how),
      [&](auto push, int priority) { return of.subscribe(std::move(push), {.priority = priority}); });
}
/// The same for a topic; a retained message is queued first.
template <class T, executor E, class F>
[[nodiscard]] queued_subscription subscribe_on(const topic<T>& of, E& home, F f,
                                               subscribe_on_options<void(const T&)> how = {}) {
  return detail::queued_subscriber<const T&>::subscribe(
      home, std::move(f), std::move(how),
      [&](auto push, int priority) { return of.subscribe(std::move(push), {.priority = priority}); });
}
/// The same for the topics of a bus: subscribe_on<Order>(bus, "orders/*", pool, f).
template <class T, executor E, class F>
[[nodiscard]] queued_subscription subscribe_on(message_bus& of, std::string_view pattern, E& home, F f,
                                               subscribe_on_options<void(const T&)> how = {}) {
  return detail::queued_subscriber<const T&>::subscribe(
      home, std::move(f), std::move(how), [&](auto push, int priority) {
        return of.subscribe<T>(pattern, std::move(push), {.priority = priority});
      });
}

}  // namespace millrace
