// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace millrace {

/// A callable of a known signature, empty by default: std::function without copies, and without <functional>.
///
/// Threads     as the callable.
/// Errors      std::bad_alloc. What the callable throws comes through.
/// Complexity  one allocation; a call is an indirect one.
template <class Signature>
class erased_function;

template <class R, class... Args>
class erased_function<R(Args...)> {
 public:
  erased_function() noexcept = default;

  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, erased_function> && std::is_invocable_r_v<R, F&, Args...>)
  erased_function(F f) : callable_(new holder<F>(std::move(f))) {}  // NOLINT: a callable is one

  explicit operator bool() const noexcept { return callable_ != nullptr; }

  /// Precondition: not empty.
  R operator()(Args... args) const { return callable_->call(std::forward<Args>(args)...); }

 private:
  struct base {
    base() noexcept = default;
    base(const base&) = delete;
    base& operator=(const base&) = delete;
    virtual ~base() = default;
    virtual R call(Args... args) = 0;
  };
  template <class F>
  struct holder final : base {
    explicit holder(F&& f) : callable(std::move(f)) {}
    R call(Args... args) override { return static_cast<R>(callable(std::forward<Args>(args)...)); }
    F callable;
  };

  std::unique_ptr<base> callable_;
};

}  // namespace millrace
