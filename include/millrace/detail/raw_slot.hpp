// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <new>
#include <type_traits>
#include <utility>

namespace millrace::detail {

/// What a message must be: every queue checks it here, so that all refuse in the same words.
template <class T>
struct message_requirements {
  static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_array_v<T>,
                "millrace: a message is a non-const object type: wrap references in "
                "std::reference_wrapper and arrays in std::array");
  static_assert(std::is_nothrow_destructible_v<T>,
                "millrace: a message must be nothrow-destructible: send std::unique_ptr<T> with "
                "a deleter that does not throw instead");
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "millrace: a message must be nothrow-move-constructible, or it could be lost in "
                "the middle of a move: send std::unique_ptr<T> instead");
  static constexpr bool met = true;
};

/// Storage for one T that its owner fills and empties by hand.
template <class T, class Traits>
class raw_slot {
 public:
  raw_slot() noexcept {}
  raw_slot(const raw_slot&) = delete;
  raw_slot& operator=(const raw_slot&) = delete;

  template <class... Args>
  void construct(Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    probe_.write();
    ::new (static_cast<void*>(bytes_)) T(std::forward<Args>(args)...);
  }

  /// The message, which construct() has built; the caller destroys() what it moved out.
  T& get() noexcept {
    probe_.write();
    return *std::launder(reinterpret_cast<T*>(bytes_));
  }

  const T& get() const noexcept {
    probe_.read();
    return *std::launder(reinterpret_cast<const T*>(bytes_));
  }

  void destroy() noexcept { get().~T(); }

 private:
  alignas(T) unsigned char bytes_[sizeof(T)];
  [[no_unique_address]] typename Traits::probe probe_;
};

}  // namespace millrace::detail
