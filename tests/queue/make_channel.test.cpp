// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/make_channel.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/when_all.hpp>

#include "support/catch.hpp"

using millrace::consumer;
using millrace::make_channel;
using millrace::op_status;
using millrace::producer;

namespace {

millrace::task<> send(producer<int> tx, int from, int to) {
  for (int i = from; i < to; ++i) {
    auto sent = co_await tx.push(i);
    if (!sent) break;
  }
}

millrace::task<int> sum(consumer<int> rx) {
  int total = 0;
  while (auto m = co_await rx.pop()) total += *m;
  co_return total;
}

}  // namespace

TEST_CASE("the queue closes when the last producer has gone, and keeps what is buffered") {
  auto [tx, rx] = make_channel<int>(4);
  {
    producer<int> first = std::move(tx);
    producer<int> second = first;
    CHECK(second.try_push(1) == op_status::ok);
    CHECK_FALSE(rx.is_closed());
  }
  CHECK(rx.is_closed());
  CHECK(*rx.try_pop() == 1);
  CHECK(rx.try_pop().status() == op_status::closed);
}

TEST_CASE("pushes fail, with the message back, when the last consumer has gone") {
  auto [tx, rx] = make_channel<std::unique_ptr<int>>(4);
  std::optional<consumer<std::unique_ptr<int>>> first(std::move(rx));
  auto second = first;
  first.reset();
  CHECK(tx.push(std::make_unique<int>(1)).wait());
  second.reset();
  auto result = tx.push(std::make_unique<int>(2)).wait();
  CHECK(result.status() == op_status::closed);
  CHECK(*result.value() == 2);
  auto m = std::make_unique<int>(3);
  CHECK(tx.try_push(std::move(m)) == op_status::closed);
  CHECK(*m == 3);
}

TEST_CASE("a push that waits ends with its message when the last consumer goes") {
  auto [tx, rx] = make_channel<int>(1);
  CHECK(tx.try_push(1) == op_status::ok);
  std::optional<millrace::push_result<int>> result;
  tx.push(2).start([&](millrace::push_result<int> r) noexcept { result.emplace(std::move(r)); });
  CHECK_FALSE(result.has_value());
  {
    auto last = std::move(rx);
  }
  REQUIRE(result.has_value());
  CHECK(result->status() == op_status::closed);
  CHECK(result->value() == 2);
}

TEST_CASE("channels join coroutines that own their ends") {
  auto [tx, rx] = make_channel<int>(3);
  auto other = tx;
  auto result = millrace::sync_wait(millrace::when_all(
      send(std::move(tx), 0, 1000), send(std::move(other), 1000, 2000), sum(std::move(rx))));
  CHECK(std::get<2>(result) == 1999 * 1000);
}

TEST_CASE("a channel of capacity 0 is refused") {
  CHECK_THROWS_AS(make_channel<int>(0), std::invalid_argument);
  CHECK_THROWS_AS(make_channel<int>(-1), std::length_error);
}
