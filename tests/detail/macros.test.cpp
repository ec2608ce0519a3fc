// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/macros.hpp>

#include "support/catch.hpp"

#if defined(__GNUC__)

namespace {

MILLRACE_ALWAYS_INLINE void* frame_inlined() { return __builtin_frame_address(0); }
MILLRACE_NOINLINE void* frame_called() { return __builtin_frame_address(0); }

}  // namespace

TEST_CASE("the macros decide whether a function has a frame of its own, at every optimization") {
  void* const mine = __builtin_frame_address(0);
  void* const inlined = frame_inlined();
  void* const called = frame_called();
  CHECK(inlined == mine);
  CHECK(called != mine);
}

#endif
