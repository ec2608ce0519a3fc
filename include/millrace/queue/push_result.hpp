// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <utility>

#include <millrace/wait/op_status.hpp>

namespace millrace {

/// How a push ended: true where the message is in the queue; otherwise the message is back in here.
template <class T>
class [[nodiscard("millrace: a push can fail, and the message is then in its result")]] push_result {
 public:
  using value_type = T;

  explicit push_result(op_status status) noexcept : status_(status) {}
  push_result(op_status status, T&& message) noexcept : message_(std::move(message)), status_(status) {}

  explicit operator bool() const noexcept { return status_ == op_status::ok; }
  op_status status() const noexcept { return status_; }

  /// Whether a message came back: the one that was pushed.
  bool returned() const noexcept { return message_.has_value(); }

  /// The message that came back. Errors: std::bad_optional_access where none did.
  T& value() & { return message_.value(); }
  const T& value() const& { return message_.value(); }
  T&& value() && { return std::move(message_).value(); }

 private:
  std::optional<T> message_;
  op_status status_;
};

}  // namespace millrace
