// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

#include <millrace/wait/op_status.hpp>

namespace millrace {

/// What a batch came to: how many messages, and why there are not more (`ok`: as many as were there).
struct [[nodiscard]] batch_result {
  std::size_t count;
  op_status status;
};

/// What pushing a range came to: `next` is the first element that was not pushed and is still the caller's,
/// and why (`ok`: all were pushed).
template <class I>
struct [[nodiscard]] push_range_result {
  I next;
  std::size_t count;
  op_status status;
};

}  // namespace millrace
