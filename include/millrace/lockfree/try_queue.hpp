// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include <millrace/detail/iterators.hpp>
#include <millrace/lockfree/claim.hpp>

namespace millrace::detail {

/// The operations that mpmc_ring, spsc_ring and segmented_queue have in common, over a core that has
/// try_put, try_take, try_put_n, try_take_n, sees_room and size_approx. When an answer is false is said
/// by each of the three.
template <class T, class Core>
class try_queue {
 public:
  using value_type = T;

  /// The argument is untouched unless the answer is true.
  [[nodiscard]] bool try_push(T&& message) noexcept(Core::nothrow_put) {
    return core_.try_put(std::move(message)) == claim::done;
  }
  [[nodiscard]] bool try_push(const T& message) noexcept(Core::nothrow_put &&
                                                         std::is_nothrow_copy_constructible_v<T>)
    requires std::copy_constructible<T>
  {
    return try_emplace(message);
  }

  /// Builds T in its slot where that cannot throw. Where it can, T is built once there seems to be
  /// room: the arguments may then be used up although the answer is false.
  template <class... Args>
    requires std::constructible_from<T, Args...>
  [[nodiscard]] bool try_emplace(Args&&... args) noexcept(Core::nothrow_put &&
                                                          std::is_nothrow_constructible_v<T, Args...>) {
    if constexpr (std::is_nothrow_constructible_v<T, Args...>) {
      return core_.try_put(std::forward<Args>(args)...) == claim::done;
    } else {
      return core_.sees_room() && core_.try_put(T(std::forward<Args>(args)...)) == claim::done;
    }
  }

  /// The oldest message, if there is one.
  [[nodiscard]] std::optional<T> try_pop() noexcept {
    std::optional<T> message;
    core_.try_take([&](T&& taken) noexcept { message.emplace(std::move(taken)); });
    return message;
  }
  [[nodiscard]] bool try_pop(T& out) noexcept
    requires std::is_nothrow_move_assignable_v<T>
  {
    return core_.try_take([&](T&& taken) noexcept { out = std::move(taken); }) == claim::done;
  }

  /// Pushes *first and what follows it while there is room, n at most: how many went in, from the front;
  /// std::move_iterator gives them away. A forward iterator: of an input iterator, elements could be lost
  /// that were read and did not go in. Where neither the iterator nor T's construction can throw, whole
  /// runs are claimed at once, and *first is read only once it has a slot. Else each element is pushed
  /// for itself, as by try_emplace; what was pushed before an exception stays.
  template <class It>
    requires std::constructible_from<T, decltype(*std::declval<It&>())>
  [[nodiscard]] std::size_t try_push_n(It first, std::size_t n) {
    if constexpr (nothrow_source<It, T>) {
      return core_.try_put_n(std::move(first), n);
    } else {
      std::size_t done = 0;
      for (; done < n && try_emplace(*first); ++first) ++done;
      return done;
    }
  }

  /// Pops into *out and what follows it while there is something, n at most: how many came out. Where
  /// neither the iterator nor the assignment can throw, whole runs are claimed at once. Else (a
  /// std::back_inserter) each is popped for itself, and an exception destroys the message in hand.
  template <class Out>
    requires std::is_assignable_v<decltype(*std::declval<Out&>()), T&&>
  [[nodiscard]] std::size_t try_pop_n(Out out, std::size_t n) {
    if constexpr (nothrow_sink<Out, T>) {
      return core_.try_take_n(std::move(out), n);
    } else {
      std::size_t done = 0;
      for (; done < n; ++done, ++out) {
        std::optional<T> message = try_pop();
        if (!message) break;
        *out = std::move(*message);
      }
      return done;
    }
  }

  /// A snapshot: claimed by pushes and not yet by pops.
  std::size_t size_approx() const noexcept { return core_.size_approx(); }

 protected:
  template <class... Args>
  explicit try_queue(Args... args) : core_(args...) {}
  ~try_queue() = default;

  Core core_;
};

}  // namespace millrace::detail
