// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/message_source.hpp>

#include <memory>

#include "support/catch.hpp"

namespace {

using millrace::detail::claim;

/// Takes what it is given, if it has room.
struct place {
  bool has_room = true;
  std::unique_ptr<int> message{};
  claim try_put(std::unique_ptr<int>&& m) noexcept {
    if (!has_room) return claim::blocked;
    message = std::move(m);
    return claim::done;
  }
};

}  // namespace

TEST_CASE("a source gives its message away once, and only where that is taken") {
  auto m = std::make_unique<int>(1);
  const auto source = millrace::detail::source_of(m);
  place full{.has_room = false};
  CHECK(source(millrace::detail::put_into{full}) == claim::blocked);
  REQUIRE(m);
  place room;
  CHECK(source(millrace::detail::put_into{room}) == claim::done);
  CHECK_FALSE(m);
  CHECK(*room.message == 1);
}
