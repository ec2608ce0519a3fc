// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

namespace millrace::detail {

/// Bytes that two threads may write without slowing each other down. A constant of ours and not
/// std::hardware_destructive_interference_size: that one changes with compiler flags, and with it
/// the layout of types that cross a translation unit.
inline constexpr std::size_t cache_line = 64;

}  // namespace millrace::detail
