// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tuple>
#include <type_traits>

namespace millrace {

namespace detail {

template <class... Args>
struct published_message_of {
  using type = std::tuple<std::decay_t<Args>...>;
};
template <class Arg>
struct published_message_of<Arg> {
  using type = std::decay_t<Arg>;
};

}  // namespace detail

/// What is kept of a publication with these arguments: a copy of the one, else a tuple of copies. What a copy
/// refers to (a pointer, a string_view) is not copied.
template <class... Args>
using published_message = typename detail::published_message_of<Args...>::type;

}  // namespace millrace
