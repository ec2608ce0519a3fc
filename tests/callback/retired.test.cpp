// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/retired.hpp>

#include "support/catch.hpp"

namespace {

using millrace::detail::retired;
using millrace::detail::retired_batch;

struct memory : retired {
  bool is_freed = false;
  memory() {
    discard = [](retired* self) noexcept { static_cast<memory*>(self)->is_freed = true; };
  }
};

}  // namespace

TEST_CASE("batches of retired memory are joined, and keep the later time") {
  memory one, two, three;
  retired_batch a, b;
  a.add(one);
  a.set_time(7);
  b.add(two);
  b.add(three);
  b.set_time(5);
  a.add(b);
  CHECK(a.size() == 3);
  CHECK(a.time() == 7);
  CHECK(b.size() == 0);
  a.discard();
  CHECK((one.is_freed && two.is_freed && three.is_freed));
  CHECK(a.size() == 0);
}
