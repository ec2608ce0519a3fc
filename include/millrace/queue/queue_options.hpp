// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <utility>

#include <millrace/queue/message_tap.hpp>

namespace millrace {

/// What a push does where a bounded queue is full.
enum class overflow_policy : std::uint8_t {
  wait,             ///< push waits; try_push says `full`
  reject,           ///< push ends `full`, too, with its message back
  displace_oldest,  ///< both put their message in the place of the oldest; push has that in its result
};

/// What may be said of a queue when it is made.
template <class T>
struct queue_options {
  /// Where messages go that nobody will take: what is buffered when the queue is destroyed, what was
  /// delivered to a coroutine that is destroyed before it resumes, what try_push displaces, the message in
  /// hand where an iterator throws. Null: they are destroyed. Called by the thread that does that; it
  /// takes the message.
  void (*on_undelivered)(void* user, T&& message) noexcept = nullptr;
  void* user = nullptr;   ///< the first argument of on_undelivered
  const char* name = "";  ///< for who looks at stats(); outlives the queue
  overflow_policy overflow = overflow_policy::wait;
};

namespace detail {

/// The part of a queue's core that knows them, and who observes its messages.
template <class T>
class core_options : public tap_point<T> {
 public:
  explicit core_options(const queue_options<T>& options) noexcept : options_(options) {}

  /// For a message that nobody will take.
  void lose(T&& message) const noexcept {
    if (loses()) options_.on_undelivered(options_.user, std::move(message));
  }
  /// Whether that does anything.
  bool loses() const noexcept { return options_.on_undelivered != nullptr; }

 protected:
  const queue_options<T> options_;
};

}  // namespace detail

}  // namespace millrace
