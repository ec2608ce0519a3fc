// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace millrace {

/// How a stage of a pipeline works. A stage that is given these has a queue before it, and workers of its
/// own.
struct stage_options {
  std::size_t workers = 1;  ///< how many messages are in work at a time, each worker with its own copy of f
  /// Whether results leave in the order in which their messages came. One that takes long holds back those
  /// behind it, but not the work on them: `capacity` messages are inside at most.
  bool ordered = false;
  std::size_t capacity = 64;  ///< of the queue before the stage, in messages
  std::string_view name{};    ///< in what is told of the stage; by default what it is, and its place
};

namespace detail {

/// Errors: std::invalid_argument, where the stage would never do anything.
inline void check(const stage_options& how, std::string_view stage) {
  const auto refuse = [stage](const char* why) {
    throw std::invalid_argument("millrace: " + std::string(stage) + ' ' + why);
  };
  if (how.workers == 0) refuse("with 0 workers would never do anything: ask for 1 or more");
  if (how.capacity == 0) refuse("behind a queue of capacity 0 would never get a message: ask for 1 or more");
}

}  // namespace detail

}  // namespace millrace
