// SPDX-License-Identifier: BSL-1.0

// The runner of Catch2 version 2; version 3 links its own.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
