// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <exception>
#include <string>

namespace millrace {

/// A message at which a stage of a pipeline has failed for good, and what is known of that: see dead_letter.
template <class T>
struct failed {
  T message;
  std::exception_ptr error;  ///< what the stage threw last
  std::size_t attempts;      ///< how often the stage was given the message
  std::string stage;         ///< its name
};

}  // namespace millrace
