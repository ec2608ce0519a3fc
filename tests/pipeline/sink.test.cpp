// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/sink.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/make_channel.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/catch.hpp"

using namespace millrace;

namespace {

std::vector<int> numbers() {
  return {1, 2, 3, 4};
}

}  // namespace

TEST_CASE("into pushes, waits for room, and closes at the end") {
  bounded_queue<int> out(1);
  thread_pool pool(1);
  auto run = start(pool, from(numbers()) | into(out));
  std::vector<int> got;
  while (auto message = out.pop().wait()) got.push_back(*message);
  CHECK(got == numbers());
  CHECK(out.is_closed());
  CHECK(out.close_reason() == nullptr);
  run.wait();
}

TEST_CASE("into a producer keeps that, and lets go of it with the pipeline") {
  auto [in, out] = make_channel<int>(4);
  thread_pool pool(1);
  {
    auto run = start(pool, from(numbers()) | into(std::move(in)));
    run.wait();
    CHECK(out.is_closed());
  }
  CHECK(out.size_approx() == 4);
}

TEST_CASE("for_each calls, or awaits") {
  thread_pool pool(2);
  int sum = 0;
  start(pool, from(numbers()) | for_each([&](int n) { sum += n; })).wait();
  CHECK(sum == 10);
  start(pool, from(numbers()) | for_each([&](int n) -> task<> {
                sum += n;
                co_return;
              }))
      .wait();
  CHECK(sum == 20);
  std::atomic<int> shared{0};
  start(pool, from(numbers()) | for_each([&](int n) { shared += n; }, {.workers = 3})).wait();
  CHECK(shared == 10);
  start(pool, from(numbers()) | for_each(
                                    [&](int n) -> task<> {
                                      shared += n;
                                      co_return;
                                    },
                                    {.workers = 3}))
      .wait();
  CHECK(shared == 20);
  CHECK_THROWS_AS(from(numbers()) | for_each([](int) {}, {.workers = 0}), std::invalid_argument);
}

TEST_CASE("fold computes, collect gathers") {
  thread_pool pool(2);
  auto sum = start(pool, from(numbers()) | fold(std::string("="), [](std::string& so_far, int n) {
                           so_far += std::to_string(n);
                         }));
  CHECK(sum.wait() == "=1234");
  auto owners = start(
      pool, from(numbers()) | map([](int n) { return std::make_unique<int>(n); }) | buffer(2) | collect());
  CHECK(owners.finished().wait() == op_status::ok);
  REQUIRE(owners.result().size() == 4);
  CHECK(*owners.result()[3] == 4);
}

TEST_CASE("a sink whose queue is closed stops the pipeline, and loses nothing") {
  bounded_queue<int> in(8);
  bounded_queue<int> out(1);
  for (int n : numbers()) REQUIRE(in.try_push(n) == op_status::ok);
  thread_pool pool(1);
  std::vector<int> lost;
  auto run = start(pool, from(in) | buffer(1) | into(out),
                   [&](const undelivered& message) { lost.push_back(*message.get_if<int>()); });
  out.close();
  run.wait();
  while (auto message = out.try_pop()) lost.push_back(*message);
  while (auto message = in.try_pop()) lost.push_back(*message);
  std::sort(lost.begin(), lost.end());
  CHECK(lost == numbers());
  CHECK_FALSE(in.is_closed());
}
