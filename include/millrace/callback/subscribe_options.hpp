// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include <millrace/callback/erased_function.hpp>

namespace millrace {

namespace detail {

/// Met, or an error that says why several callbacks cannot have this signature.
template <class R, class... Args>
struct signature_requirements {
  static_assert(std::is_void_v<R>,
                "millrace: nobody receives what callbacks return: callback_registry<void(...)>; let them "
                "answer through a reference that they are passed");
  static_assert(
      !(std::is_rvalue_reference_v<Args> || ...),
      "millrace: several callbacks cannot all take the same rvalue: take const T&, or T for a copy");
  static constexpr bool met = true;
};

/// Whether a callback can be called with these.
template <class F, class... Args>
struct callback_requirements {
  static_assert(
      std::invocable<F&, Args...>,
      "millrace: the callback cannot be called with what is published: for each argument T it takes "
      "const T& or T; T& only where the signature has T&");
  static constexpr bool met = true;
};

/// How a registry hands an argument to each of its callbacks: none may take it away from the next.
template <class Arg>
using passed_argument =
    std::conditional_t<std::is_lvalue_reference_v<Arg> || std::is_scalar_v<Arg>, Arg, const Arg&>;

}  // namespace detail

/// What a callback must not outlive: nothing, or what some shared_ptr owns.
///
/// Threads     any; it never changes.
class tracked_object {
 public:
  tracked_object() noexcept = default;
  /// An empty one has expired.
  template <class T>
  tracked_object(std::weak_ptr<T> object) noexcept : object_(std::move(object)), is_tracked_(true) {}
  template <class T>
  tracked_object(const std::shared_ptr<T>& object) noexcept : object_(object), is_tracked_(true) {}

  /// Whether there is something that may expire.
  explicit operator bool() const noexcept { return is_tracked_; }
  bool expired() const noexcept { return is_tracked_ && object_.expired(); }
  /// Holds it. Null: it has expired.
  std::shared_ptr<const void> lock() const noexcept { return object_.lock(); }

 private:
  std::weak_ptr<const void> object_;
  bool is_tracked_ = false;
};

template <class Signature>
struct subscribe_options;

/// How a callback is called; only who asks for something pays for it.
template <class... Args>
struct subscribe_options<void(Args...)> {
  int priority = 0;  ///< higher ones are called first; those of the same, in the order of subscription
  bool one_shot =
      false;  ///< called once, then disconnected; also where several threads publish at the same time
  /// The callback is called where this says true. A one_shot waits for that.
  erased_function<bool(detail::passed_argument<Args>...)> filter{};
  /// Held while the callback runs; once it has expired, the callback is disconnected instead of called.
  tracked_object lifetime{};
};

}  // namespace millrace
