// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/published_message.hpp>

#include <string>
#include <tuple>
#include <type_traits>

#include "support/catch.hpp"

using millrace::published_message;

TEST_CASE("what is kept of a publication is a copy of its argument, or a tuple") {
  CHECK(std::is_same_v<published_message<const std::string&>, std::string>);
  CHECK(std::is_same_v<published_message<int>, int>);
  CHECK(std::is_same_v<published_message<>, std::tuple<>>);
  CHECK(std::is_same_v<published_message<int&, const char*>, std::tuple<int, const char*>>);
}
