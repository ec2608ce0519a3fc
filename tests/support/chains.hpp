// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/stage_info.hpp>

#include "support/catch.hpp"

namespace support {

/// Of all nodes of a chain that is tested alone.
inline const millrace::detail::stage_info stage{"here"};

inline millrace::detail::chain_start<int> chain_of_ints() {
  return millrace::detail::chain_start<int>(stage);
}

/// What next() gives.
template <class Chain>
auto next(Chain& chain) {
  std::optional<typename Chain::output> message;
  const bool is_filled = chain.next(message);
  CHECK(is_filled == message.has_value());
  return message;
}
/// All that it gives.
template <class Chain>
auto all(Chain& chain) {
  std::vector<typename Chain::output> given;
  while (auto message = next(chain)) given.push_back(*std::move(message));
  return given;
}

/// All that is inside.
template <class T, class Chain>
std::vector<T> left(Chain& chain) {
  std::vector<T> given;
  chain.abandon([&](auto&& message, const millrace::detail::stage_info& at) noexcept {
    if (&at != &stage) return;
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(message)>, T>)
      given.push_back(std::move(message));
  });
  return given;
}

}  // namespace support
