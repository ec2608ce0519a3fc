// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string_view>
#include <utility>

namespace millrace {

/// A message that a pipeline has taken from its source, and that left it by no sink: it was inside when the
/// pipeline was stopped or failed, or a buffer has displaced or rejected it.
///
/// Lifetime    during the call that it is passed to.
class undelivered {
 public:
  template <class T>
  undelivered(T&& message, std::string_view stage) noexcept
      : message_(&message), type_(id<std::remove_cvref_t<T>>()), stage_(stage) {}
  undelivered(const undelivered&) = delete;

  /// The message, which may be moved from; null where it is no T.
  template <class T>
  T* get_if() const noexcept {
    return type_ == id<T>() ? static_cast<T*>(message_) : nullptr;
  }
  /// The stage that had it, or that it was on its way to.
  std::string_view stage() const noexcept { return stage_; }

 private:
  using type_id = const void*;
  template <class T>
  static type_id id() noexcept {
    static constexpr char here{};
    return &here;
  }

  void* message_;
  type_id type_;
  std::string_view stage_;
};

}  // namespace millrace
