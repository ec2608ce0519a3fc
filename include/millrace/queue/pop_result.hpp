// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <stdexcept>
#include <utility>

#include <millrace/wait/op_status.hpp>

namespace millrace {

/// What a pop brought: a message, or the status that says why there is none. Used like an optional:
/// `while (auto m = co_await q.pop()) use(*m);` ends when the queue is closed and empty.
template <class T>
class [[nodiscard]] pop_result {
 public:
  using value_type = T;

  explicit pop_result(op_status why = op_status::empty) noexcept : status_(why) {}
  explicit pop_result(T&& message) noexcept
      : message_(std::move(message)), status_(op_status::ok) {}

  explicit operator bool() const noexcept { return message_.has_value(); }
  op_status status() const noexcept { return status_; }

  /// Precondition of * and ->: there is a message.
  T& operator*() & noexcept { return *message_; }
  const T& operator*() const& noexcept { return *message_; }
  T&& operator*() && noexcept { return *std::move(message_); }
  T* operator->() noexcept { return &*message_; }
  const T* operator->() const noexcept { return &*message_; }

  /// The message. Errors: std::bad_optional_access where there is none.
  T& value() & { return message_.value(); }
  const T& value() const& { return message_.value(); }
  T&& value() && { return std::move(message_).value(); }

  operator std::optional<T>() && noexcept { return std::move(message_); }

  /// For who delivers: the message, built from args. Precondition: there was none.
  template <class... Args>
  void deliver(Args&&... args) noexcept {
    message_.emplace(std::forward<Args>(args)...);
    status_ = op_status::ok;
  }
  /// For who delivers: there will be no message.
  void refuse(op_status why) noexcept { status_ = why; }

 private:
  std::optional<T> message_;
  op_status status_;
};

}  // namespace millrace
