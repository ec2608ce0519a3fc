// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/type_name.hpp>

#include <string_view>

#include "support/catch.hpp"

namespace named {

struct order {};
template <class, int>
struct pair {};

}  // namespace named

TEST_CASE("a type has its name") {
  using millrace::detail::type_name;
  CHECK(type_name<int>() == "int");
  CHECK(type_name<named::order>() == "named::order");
  CHECK(type_name<named::pair<int[3], 4>>().substr(0, 15) == "named::pair<int");
  STATIC_REQUIRE(type_name<char>() == std::string_view("char"));
}
