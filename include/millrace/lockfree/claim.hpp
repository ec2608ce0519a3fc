// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace millrace::detail {

/// What one attempt at a queue came to.
enum class claim : unsigned char {
  done,     ///< claimed, moved and published
  blocked,  ///< full or empty, or the operation that stands in the way is still in flight
  flagged,  ///< the ticket word carries a flag: whoever set it must be asked
};

/// What the floor above keeps beside the two ends of a ring, on the lines that they write: nothing.
struct nothing_beside {
  struct tail {};
  struct head {};
};

}  // namespace millrace::detail
