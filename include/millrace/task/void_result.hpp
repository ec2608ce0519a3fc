// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace millrace {

/// What stands in a tuple of results for an awaitable that yields nothing. (std::monostate, without <variant>.)
struct void_result {
  friend constexpr bool operator==(void_result, void_result) noexcept { return true; }
};

}  // namespace millrace
