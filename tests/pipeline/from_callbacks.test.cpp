// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/from_callbacks.hpp>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/callback/callback_registry.hpp>
#include <millrace/callback/topic.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/catch.hpp"
#include "support/virtual_time.hpp"

using namespace millrace;
using namespace std::chrono_literals;
using support::virtual_time;

namespace {

task<> drain(running_pipeline<void>& run) {
  static_cast<void>(co_await run.drain(1h));
}

}  // namespace

TEST_CASE("what is published goes through the pipeline, from its start until it takes no more in") {
  virtual_time time;
  const topic<std::string> words("words");
  bounded_queue<std::string> out(8);
  auto stages = from(words) | map([](const std::string& w) { return w + '!'; }) | into(out);
  words.publish("before");
  auto run = start(time, std::move(stages));
  words.publish("one");
  words.publish("two");
  time.advance(0s);
  CHECK(*out.try_pop() == "one!");
  CHECK(*out.try_pop() == "two!");
  words.publish("three");
  scope drains;
  drains.spawn(time, drain(run));
  time.advance(0s);
  CHECK(out.is_closed());
  drains.join().wait();
  words.publish("after");
  CHECK(*out.try_pop() == "three!");
  CHECK(!out.try_pop());
}

TEST_CASE("a pipeline ends where its registry goes") {
  virtual_time time;
  auto registry = std::make_unique<callback_registry<void(const int&)>>();
  auto run = start(time, from(*registry) | collect());
  for (int n = 0; n < 3; ++n) registry->publish(n);
  time.advance(0s);
  registry.reset();
  time.advance(0s);
  CHECK(run.wait() == std::vector<int>{0, 1, 2});
}

TEST_CASE("what the queue has no room for goes where it is told to") {
  virtual_time time;
  const auto publish_five = [&](overflow_policy overflow) {
    const topic<int> numbers("numbers");
    std::vector<int> handed;
    bounded_queue<int> out(8);
    auto run = start(time, from(numbers, 2, overflow) | into(out),
                     [&](const undelivered& message) { handed.push_back(*message.get_if<int>()); });
    for (int n = 0; n < 5; ++n) numbers.publish(n);
    time.advance(0s);
    run.stop();
    time.advance(0s);
    run.wait();
    CHECK(out.size_approx() == 2);
    return handed;
  };
  CHECK(publish_five(overflow_policy::displace_oldest) == std::vector<int>{0, 1, 2});
  CHECK(publish_five(overflow_policy::reject) == std::vector<int>{2, 3, 4});

  thread_pool pool(1);
  callback_registry<void(int)> registry;
  auto run = start(pool, from(registry, 1, overflow_policy::wait) | collect());
  for (int n = 0; n < 1000; ++n) registry.publish(n);
  static_cast<void>(sync_wait(run.drain(1h)));
  CHECK(run.result().size() == 1000);
}

TEST_CASE("who stops a pipeline while others publish loses nothing, and nothing comes after its end") {
  for (int round = 0; round < 50; ++round) {
    const topic<int> numbers("numbers");
    int handed = 0;
    int seen = 0;
    int published = 0;
    thread_pool pool(1);
    std::thread publisher;
    {
      auto run =
          start(pool, from(numbers) | for_each([&](int) { ++seen; }), [&](const undelivered&) { ++handed; });
      bounded_queue<int> begun(1);
      publisher = std::thread([&] {
        for (; published < 200; ++published) {
          numbers.publish(published);
          if (published == 20) static_cast<void>(begun.try_push(0));
        }
      });
      static_cast<void>(begun.pop().wait());
      run.stop();
      run.wait();
    }
    const int all = handed + seen;
    publisher.join();
    CHECK(handed + seen == all);
    CHECK(all >= 20);
    CHECK(all <= 200);
  }
}

TEST_CASE("a queue of no capacity is refused") {
  const topic<int> numbers("numbers");
  CHECK_THROWS_WITH(
      from(numbers, 0),
      "millrace: from #0 behind a queue of capacity 0 would never get a message: ask for 1 or more");
}
