// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace millrace {

/// What a push does where the slowest subscriber of a broadcast is capacity() messages behind.
enum class broadcast_policy : std::uint8_t {
  gate,  ///< it waits for him: nobody misses a message
  lag,   ///< it overwrites the oldest message: he misses it, and missed() counts that
};

/// What may be said of a broadcast when it is made.
struct broadcast_options {
  broadcast_policy policy = broadcast_policy::gate;
};

}  // namespace millrace
