// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <type_traits>

#include <millrace/wait/work_item.hpp>

namespace millrace {

class timer_service;

/// What runs work items: post(item) makes item.run(&item) happen once, later, on a thread of the
/// executor's choice. It cannot fail, and it never runs the item inside post().
template <class E>
concept executor = requires(E& e, work_item& item) {
  { e.post(item) } noexcept;
};

/// Any executor, in two words. Empty by default. It may have timers: a member timers() that yields a
/// pointer to a timer_service (null: none), which fires them as work of the executor.
///
/// Lifetime   owns nothing: an executor outlives all that may resume on it.
class executor_ref {
 public:
  constexpr executor_ref() noexcept = default;

  template <class E>
    requires(!std::same_as<std::remove_cv_t<E>, executor_ref> && executor<E>)
  constexpr executor_ref(E& e) noexcept : object_(&e), calls_(&calls_of<E>) {}

  /// Precondition: not empty.
  void post(work_item& item) const noexcept { calls_->post(object_, item); }

  /// The executor's own timers, for deadlines of what waits under it; null: it has none, or is empty.
  timer_service* timers() const noexcept { return calls_ != nullptr ? calls_->timers(object_) : nullptr; }

  explicit constexpr operator bool() const noexcept { return object_ != nullptr; }

  /// Whether both are the same executor object.
  friend constexpr bool operator==(const executor_ref& a, const executor_ref& b) noexcept {
    return a.object_ == b.object_;
  }

 private:
  struct calls {
    void (*post)(void*, work_item&) noexcept;
    timer_service* (*timers)(void*) noexcept;
  };

  template <class E>
  static constexpr calls calls_of = {
      [](void* object, work_item& item) noexcept { static_cast<E*>(object)->post(item); },
      []([[maybe_unused]] void* object) noexcept -> timer_service* {
        if constexpr (requires(E& e) {
                        { e.timers() } noexcept -> std::convertible_to<timer_service*>;
                      }) {
          return static_cast<E*>(object)->timers();
        } else {
          return nullptr;
        }
      }};

  void* object_ = nullptr;
  const calls* calls_ = nullptr;
};

}  // namespace millrace
