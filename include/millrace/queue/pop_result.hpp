// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/raw_slot.hpp>
#include <millrace/wait/op_status.hpp>

namespace millrace {

/// What a pop brought: a message, or the status that says why there is none. Used like an optional:
/// `while (auto m = co_await q.pop()) use(*m);` ends when the queue is closed and empty.
template <class T>
class [[nodiscard]] pop_result {
 public:
  using value_type = T;

  explicit pop_result(op_status why = op_status::empty) noexcept : status_(why) {}
  explicit pop_result(T&& message) noexcept : status_(op_status::ok) {
    message_.construct(std::move(message));
  }

  pop_result(pop_result&& other) noexcept : status_(other.status_) {
    if (other) message_.construct(*std::move(other));
  }
  pop_result(const pop_result& other) noexcept(std::is_nothrow_copy_constructible_v<T>)
    requires std::copy_constructible<T>
      : status_(op_status::empty) {
    if (other) message_.construct(*other);
    status_ = other.status_;
  }
  pop_result& operator=(pop_result other) noexcept {
    destroy();
    if (other) message_.construct(*std::move(other));
    status_ = other.status_;
    return *this;
  }
  ~pop_result() { destroy(); }

  explicit operator bool() const noexcept { return status_ == op_status::ok; }
  op_status status() const noexcept { return status_; }

  /// Precondition of * and ->: there is a message.
  T& operator*() & noexcept { return message_.get(); }
  const T& operator*() const& noexcept { return message_.get(); }
  T&& operator*() && noexcept { return std::move(message_.get()); }
  T* operator->() noexcept { return &message_.get(); }
  const T* operator->() const noexcept { return &message_.get(); }

  /// The message. Errors: std::bad_optional_access where there is none.
  T& value() & { return checked().message_.get(); }
  const T& value() const& { return checked().message_.get(); }
  T&& value() && { return std::move(checked().message_.get()); }

  operator std::optional<T>() && noexcept {
    return *this ? std::optional<T>(std::move(message_.get())) : std::nullopt;
  }

  /// For who delivers: the message, built from args. Precondition: there was none.
  template <class... Args>
  void deliver(Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    message_.construct(std::forward<Args>(args)...);
    status_ = op_status::ok;
  }
  /// For who delivers: there will be no message.
  void refuse(op_status why) noexcept { status_ = why; }

 private:
  pop_result& checked() {
    if (!*this) throw std::bad_optional_access();
    return *this;
  }
  const pop_result& checked() const {
    if (!*this) throw std::bad_optional_access();
    return *this;
  }
  void destroy() noexcept {
    if (*this) message_.destroy();
  }

  // Built where status_ is ok. Not a std::optional: that is moved as one block, its flag included, and
  // such a load has to wait until the two stores that have just filled the block are done.
  detail::raw_slot<T, default_traits> message_;
  op_status status_;
};

}  // namespace millrace
