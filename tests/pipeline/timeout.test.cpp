// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/timeout.hpp>

#include <chrono>
#include <stdexcept>
#include <utility>
#include <vector>

#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/after.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/stop_token.hpp>

#include "support/catch.hpp"
#include "support/virtual_time.hpp"

using namespace millrace;
using namespace std::chrono_literals;
using support::virtual_time;

namespace {

/// Takes as many milliseconds as the number; remembers how its sleep ended.
struct sleeper {
  std::vector<op_status>* ended;
  task<int> operator()(int n) const {
    ended->push_back(co_await sleep_for(std::chrono::milliseconds(n)));
    co_return n;
  }
};

}  // namespace

TEST_CASE("a function that takes too long is stopped, and its message is what the stage failed at") {
  virtual_time time;
  std::vector<op_status> ended;
  std::vector<int> handed;
  auto run = start(time,
                   from(std::vector<int>{10, 49, 20, 60}) |
                       map(timeout(50ms, sleeper{&ended})).on_error(skip()) | collect(),
                   [&](const undelivered& message) { handed.push_back(*message.get_if<int>()); });
  time.advance(10ms + 49ms + 20ms);
  CHECK(ended == std::vector<op_status>{op_status::ok, op_status::ok, op_status::ok});
  time.advance(49ms);
  CHECK(ended.size() == 3);
  time.advance(1ms);
  CHECK(ended.back() == op_status::cancelled);
  CHECK(run.wait() == std::vector<int>{10, 49, 20});
  CHECK(handed == std::vector<int>{60});
}

TEST_CASE("without a policy it fails the pipeline") {
  virtual_time time;
  std::vector<op_status> ended;
  auto run = start(time, from(std::vector<int>{1500}) | map(timeout(1s, sleeper{&ended})) | collect());
  time.advance(1s);
  CHECK_THROWS_AS(run.wait(), timed_out);
  CHECK(ended == std::vector<op_status>{op_status::cancelled});
  auto message = start(time, from(std::vector<int>{1500}) | map(timeout(1s, sleeper{&ended})) | collect());
  time.advance(1s);
  CHECK_THROWS_WITH(message.wait(), "millrace: it took longer than 1.000000 s");
}

TEST_CASE("what the function throws is thrown, unless it was late") {
  virtual_time time;
  const auto throws = [](int n) -> task<int> {
    (void)co_await sleep_for(std::chrono::milliseconds(n));
    throw std::logic_error("mine");
  };
  for (const int n : {0, 10}) {
    auto run = start(time, from(std::vector<int>{n}) | map(timeout(50ms, throws)) | collect());
    time.advance(1s);
    CHECK_THROWS_WITH(run.wait(), "mine");
  }
  auto run = start(time, from(std::vector<int>{100}) | map(timeout(50ms, throws)) | collect());
  time.advance(1s);
  CHECK_THROWS_AS(run.wait(), timed_out);
}

TEST_CASE("a pipeline that is stopped stops the function too") {
  virtual_time time;
  std::vector<op_status> ended;
  std::vector<int> handed;
  bounded_queue<int> out(4);
  auto run = start(time, from(std::vector<int>{1500}) | map(timeout(1h, sleeper{&ended})) | into(out),
                   [&](const undelivered& message) { handed.push_back(*message.get_if<int>()); });
  time.advance(1s);
  run.stop();
  time.advance(0s);
  run.wait();
  CHECK(ended == std::vector<op_status>{op_status::cancelled});
  CHECK(handed.size() + out.size_approx() == 1);
  const auto throws = [](int n) -> task<int> {
    if (co_await sleep_for(1h) != op_status::ok) throw std::logic_error("stopped");
    co_return n;
  };
  auto failing = start(time, from(std::vector<int>{1500}) | map(timeout(1h, throws)) | collect(),
                       [&](const undelivered& message) { handed.push_back(*message.get_if<int>()); });
  time.advance(1s);
  failing.stop();
  time.advance(0s);
  CHECK(failing.wait().empty());
  CHECK(handed.back() == 1500);
}

TEST_CASE("a sink may have a limit") {
  virtual_time time;
  std::vector<int> seen;
  const auto slow = [&](int n) -> task<> {
    if (co_await sleep_for(std::chrono::milliseconds(n)) == op_status::ok) seen.push_back(n);
  };
  auto run = start(time, from(std::vector<int>{1, 100, 2}) | for_each(timeout(50ms, slow)).on_error(skip()));
  time.advance(1s);
  run.wait();
  CHECK(seen == std::vector<int>{1, 2});
}
