// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/version.hpp>

#if MILLRACE_VERSION < 100
#error "#if does not understand the version"
#endif

#include "support/catch.hpp"

TEST_CASE("the version has room for two digits in each place") {
  CHECK(MILLRACE_VERSION / 10000 == MILLRACE_VERSION_MAJOR);
  CHECK(MILLRACE_VERSION / 100 % 100 == MILLRACE_VERSION_MINOR);
  CHECK(MILLRACE_VERSION % 100 == MILLRACE_VERSION_PATCH);
}
