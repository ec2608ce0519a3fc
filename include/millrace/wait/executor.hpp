// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <type_traits>

#include <millrace/wait/work_item.hpp>

namespace millrace {

/// What runs work items: post(item) makes item.run(&item) happen once, later, on a thread of the
/// executor's choice. It cannot fail, and it never runs the item inside post().
template <class E>
concept executor = requires(E& e, work_item& item) {
  { e.post(item) } noexcept;
};

/// Any executor, in two words. Empty by default.
///
/// Lifetime   owns nothing: an executor outlives all that may resume on it.
class executor_ref {
 public:
  constexpr executor_ref() noexcept = default;

  template <class E>
    requires(!std::same_as<std::remove_cv_t<E>, executor_ref> && executor<E>)
  constexpr executor_ref(E& e) noexcept
      : object_(&e),
        post_([](void* object, work_item& item) noexcept { static_cast<E*>(object)->post(item); }) {}

  /// Precondition: not empty.
  void post(work_item& item) const noexcept { post_(object_, item); }

  explicit constexpr operator bool() const noexcept { return object_ != nullptr; }

  /// Whether both are the same executor object.
  friend constexpr bool operator==(const executor_ref& a, const executor_ref& b) noexcept {
    return a.object_ == b.object_;
  }

 private:
  void* object_ = nullptr;
  void (*post_)(void*, work_item&) noexcept = nullptr;
};

}  // namespace millrace
