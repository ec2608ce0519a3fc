// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace {

/// A snapshot of a queue: made from its tickets, so nothing is counted on its fast path.
struct queue_stats {
  const char* name;      ///< as queue_options said
  std::uint64_t pushed;  ///< messages that went in, or are on their way; but for those that were handed
  std::uint64_t popped;  ///< to a consumer that waited, which count in neither
  std::size_t size;      ///< what is buffered: as size_approx()
  std::size_t capacity;  ///< the largest size_t: no bound
  bool is_closed;
};

}  // namespace millrace
