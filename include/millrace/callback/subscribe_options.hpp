// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>
#include <optional>
#include <type_traits>

#include <millrace/callback/erased_function.hpp>

namespace millrace {

namespace detail {

/// How a registry hands an argument to each of its callbacks: none may take it away from the next.
template <class Arg>
using passed_argument =
    std::conditional_t<std::is_lvalue_reference_v<Arg> || std::is_scalar_v<Arg>, Arg, const Arg&>;

}  // namespace detail

template <class Signature>
struct subscribe_options;

/// How a callback is called; only who asks for something pays for it.
template <class... Args>
struct subscribe_options<void(Args...)> {
  int priority = 0;  ///< higher ones are called first; those of the same, in the order of subscription
  bool one_shot =
      false;  ///< called once, then disconnected; also where several threads publish at the same time
  /// The callback is called where this says true. A one_shot waits for that.
  erased_function<bool(detail::passed_argument<Args>...)> filter{};
  /// Held while the callback runs; once it has expired, the callback is disconnected instead of called.
  std::optional<std::weak_ptr<const void>> lifetime{};
};

}  // namespace millrace
