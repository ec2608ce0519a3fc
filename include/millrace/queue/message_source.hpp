// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <utility>

#include <millrace/detail/macros.hpp>
#include <millrace/lockfree/claim.hpp>

namespace millrace::detail {

// A source is what a message is to be built from: it calls its argument, once, with that. These are no lambdas,
// for a compiler may leave those out of line in a function that is always inlined.

/// The message itself, which is moved from.
template <class T>
struct message_source {
  T& message;

  template <class Sink>
  MILLRACE_ALWAYS_INLINE decltype(auto) operator()(Sink&& sink) const noexcept {
    return sink(std::move(message));
  }
};

template <class T>
message_source<T> source_of(T& message) noexcept {
  return {message};
}

/// For a source to call: puts the message into a ring.
template <class Ring>
struct put_into {
  Ring& ring;

  explicit put_into(Ring& to) noexcept : ring(to) {}  // clang 14 deduces nothing for an aggregate

  template <class... Args>
  MILLRACE_ALWAYS_INLINE claim operator()(Args&&... args) const noexcept {
    return ring.try_put(std::forward<Args>(args)...);
  }
};

}  // namespace millrace::detail
