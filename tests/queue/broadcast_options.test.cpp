// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/broadcast_options.hpp>

#include <millrace/queue/broadcast.hpp>

#include "support/catch.hpp"

TEST_CASE("a broadcast loses nothing unless told to") {
  CHECK(millrace::broadcast_options{}.policy == millrace::broadcast_policy::gate);
  CHECK(millrace::broadcast<int>(3).policy() == millrace::broadcast_policy::gate);
  CHECK(millrace::broadcast<int>(3, {.policy = millrace::broadcast_policy::lag}).policy() ==
        millrace::broadcast_policy::lag);
}
