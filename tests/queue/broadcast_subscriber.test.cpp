// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/broadcast_subscriber.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <millrace/queue/broadcast.hpp>

#include "support/catch.hpp"

namespace {

using millrace::broadcast;
using millrace::broadcast_policy;
using millrace::broadcast_subscriber;
using millrace::op_status;
using subscriber = broadcast_subscriber<int>;

static_assert(std::is_nothrow_move_constructible_v<subscriber> && !std::is_copy_constructible_v<subscriber>);

}  // namespace

TEST_CASE("a subscriber is given away with its place") {
  broadcast<int> b(4);
  subscriber none;
  CHECK_FALSE(none);
  subscriber first = b.subscribe();
  CHECK(first);
  for (int n = 0; n < 3; ++n) CHECK(b.try_push(n) == op_status::ok);
  CHECK(*first.try_pop() == 0);
  subscriber second(std::move(first));
  CHECK_FALSE(first);  // NOLINT: moved from, it is empty
  CHECK(*second.try_pop() == 1);
  first = std::move(second);
  CHECK(first);
  CHECK(first.size_approx() == 1);
  CHECK(first.capacity() == 4);
  CHECK(*first.try_pop() == 2);
  first.unsubscribe();
  CHECK_FALSE(first);
  first.unsubscribe();
}

TEST_CASE("a subscriber outlives its broadcast, and reads what is left") {
  std::optional<broadcast<std::shared_ptr<int>>> b(std::in_place, 2u);
  auto s = b->subscribe();
  auto idle = b->subscribe();
  const auto m = std::make_shared<int>(1);
  CHECK(b->try_push(m) == op_status::ok);
  CHECK(b->try_push(m) == op_status::ok);
  b.reset();
  CHECK(s.is_closed());
  CHECK(s.close_reason() == nullptr);
  CHECK(*s.pop().wait() == m);
  CHECK(*s.try_pop() == m);
  CHECK(s.pop().wait().status() == op_status::closed);
  CHECK(s.try_pop().status() == op_status::closed);
  CHECK(m.use_count() == 3);
  s.unsubscribe();
  CHECK(m.use_count() == 3);
  idle.unsubscribe();
  CHECK(m.use_count() == 1);
}

TEST_CASE("missed() counts what was overwritten, exactly and as of now") {
  for (const std::size_t capacity : {1u, 2u, 3u, 4u, 64u}) {
    broadcast<int> b(capacity, {.policy = broadcast_policy::lag});
    CHECK(b.try_push(-1) == op_status::ok);
    auto s = b.subscribe();
    CHECK(s.missed() == 0);
    const int n = static_cast<int>(capacity);
    for (int i = 0; i < n; ++i) CHECK(b.try_push(i) == op_status::ok);
    CHECK(s.missed() == 0);
    CHECK(s.size_approx() == capacity);
    for (int i = n; i < 3 * n + 1; ++i) CHECK(b.try_push(i) == op_status::ok);
    CHECK(s.size_approx() == capacity);
    CHECK(s.missed() == 2 * capacity + 1);
    for (int i = 2 * n + 1; i < 3 * n + 1; ++i) CHECK(*s.try_pop() == i);
    CHECK(s.try_pop().status() == op_status::empty);
    for (int i = 0; i < n + 2; ++i) CHECK(b.try_push(i) == op_status::ok);
    CHECK(*s.try_pop() == 2);  // without having asked
    CHECK(s.missed() == 2 * capacity + 3);
  }
}

TEST_CASE("why a broadcast was closed, its subscribers hear") {
  broadcast<int> b(1);
  auto s = b.subscribe();
  CHECK_FALSE(s.is_closed());
  CHECK(b.close_reason() == nullptr);
  CHECK(b.close(std::make_exception_ptr(std::runtime_error("why"))));
  CHECK_FALSE(b.close());
  CHECK_THROWS_WITH(std::rethrow_exception(s.close_reason()), "why");
  CHECK_THROWS_WITH(std::rethrow_exception(b.close_reason()), "why");
}
