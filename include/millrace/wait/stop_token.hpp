// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <concepts>
#include <type_traits>
#include <utility>
#include <version>

#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

#include <millrace/detail/backoff.hpp>
#include <millrace/detail/intrusive_list.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/detail/spin_lock.hpp>

namespace millrace {

namespace detail {

template <class Traits>
class stop_slot;

}  // namespace detail

/// What a stop source calls when a stop is requested: fire(node), once, on the thread that requests it.
/// Intrusive: whoever adds it owns it. fire may destroy it.
template <class Traits>
struct stop_node {
  stop_node* next;  // the source's; the node itself: it is not listed
  union {
    stop_node* previous;                 // the source's, while listed
    detail::stop_slot<Traits>* entered;  // else its owner's: the slot that it enters instead
  };
  void (*fire)(stop_node*) noexcept;
  [[no_unique_address]] typename Traits::probe probe;

  stop_node() noexcept : next(this) {}  // leaves the others unset
  stop_node(const stop_node&) = delete;
  stop_node& operator=(const stop_node&) = delete;
};

template <class Traits, class F>
class basic_stop_callback;
template <class Traits>
class basic_stop_source;

namespace detail {

/// Whether a stop was requested, and whom to tell.
template <class Traits>
class stop_state {
  // The state:  running --request_stop--> firing, while there are listed nodes --> stopped
  //   stopped_   false in the first; never false again
  //   thread_    the thread that fires, in the second; else null
  //
  // A node: its owner --add, while running--> listed --remove--> its owner
  //                                            listed --request_stop--> fired, in running_
  //         fired --its fire() has returned, or it removes itself inside it--> its owner
  // A stopped state lists nobody again, so running_ names each address once at most. Unlinked, the node
  // belongs to its fire(): nothing here touches it again, and running_ is only compared.
  //
  // All but stopped_ is guarded by lock_, so that what precedes add() happens-before fire(), and fire()
  // happens-before the return of the remove() that waited for it.
  //
  // E1  request_stop -> whoever sees it   what precedes the request.

 public:
  stop_state() noexcept = default;
  stop_state(const stop_state&) = delete;
  stop_state& operator=(const stop_state&) = delete;

  ~stop_state() {
    backoff<Traits> pause;
    while (is_firing()) pause();
    assert(list_.empty() && "millrace: a stop_source outlives its callbacks");
  }

  bool stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }  // E1 observe

  bool request_stop() noexcept {
    if (stopped()) return false;
    bool gone = false;
    bool is_fenced = false;
    {
      const lock_guard guard(lock_);
      if (stopped_.load(std::memory_order_relaxed)) return false;  // relaxed: written under the lock
      stopped_.store(true, std::memory_order_release);             // E1 publish
      thread_ = &Traits::this_thread();
      gone_ = &gone;
      is_fenced = is_fenced_;
    }
    if (is_fenced) Traits::fence::heavy();
    while (stop_node<Traits>* const node = next()) {
      node->fire(node);  // the node may be gone from here on, and *this if `gone` says so
      if (gone) break;
    }
    return true;
  }

  /// A fenced node's owner asks stopped() after a light fence: so fire() sees what it stored before that, or
  /// it sees the stop.
  bool add(stop_node<Traits>& node, bool is_fenced) noexcept {
    const lock_guard guard(lock_);
    if (stopped_.load(std::memory_order_relaxed)) return false;  // relaxed: written under the lock
    probe_.write();
    node.probe.write();
    is_fenced_ |= is_fenced;
    list_.push_back(node);
    return true;
  }

  void remove(stop_node<Traits>& node) noexcept {
    backoff<Traits> pause;
    while (!is_removed(node)) pause();
  }

 private:
  /// The next node to fire, unlinked; null, and the last touch of *this: there is none.
  stop_node<Traits>* next() noexcept {
    const lock_guard guard(lock_);
    probe_.write();
    if (list_.empty()) {
      running_ = nullptr;
      thread_ = nullptr;
      return nullptr;
    }
    stop_node<Traits>& node = list_.pop_front();
    node.probe.write();
    node.next = &node;
    running_ = &node;
    return running_;
  }

  /// False: another thread is inside its fire().
  bool is_removed(stop_node<Traits>& node) noexcept {
    const lock_guard guard(lock_);
    probe_.write();
    if (running_ == &node) {
      if (thread_ != &Traits::this_thread()) return false;
      running_ = nullptr;  // what is left of that fire() is not the node's: nobody is to wait for it
      return true;
    }
    node.probe.write();
    if (node.next == &node) return true;
    list_.remove(node);
    node.next = &node;
    return true;
  }

  /// Whether another thread is about to look for nodes once more. Told by the thread itself, from inside
  /// a fire(), that thread will not.
  bool is_firing() noexcept {
    const lock_guard guard(lock_);
    probe_.write();
    if (thread_ == nullptr) return false;
    if (thread_ != &Traits::this_thread()) return true;
    *gone_ = true;
    return false;
  }

  typename Traits::template atomic<bool> stopped_{false};
  spin_lock<Traits> lock_;
  intrusive_list<stop_node<Traits>> list_;
  stop_node<Traits>* running_ = nullptr;
  bool is_fenced_ = false;  // one node, at least, that was ever listed
  const void* thread_ = nullptr;
  bool* gone_ = nullptr;  // the firing thread's
  [[no_unique_address]] typename Traits::probe probe_;
};

}  // namespace detail

/// Tells whether a stop was requested of a source. One pointer; empty by default.
///
/// Threads     as the source.
/// Lifetime    the source outlives it.
template <class Traits>
class basic_stop_token {
 public:
  template <class F>
  using callback_type = basic_stop_callback<Traits, F>;

  constexpr basic_stop_token() noexcept = default;

  MILLRACE_ALWAYS_INLINE bool stop_requested() const noexcept {
    return state_ != nullptr && state_->stopped();
  }
  /// Whether it has a source: an empty token is never told to stop.
  bool stop_possible() const noexcept { return state_ != nullptr; }

  /// Lists the node, to be fired by request_stop(). False: a stop was requested before; the node is
  /// not listed and nothing is called.
  bool add(stop_node<Traits>& node) const noexcept { return add(node, false); }

  /// Takes the node off the list, where it is on it. When this returns, its fire() is not running and
  /// never will: if another thread is inside it, this waits. From inside that very fire() it returns
  /// at once, and the node may be destroyed. Fired or refused nodes may be removed too.
  void remove(stop_node<Traits>& node) const noexcept {
    if (state_ != nullptr) state_->remove(node);
  }

  friend constexpr bool operator==(basic_stop_token a, basic_stop_token b) noexcept {
    return a.state_ == b.state_;
  }

 private:
  friend basic_stop_source<Traits>;
  friend detail::stop_slot<Traits>;

  bool add(stop_node<Traits>& node, bool is_fenced) const noexcept {
    return state_ == nullptr || state_->add(node, is_fenced);
  }
  explicit constexpr basic_stop_token(detail::stop_state<Traits>* state) noexcept : state_(state) {}

  detail::stop_state<Traits>* state_ = nullptr;
};

/// Where a stop is requested, once, for all that hold its tokens.
///
/// Threads     any thread may call anything. Callbacks run on the thread that calls request_stop(), one
///             after the other in the order in which they came, under no lock: they may do as they
///             like, also add and remove callbacks, or destroy their own.
/// Progress    asking is wait-free; adding and removing take a spin lock for a few instructions. A
///             removal waits, yielding, while another thread is inside the callback that it removes.
/// Ordering    what precedes request_stop() happens-before the callbacks, and before what follows a
///             stop_requested() that says true.
/// Complexity  constant; allocates nothing.
/// Lifetime    outlives its tokens and callbacks. Once they are gone it may go, although request_stop()
///             has not returned: from inside the last callback; or on another thread, where the
///             destructor waits.
template <class Traits>
class basic_stop_source {
 public:
  basic_stop_source() noexcept = default;
  basic_stop_source(const basic_stop_source&) = delete;
  basic_stop_source& operator=(const basic_stop_source&) = delete;

  /// True for the call that made it stop; the callbacks have run when that returns.
  bool request_stop() noexcept { return state_.request_stop(); }
  bool stop_requested() const noexcept { return state_.stopped(); }
  bool stop_possible() const noexcept { return true; }
  basic_stop_token<Traits> token() const noexcept { return basic_stop_token<Traits>(&state_); }

  friend bool operator==(const basic_stop_source& a, const basic_stop_source& b) noexcept { return &a == &b; }

 private:
  mutable detail::stop_state<Traits> state_;
};

/// Calls f() once if a stop is requested while it lives: at once, in the constructor, where one was
/// before. f must not throw.
///
/// Lifetime   the destructor waits while another thread is inside f; f itself may destroy it.
template <class Traits, class F>
class [[nodiscard]] basic_stop_callback : private stop_node<Traits> {
  static_assert(std::invocable<F>, "millrace: a stop callback is called with no argument");

 public:
  using callback_type = F;

  template <class G>
    requires std::constructible_from<F, G>
  explicit basic_stop_callback(basic_stop_token<Traits> token,
                               G&& f) noexcept(std::is_nothrow_constructible_v<F, G>)
      : token_(token), f_(std::forward<G>(f)) {
    this->fire = &call;
    if (!token_.add(*this)) {
      token_ = {};
      call(this);  // *this may be gone
    }
  }
  basic_stop_callback(const basic_stop_callback&) = delete;
  basic_stop_callback& operator=(const basic_stop_callback&) = delete;
  ~basic_stop_callback() { token_.remove(*this); }

 private:
  static void call(stop_node<Traits>* node) noexcept {
    std::forward<F>(static_cast<basic_stop_callback*>(node)->f_)();
  }

  basic_stop_token<Traits> token_;
  [[no_unique_address]] F f_;
};

template <class Traits, class F>
basic_stop_callback(basic_stop_token<Traits>, F) -> basic_stop_callback<Traits, F>;

struct default_traits;
using stop_source = basic_stop_source<default_traits>;
using stop_token = basic_stop_token<default_traits>;
template <class F>
using stop_callback = basic_stop_callback<default_traits, F>;

/// The type of a callback F of a Token: Token::callback_type<F>, or what the standard has for its own.
template <class Token, class F>
struct stop_callback_for {};

template <class Token, class F>
  requires requires { typename Token::template callback_type<F>; }
struct stop_callback_for<Token, F> {
  using type = typename Token::template callback_type<F>;
};

#if defined(__cpp_lib_jthread)
template <std::same_as<std::stop_token> Token, class F>
  requires(!requires { typename Token::template callback_type<F>; })
struct stop_callback_for<Token, F> {
  using type = std::stop_callback<F>;
};
#endif

template <class Token, class F>
using stop_callback_for_t = typename stop_callback_for<Token, F>::type;

/// What .with() takes: millrace's token, the standard's, and others of that kind.
template <class Token>
concept stoppable_token =
    std::copyable<Token> && std::equality_comparable<Token> && requires(const Token& token) {
      { token.stop_requested() } noexcept -> std::same_as<bool>;
      { token.stop_possible() } noexcept -> std::same_as<bool>;
      typename stop_callback_for_t<Token, void (*)() noexcept>;
    };

}  // namespace millrace
