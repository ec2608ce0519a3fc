// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <type_traits>

#include <millrace/wait/clock.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/stop_slot.hpp>
#include <millrace/wait/stop_token.hpp>
#include <millrace/wait/timer_service.hpp>

namespace millrace::detail {

/// Rounded up to what the clock counts, and no longer than a century: so it can be added to a time.
template <class Rep, class Period>
std::chrono::steady_clock::duration saturated(std::chrono::duration<Rep, Period> span) noexcept {
  constexpr std::chrono::hours century(876000);
  if (span > century) return century;
  if (span < -century) return -century;
  return std::chrono::ceil<std::chrono::steady_clock::duration>(span);
}

/// What .on(), .with(), .within() and .until() have said of an operation: nothing.
template <class Traits>
struct unmodified {
  using token_type = basic_stop_token<Traits>;
  static constexpr bool is_timed = false;
  static constexpr bool has_token = false;
  static constexpr executor_ref home{};
  static constexpr token_type token{};
  static constexpr std::nullptr_t slot{};

  static constexpr bool is_limited() noexcept { return false; }
  static std::chrono::steady_clock::time_point deadline(const timer_service*) noexcept {
    return std::chrono::steady_clock::time_point::max();
  }
};

/// The same, where at least one of them was called.
template <class Token>
struct modified {
  using token_type = Token;
  using clock = std::chrono::steady_clock;
  static constexpr bool is_timed = true;
  static constexpr std::nullptr_t slot{};

  executor_ref home{};
  token_type token{};
  clock::duration span{};
  enum class limit_type : unsigned char { none, within, until } limit = limit_type::none;
  bool has_token = false;

  bool is_limited() const noexcept { return limit != limit_type::none; }
  /// Now, when the operation runs, by these timers; null: the thread's own.
  clock::time_point deadline(const timer_service* timers) const noexcept {
    switch (limit) {
      case limit_type::none:
        return clock::time_point::max();
      case limit_type::until:
        return clock::time_point(span);
      case limit_type::within:
        break;
    }
    return (timers != nullptr ? timers->now() : clock::now()) + span;  // a century at most: see saturated
  }

  template <class Rep, class Period>
  modified within(std::chrono::duration<Rep, Period> asked) const noexcept {
    modified m = *this;
    m.span = saturated(asked);
    m.limit = limit_type::within;
    return m;
  }
  template <class Clock, class Duration>
  modified until(std::chrono::time_point<Clock, Duration> time) const noexcept {
    modified m = *this;
    if constexpr (std::is_same_v<Clock, clock>) {
      m.span = saturated(time.time_since_epoch());
    } else {
      m.span = clock::now().time_since_epoch() + saturated(time - Clock::now());
    }
    m.limit = limit_type::until;
    return m;
  }

  /// This, with another kind of token.
  template <class Other>
  modified<Other> with(const Other& other) const noexcept {
    return {home, other, span, static_cast<typename modified<Other>::limit_type>(limit), true};
  }
};

/// .with() a token that a slot is attached to: it costs no place in the token's list. For what calls one operation
/// after the other, and neither .on() nor .within() after that.
template <class Traits>
struct slotted : unmodified<Traits> {
  static constexpr bool has_token = true;

  basic_stop_token<Traits> token;
  stop_slot<Traits>* slot;
};

}  // namespace millrace::detail
