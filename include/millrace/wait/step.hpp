// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>

#include <millrace/wait/op_status.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

/// What a structure that can be waited for supplies, one class for each operation:
///   attempt_fast()    the attempt that most calls succeed with; false: look closer
///   attempt()         the whole attempt; false: it would have to wait
///   park(waiter&)     lists the waiter, and does nothing else; false: it need not wait, or that is not sure:
///                     attempt again. Listed, a waiter that is not contested may be gone, and the step too
///   withdraw(waiter&) takes a parked waiter back; false: it was completed, or it will be
///   refuse(why)       the operation ends without having been done: what take_result() will say
///   take_result()     once, after completion; may throw what the operation is documented to throw
///   parks_at()        the address that orders the steps of a select
/// It may have sees_partner(): a hint that attempt() will not have to wait, for somebody waits for just that.
/// It may have the constants ignores_ambient_stop, and is_unlisted_by_stop (see suspension.hpp).
template <class S>
concept step = requires(S& s, waiter<typename S::traits>& w, op_status why) {
  typename S::result_type;
  { s.attempt_fast() } noexcept -> std::same_as<bool>;
  { s.attempt() } noexcept -> std::same_as<bool>;
  { s.park(w) } noexcept -> std::same_as<bool>;
  { s.withdraw(w) } noexcept -> std::same_as<bool>;
  { s.refuse(why) } noexcept;
  { s.take_result() } -> std::same_as<typename S::result_type>;
  { s.parks_at() } noexcept -> std::same_as<const void*>;
};

/// A step whose waiter may be woken with a duty (see waiter.hpp): relieve(waiter&) does it, if it is still there.
template <class S>
concept dutiful_step = requires(S& s, waiter<typename S::traits>& w) {
  { s.relieve(w) } noexcept;
};

/// A step that may have to be attempted again after a sleep: goes_on() tells.
template <class S>
concept continuing_step = requires(S& s) {
  { s.goes_on() } noexcept -> std::same_as<bool>;
};

/// Whether somebody seems to wait for this step, which then need not wait.
template <class Step>
bool sees_partner(const Step& of) noexcept {
  if constexpr (requires { of.sees_partner(); }) {
    return of.sees_partner();
  } else {
    return false;
  }
}

}  // namespace millrace::detail
