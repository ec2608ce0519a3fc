// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/callback/callback_errors.hpp>
#include <millrace/callback/callback_registry.hpp>
#include <millrace/callback/subscribe_options.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/detail/macros.hpp>

namespace millrace {

/// For callback_registry<void(Args...), single_threaded>: all that belongs to the registry is used by one thread.
struct single_threaded {};

namespace detail {

/// One callback of a single-threaded registry.
class local_listener : public subscription_state {
  // connected --disconnect()--> disconnected --no call of it is in progress--> ended: the callable is destroyed,
  // and who waits for closed() is woken. The list lets go of it when no publication is in progress.

 public:
  explicit local_listener(int priority) noexcept : priority_(priority) {}

  void disconnect() noexcept override {
    if (!is_connected_) return;
    is_connected_ = false;
    this->retain();
    if (calls_ == 0) end();
    this->release();
  }
  bool can_wait() const noexcept override { return calls_ == 0 && !this->is_inside(); }
  void wait() noexcept override {}
  bool set_blocked(bool blocked) noexcept override {
    if (is_connected_) is_blocked_ = blocked;
    return is_connected_;
  }

  bool is_connected() const noexcept { return is_connected_; }
  bool is_called() const noexcept { return is_connected_ && !is_blocked_; }
  int priority() const noexcept { return priority_; }

  void enter() noexcept { ++calls_; }
  void leave() noexcept {
    if (--calls_ == 0 && !is_connected_) end();
  }

 protected:
  /// Destroys the callable.
  virtual void drop() noexcept = 0;
  bool is_dropped() const noexcept { return is_dropped_; }

 private:
  void end() noexcept {
    is_dropped_ = true;
    {
      const inside here(*this);  // the callable may own the subscription
      drop();
    }
    this->close();
  }

  const int priority_;
  unsigned calls_ = 0;
  bool is_connected_ = true;
  bool is_blocked_ = false;
  bool is_dropped_ = false;
};

}  // namespace detail

/// As callback_registry, with the same order and the same promises about what callbacks may do, for one thread: a
/// plain loop, with no fence and no lock.
///
/// Threads     one. Only closed() may be awaited on another executor.
/// Errors      as callback_registry; publish() allocates nothing.
/// Complexity  publish() is linear. A disconnected callback is taken off the list by the next publication or
///             subscription; its callable is destroyed at once, or when its call has returned.
/// Lifetime    the destructor disconnects all, and may run inside a callback. Subscriptions may outlive it.
template <class R, class... Args>
class basic_callback_registry<R(Args...), single_threaded> {
  static_assert(detail::signature_requirements<R, Args...>::met);

  class listener : public detail::local_listener {
   public:
    using local_listener::local_listener;
    virtual void call(detail::passed_argument<Args>... args) = 0;
  };

  template <class F>
  class holder : public listener {
   public:
    holder(F&& f, int priority) : listener(priority), f_(std::move(f)) {}
    ~holder() override {
      if (!this->is_dropped()) drop();
    }
    void call(detail::passed_argument<Args>... args) override {
      static_cast<void>(f_(static_cast<detail::passed_argument<Args>>(args)...));
    }

   private:
    void drop() noexcept override { f_.~F(); }

    union {
      F f_;
    };
  };

  /// One that is asked first whether it wants to be called.
  template <class F>
  class choosy final : public holder<F> {
   public:
    choosy(F&& f, millrace::subscribe_options<void(Args...)>&& how)
        : holder<F>(std::move(f), how.priority), how_(std::move(how)) {}
    void call(detail::passed_argument<Args>... args) override {
      std::shared_ptr<const void> alive;
      if (how_.lifetime) {
        alive = how_.lifetime.lock();
        if (alive == nullptr) return this->disconnect();
      }
      if (how_.filter && !how_.filter(static_cast<detail::passed_argument<Args>>(args)...)) return;
      if (!this->is_connected()) return;  // by the filter
      if (how_.one_shot) this->disconnect();
      holder<F>::call(static_cast<detail::passed_argument<Args>>(args)...);
    }

   private:
    const millrace::subscribe_options<void(Args...)> how_;
  };

  /// Lives as long as the registry, and the publications in progress.
  class state {
   public:
    explicit state(callback_registry_options&& o) : options_(std::move(o)) {}

    void add(listener& l) {
      if (all_.size() == all_.capacity()) tidy();
      all_.push_back(&l);
      if (publications_ == 0) {
        sort(all_.size() - 1);
      } else {
        is_sorted_ = false;
      }
    }

    /// Those that are there when it begins. *this may be gone when it returns.
    MILLRACE_ALWAYS_INLINE void publish(detail::thrown_errors& errors,
                                        detail::passed_argument<Args>... args) noexcept {
      ++publications_;
      const std::size_t count = all_.size();
      bool is_sparse = false;
      for (std::size_t i = 0; i < count; ++i) {
        listener& l = *all_[i];
        if (!l.is_called()) [[unlikely]] {
          is_sparse |= !l.is_connected();
          continue;
        }
        l.enter();
        try {
          l.call(static_cast<detail::passed_argument<Args>>(args)...);
        } catch (...) {
          errors.caught(options_);
        }
        l.leave();
      }
      leave(is_sparse);
    }

    void close() noexcept {
      is_over_ = true;
      ++publications_;
      for (std::size_t i = 0; i < all_.size(); ++i) all_[i]->disconnect();
      leave(true);
    }

   private:
    void leave(bool is_sparse) noexcept {
      if (--publications_ != 0) return;
      if (is_sparse || is_over_) tidy();
      if (!is_sorted_) sort(1);
      if (is_over_) delete this;
    }
    /// Lets go of those that are disconnected.
    void tidy() noexcept {
      if (publications_ != 0) return;
      std::size_t kept = 0;
      for (listener* const l : all_) {
        if (l->is_connected()) {
          all_[kept++] = l;
        } else {
          l->release();
        }
      }
      all_.resize(kept);
    }
    /// Those from there on are where they came, not where they belong.
    void sort(std::size_t from) noexcept {
      for (std::size_t i = from; i < all_.size(); ++i) {
        listener* const l = all_[i];
        std::size_t at = i;
        for (; at != 0 && all_[at - 1]->priority() < l->priority(); --at) all_[at] = all_[at - 1];
        all_[at] = l;
      }
      is_sorted_ = true;
    }

    std::vector<listener*> all_;
    const callback_registry_options options_;
    std::size_t publications_ = 0;
    bool is_over_ = false;
    bool is_sorted_ = true;
  };

 public:
  using options = callback_registry_options;
  using subscribe_options = millrace::subscribe_options<void(Args...)>;

  basic_callback_registry() : basic_callback_registry(options()) {}
  explicit basic_callback_registry(options o) : state_(new state(std::move(o))) {}
  basic_callback_registry(const basic_callback_registry&) = delete;
  basic_callback_registry& operator=(const basic_callback_registry&) = delete;
  ~basic_callback_registry() { state_->close(); }

  template <class F>
  subscription subscribe(F f) {
    static_assert(detail::callback_requirements<F, detail::passed_argument<Args>...>::met);
    return add(std::make_unique<holder<F>>(std::move(f), 0));
  }
  /// One of higher priority than others, subscribed inside a callback, takes its place after the publication.
  template <class F>
  subscription subscribe(F f, subscribe_options how) {
    static_assert(detail::callback_requirements<F, detail::passed_argument<Args>...>::met);
    if (!how.one_shot && !how.filter && !how.lifetime) {
      return add(std::make_unique<holder<F>>(std::move(f), how.priority));
    }
    return add(std::make_unique<choosy<F>>(std::move(f), std::move(how)));
  }

  void publish(detail::passed_argument<Args>... args) const {
    detail::thrown_errors errors;
    state_->publish(errors, static_cast<detail::passed_argument<Args>>(args)...);
    errors.rethrow();
  }

 private:
  template <class Listener>
  subscription add(std::unique_ptr<Listener> l) {
    state_->add(*l);
    return subscription(l.release());
  }

  state* const state_;
};

}  // namespace millrace
