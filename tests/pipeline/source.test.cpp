// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/source.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/catch.hpp"
#include "support/foreign_task.hpp"

using namespace millrace::detail;

namespace {

/// In the place of a chain.
struct mailbox {
  std::vector<int> got;
  void put(int n) { got.push_back(n); }
};

using queue = millrace::bounded_queue<int>;

struct own_traits : millrace::default_traits {};
using own_queue = millrace::bounded_queue<int, own_traits>;

template <class Queue>
support::foreign_task take_all(queue_source<Queue*>& from, std::size_t worker, mailbox& to,
                               millrace::op_status& end) {
  for (;;) {
    auto message = co_await from.next(worker);
    end = message.status();
    if (!message) co_return;
    to.put(*message);
  }
}

}  // namespace

TEST_CASE("who sleeps in a queue source is woken by a message, and by the end of the intake") {
  queue messages(4);
  millrace::stop_source intake;
  queue_source<queue*> source(&messages);
  source.begin(intake.token(), 2);
  mailbox to[2];
  millrace::op_status end[2];
  const support::foreign_task first = take_all(source, 0, to[0], end[0]);
  const support::foreign_task second = take_all(source, 1, to[1], end[1]);
  first.start();
  second.start();
  CHECK(messages.try_push(1) == millrace::op_status::ok);
  CHECK(messages.try_push(2) == millrace::op_status::ok);
  CHECK(to[0].got == std::vector<int>{1});
  CHECK(to[1].got == std::vector<int>{2});
  CHECK(end[0] == millrace::op_status::ok);
  intake.request_stop();
  CHECK(end[0] == millrace::op_status::cancelled);
  CHECK(end[1] == millrace::op_status::cancelled);
  CHECK(first.done());
  CHECK(second.done());
  CHECK(messages.try_push(3) == millrace::op_status::ok);  // nobody waits any more
  CHECK(messages.size_approx() == 1);
}

TEST_CASE("a source may be a queue with traits of its own") {
  own_queue messages(1);
  millrace::stop_source intake;
  queue_source<own_queue*> source(&messages);
  source.begin(intake.token(), 1);
  mailbox to;
  millrace::op_status end{};
  const support::foreign_task task = take_all(source, 0, to, end);
  task.start();
  CHECK(messages.try_push(1) == millrace::op_status::ok);
  CHECK(to.got == std::vector<int>{1});
  intake.request_stop();
  CHECK(end == millrace::op_status::cancelled);
  CHECK(task.done());
}

TEST_CASE("a range source gives its elements, and ends where no more are taken in") {
  millrace::stop_source intake;
  range_source<std::vector<int>> source(std::vector<int>{1, 2});
  source.begin(intake.token(), 1);
  CHECK_FALSE(source.has_ended());
  mailbox to;
  CHECK(source.feed(to));
  CHECK(source.feed(to));
  CHECK_FALSE(source.feed(to));
  CHECK_FALSE(source.feed(to));
  CHECK(to.got == std::vector<int>{1, 2});
  intake.request_stop();
  CHECK(source.has_ended());
  CHECK(source.close_reason() == nullptr);
}

TEST_CASE("a range source stays valid where it is moved") {
  range_source<std::vector<int>> source(std::vector<int>{1, 2});
  mailbox to;
  CHECK(source.feed(to));
  auto moved = std::move(source);
  CHECK(moved.feed(to));
  CHECK(to.got == std::vector<int>{1, 2});
}
