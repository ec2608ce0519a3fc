// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <millrace/callback/callback_errors.hpp>
#include <millrace/callback/listener.hpp>
#include <millrace/callback/listener_list.hpp>
#include <millrace/callback/next_waiters.hpp>
#include <millrace/callback/subscribe_options.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/detail/atomic.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

namespace detail {

/// The message, where callbacks take one; else void.
template <class... Args>
struct only_message {
  using type = void;
};
template <class Message>
struct only_message<Message> {
  using type = std::remove_cvref_t<Message>;
};

}  // namespace detail

template <class Signature, class Traits>
class basic_callback_registry {
  static_assert(!std::same_as<Signature, Signature>,
                "millrace: a callback_registry is told what its callbacks take: "
                "callback_registry<void(const Message&)>");
};

/// Callbacks that are all called with what is published.
///
/// Threads     any thread may call anything, from inside a callback too; it is destroyed when nobody else uses it.
/// Progress    publish() takes no lock, and writes no word that two publishers share: the more threads
///             publish, the more is published. It is wait-free but for the callbacks; the first time that a
///             thread publishes, and the first that it does so inside so many callbacks, allocates. Where somebody
///             waits for it (see next), it takes a spin lock for a few instructions. Subscribing and disconnecting
///             take one, too. No user code runs under it.
/// Ordering    callbacks of higher priority come first, else those that were subscribed earlier. One that is
///             disconnected during a publication is not called later in it; one that is subscribed
///             during it is called from the next one on. What precedes subscribe() happens-before the calls;
///             the calls happen-before the return of disconnect_and_wait(), and the destruction of the
///             callback.
/// Errors      publish(): what callbacks throw goes where callback_registry_options say, after all were
///             called; std::bad_alloc, with nothing called, the first time that it allocates. subscribe():
///             std::bad_alloc, or what moving the callback throws, with nothing done.
/// Complexity  publish(): linear; no allocation. subscribe() and disconnect(): constant, amortised; but linear for a
///             priority that is higher than that of others. One allocation for a callback: about 120 bytes beside
///             itself.
/// Lifetime    the destructor disconnects all, and ends the waits for what is published next. It may run
///             inside a callback of this registry. Subscriptions may outlive it. A callback is destroyed as
///             soon as somebody has waited for its end (~subscription, disconnect_and_wait(), closed()), or
///             with the registry; otherwise when 64 others, or as many as are connected, were disconnected too.
template <class R, class... Args, class Traits>
class basic_callback_registry<R(Args...), Traits> {
  static_assert(detail::signature_requirements<R, Args...>::met);

  using listener = detail::listener<Traits>;
  using call_type = void (*)(listener&, detail::passed_argument<Args>...);

  struct state final : detail::listener_list<Traits> {
    explicit state(callback_registry_options&& o) : options(std::move(o)) {
      this->discard = [](detail::retired* self) noexcept {
        auto* const s = static_cast<state*>(self);
        s->~state();
        Traits::deallocate(s, alignof(state));
      };
    }
    ~state() = default;
    const callback_registry_options options;
  };

  /// The listener of a callable that is called as it is.
  template <class F, class Self>
  class holder : public listener {
   public:
    template <class... More>
    static Self* make(state& list, F&& f, int priority, More&&... more) {
      void* const memory = Traits::allocate(sizeof(Self), alignof(Self));
      try {
        return ::new (memory) Self(list, std::move(f), priority, std::forward<More>(more)...);
      } catch (...) {
        Traits::deallocate(memory, alignof(Self));
        throw;
      }
    }

   protected:
    holder(state& list, F&& f, int priority)
        : listener(list, erased(&Self::call), priority), f_(std::move(f)) {}
    ~holder() override {
      if (!this->is_dropped()) drop();
    }

    static typename listener::call_type erased(call_type how) noexcept {
      return reinterpret_cast<typename listener::call_type>(how);
    }
    static void skip(listener&, detail::passed_argument<Args>...) {}
    typename listener::call_type callable(bool is_blocked) const noexcept override {
      return erased(is_blocked ? &skip : &Self::call);
    }
    void drop() noexcept override { f_.~F(); }
    void destroy() noexcept override {
      auto* const self = static_cast<Self*>(this);
      self->~Self();
      Traits::deallocate(self, alignof(Self));
    }

    union {
      F f_;
    };
  };

  template <class F>
  class plain final : public holder<F, plain<F>> {
   public:
    using holder<F, plain>::holder;
    ~plain() override = default;
    static void call(listener& self, detail::passed_argument<Args>... args) {
      static_cast<void>(static_cast<plain&>(self).f_(static_cast<detail::passed_argument<Args>>(args)...));
    }
  };

 public:
  using value_type = typename detail::only_message<Args...>::type;  ///< the message; void: not one

  using options = callback_registry_options;
  using subscribe_options = millrace::subscribe_options<void(Args...)>;

  basic_callback_registry() : basic_callback_registry(options()) {}
  explicit basic_callback_registry(options o)
      : state_(::new(Traits::allocate(sizeof(state), alignof(state))) state(std::move(o))) {}
  basic_callback_registry(const basic_callback_registry&) = delete;
  basic_callback_registry& operator=(const basic_callback_registry&) = delete;
  ~basic_callback_registry() {
    work_list waited;
    state_->waiters().close(waited);
    state_->close();
    while (!waited.empty()) wake_later(waited.pop_front());
  }

  /// From now on f(args...) is called by each publication, on the publishing thread, as long as the subscription
  /// lives; by several threads at the same time where they publish. What f returns is dropped.
  template <class F>
  basic_subscription<Traits> subscribe(F f) {
    static_assert(detail::callback_requirements<F, detail::passed_argument<Args>...>::met);
    return add(plain<F>::make(*state_, std::move(f), 0));
  }
  template <class F>
  basic_subscription<Traits> subscribe(F f, subscribe_options how) {
    static_assert(detail::callback_requirements<F, detail::passed_argument<Args>...>::met);
    if (!how.one_shot && !how.filter && !how.lifetime) {
      return add(plain<F>::make(*state_, std::move(f), how.priority));
    }
    return add(choosy<F>::make(*state_, std::move(f), how.priority, std::move(how)));
  }

  /// Calls all callbacks.
  void publish(detail::passed_argument<Args>... args) const {
    if (state_->seems_to_have_one()) {
      publish_to_only(args...);
    } else {
      publish_to_all(args...);
    }
  }

 private:
  friend detail::next_access;
  detail::next_waiters<Traits>& waiters() const noexcept { return state_->waiters(); }

  MILLRACE_ALWAYS_INLINE static void call(const state& all, detail::thrown_errors& errors,
                                          typename listener::call_type how, listener& to,
                                          detail::passed_argument<Args>... args) noexcept {
    try {
      reinterpret_cast<call_type>(how)(to, args...);
    } catch (...) {
      errors.caught(all.options);
    }
  }

  // Neither is inlined: who publishes may be a coroutine (see this_thread_context_inlined).
  MILLRACE_NOINLINE void publish_to_only(detail::passed_argument<Args>... args) const {
    detail::thrown_errors errors;
    const state* const all = state_;
    const bool is_done = all->emit_to_only([&](typename listener::call_type how, listener& to) noexcept {
      call(*all, errors, how, to, args...);
    });
    if (!is_done) return publish_to_all(args...);
    errors.rethrow();
  }
  MILLRACE_NOINLINE void publish_to_all(detail::passed_argument<Args>... args) const {
    detail::thrown_errors errors;
    const state* const all = state_;
    all->emit([&](auto& waiters) noexcept { serve(waiters, args...); },
              [&](typename listener::call_type how, listener& to) noexcept {
                call(*all, errors, how, to, args...);
              });
    errors.rethrow();
  }

  MILLRACE_NOINLINE static void serve(detail::next_waiters<Traits>& all,
                                      detail::passed_argument<Args>... args) noexcept {
    work_list taken;
    all.take_all(taken);
    while (!taken.empty()) {
      work_item& w = taken.pop_front();
      auto& to = *static_cast<detail::next_slot<Args...>*>(static_cast<detail::waiter<Traits>&>(w).place);
      to.deliver(to, args...);
      wake_later(w);
    }
  }
  static void wake_later(work_item& w) noexcept {
    detail::emitters<Traits>::wake_later(static_cast<detail::waiter<Traits>&>(w));
  }

  /// The listener of one that is asked first whether it wants to be called.
  template <class F>
  class choosy final : public holder<F, choosy<F>> {
   public:
    choosy(state& list, F&& f, int priority, subscribe_options&& how)
        : holder<F, choosy>(list, std::move(f), priority), how_(std::move(how)) {}
    ~choosy() override = default;

    static void call(listener& l, detail::passed_argument<Args>... args) {
      auto& self = static_cast<choosy&>(l);
      const subscribe_options& how = self.how_;
      std::shared_ptr<const void> alive;
      if (how.lifetime) {
        alive = how.lifetime.lock();
        if (alive == nullptr) return self.disconnect();
      }
      if (how.filter && !how.filter(static_cast<detail::passed_argument<Args>>(args)...)) return;
      if (how.one_shot && !self.disconnect_once()) return;
      static_cast<void>(self.f_(static_cast<detail::passed_argument<Args>>(args)...));
    }

   private:
    const subscribe_options how_;
  };

  basic_subscription<Traits> add(listener* l) {
    try {
      state_->append(*l);
    } catch (...) {
      l->abandon();
      throw;
    }
    return basic_subscription<Traits>(l);
  }

  state* const state_;
};

template <class Signature, class Traits = default_traits>
using callback_registry = basic_callback_registry<Signature, Traits>;

}  // namespace millrace
