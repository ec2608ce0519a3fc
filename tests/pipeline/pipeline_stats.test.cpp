// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/pipeline_stats.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <millrace/pipeline/branches.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/pipeline/timed_stages.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/wait/after.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"
#include "support/virtual_time.hpp"

using namespace millrace;
using support::numbers;
using namespace std::chrono_literals;
using support::virtual_time;

namespace {

const stage_stats& stage(const pipeline_stats& stats, const std::string& name) {
  for (const stage_stats& each : stats.stages) {
    if (each.name == name) return each;
  }
  throw std::out_of_range("no stage " + name);
}

bool is_about(std::chrono::nanoseconds span, std::chrono::nanoseconds expected) {
  return span >= expected - 3ns && span <= expected + 3ns;
}

const auto same = [](int n) { return n; };
const auto sleeps_10ms = [](int n) -> task<int> {
  (void)co_await sleep_for(10ms);
  co_return n;
};

constexpr run_options all{.sample_every = 1};

}  // namespace

TEST_CASE("samples tell their median, their mean and the longest") {
  time_samples none;
  CHECK(none.quantile(0.5) == 0ns);
  CHECK(none.mean() == 0ns);
  detail::histogram h;
  for (int i = 1; i <= 100; ++i) h.add(std::chrono::microseconds(i));
  time_samples samples;
  samples.add(h);
  CHECK(samples.count() == 100);
  CHECK(samples.mean() == 50'500ns);
  CHECK(samples.longest() == 100us);
  CHECK(samples.quantile(0.5) >= 50us);
  CHECK(samples.quantile(0.5) <= 57us);
  CHECK(samples.quantile(0.99) >= 99us);
  CHECK(samples.quantile(1) == 100us);
  CHECK(samples.quantile(0) >= 1us);
  samples.add(h);
  CHECK(samples.count() == 200);
  CHECK(samples.sum() == 10'100us);
}

TEST_CASE("every stage counts what it has begun to work on, and what it has given") {
  thread_pool pool(2);
  auto run = start(pool, from(numbers(100)) | map(same) | filter([](int n) { return n % 4 == 0; }) |
                             flat_map([](int n) { return std::vector<int>(2, n); }) | tap([](int) {}) |
                             batch(10) | unbatch() | map(same, {.workers = 2, .name = "wide"}) |
                             map(same, {.workers = 2, .ordered = true, .name = "ordered"}) | collect());
  CHECK(run.wait().size() == 50);
  const pipeline_stats stats = run.stats();
  const auto counts = [&](const char* name, std::uint64_t in, std::uint64_t out) {
    CHECK(stage(stats, name).in == in);
    CHECK(stage(stats, name).out == out);
  };
  counts("from #0", 100, 100);
  counts("map #1", 100, 100);
  counts("filter #2", 100, 25);
  counts("flat_map #3", 25, 50);
  counts("tap #4", 50, 50);
  counts("batch #5", 50, 5);
  counts("unbatch #6", 5, 50);
  counts("wide", 50, 50);
  counts("ordered", 50, 50);
  counts("collect #9", 50, 50);
  CHECK(stats.undelivered == 0);
  CHECK(stage(stats, "wide").workers == 2);
  CHECK(stage(stats, "wide").has_queue);
  CHECK(stage(stats, "wide").capacity == 64);
  CHECK(!stage(stats, "tap #4").has_queue);
  for (std::size_t i = 1; i < stats.stages.size(); ++i) {
    CHECK(stats.stages[i].from == std::vector<std::size_t>{i - 1});
  }
}

TEST_CASE("branches are counted, and know where they come from") {
  thread_pool pool(2);
  bounded_queue<int> out(64);
  auto first = from(numbers(3));
  auto merged =
      merge(std::move(first), from(numbers(4)) | map(same)) | by_key([](int n) { return n; }, 2) | map(same) |
      partition([](int n) { return n > 0; }, into(out), tee(for_each([](int) {}), for_each([](int) {})));
  auto run = start(pool, std::move(merged));
  run.wait();
  const pipeline_stats stats = run.stats();
  const auto of = [&](const char* kind) {
    for (std::size_t i = 0; i < stats.stages.size(); ++i) {
      if (stats.stages[i].name.rfind(kind, 0) == 0) return i;
    }
    return stats.stages.size();
  };
  CHECK(stats.stages[of("merge")].in == 7);
  CHECK(stats.stages[of("merge")].from.size() == 2);
  CHECK(stats.stages[of("by_key")].in == 7);
  CHECK(stats.stages[of("by_key")].from == std::vector<std::size_t>{of("merge")});
  CHECK(stats.stages[of("partition")].out == 7);
  CHECK(stats.stages[of("into")].in == 5);
  CHECK(stats.stages[of("into")].from == std::vector<std::size_t>{of("partition")});
  CHECK(stats.stages[of("tee")].in == 2);
  CHECK(stats.stages[of("for_each")].in == 2);
  CHECK(stats.stages[of("for_each")].from == std::vector<std::size_t>{of("tee")});
}

TEST_CASE("errors and attempts are counted") {
  virtual_time time;
  bounded_queue<failed<int>> letters(16);
  const auto odd = [](const int& n) { return n % 2 == 1 ? throw std::runtime_error("odd") : n; };
  const auto odd_later = [=](int n) -> task<int> { co_return odd(n); };
  const retry twice{.attempts = 3, .first = 10ms, .factor = 1, .jitter = 0};
  const auto of = [&](auto what) {
    auto run = start(time, from(numbers(5)) | std::move(what) | collect(), all);
    time.advance(1s);
    CHECK(run.wait() == std::vector<int>{0, 2, 4});
    const pipeline_stats stats = run.stats();
    const stage_stats& map = stats.stages[1];
    CHECK(map.in == 5);
    CHECK(map.out == 3);
    CHECK(map.errors == 6);
    CHECK(map.retries == 4);
    std::chrono::nanoseconds paused{};
    for (const worker_stats& each : stats.workers) paused += each.paused;
    CHECK(is_about(paused, 40ms));
    CHECK(stats.undelivered + letters.size_approx() == 2);
    while (letters.try_pop()) {
    }
  };
  of(map(odd).on_error(twice, skip()));
  of(map(odd_later).on_error(twice, dead_letter(letters)));
  of(map(odd, {.workers = 1}).on_error(twice, dead_letter(letters)));
  of(map(odd_later, {.workers = 2, .ordered = true}).on_error(twice, skip()));
}

TEST_CASE("times are those of the executor's clock, and add up") {
  virtual_time time;
  bounded_queue<int> in(16);
  bounded_queue<int> out(1);
  auto run = start(
      time, from(in) | map(sleeps_10ms) | map(sleeps_10ms, {.workers = 1, .capacity = 2}) | into(out), all);
  time.advance(5ms);  // it starves
  for (int n = 0; n < 3; ++n) REQUIRE(in.try_push(n) == op_status::ok);
  time.advance(
      60ms);  // their results come at 25, 35 and 45 ms, but the second one waits for the first to be taken
  CHECK(out.try_pop());
  time.advance(35ms);
  pipeline_stats stats = run.stats();
  CHECK(is_about(stats.elapsed, 100ms));
  CHECK(stage(stats, "map #1").service.count() == 3);
  CHECK(is_about(stage(stats, "map #1").service.mean(), 10ms));
  CHECK(stage(stats, "map #2").waiting.count() == 3);
  CHECK(is_about(stage(stats, "map #2").waiting.longest(), 30ms));  // the third, from 35 to 65 ms
  REQUIRE(stats.workers.size() == 2);
  CHECK(is_about(stats.workers[0].busy, 30ms));
  CHECK(is_about(stats.workers[0].starved, 5ms + 65ms));
  CHECK(is_about(stats.workers[1].busy, 30ms));
  CHECK(is_about(stats.workers[1].starved, 15ms));
  CHECK(is_about(stats.workers[1].blocked, 30ms + 25ms));  // and since 75 ms
  in.close();
  CHECK(out.try_pop());
  time.advance(0s);
  CHECK(out.try_pop());
  run.wait();
  stats = run.stats();
  for (const worker_stats& each : stats.workers) {
    CHECK(is_about(each.busy + each.starved + each.blocked + each.paused, 100ms));
  }
}

TEST_CASE("the time that a stage takes for the elements of a message is its own") {
  virtual_time time;
  const auto slowly = [&](int n) {
    time.advance(1ms);
    return [&time, n, left = 2]() mutable -> std::optional<int> {
      time.advance(2ms);
      if (left-- == 0) return std::nullopt;
      return n;
    };
  };
  auto run = start(time, from(numbers(3)) | flat_map(slowly) | collect(), all);
  time.advance(0s);
  CHECK(run.wait() == std::vector<int>{0, 0, 1, 1, 2, 2});
  const pipeline_stats stats = run.stats();
  CHECK(stage(stats, "flat_map #1").service.count() == 3);
  CHECK(is_about(stage(stats, "flat_map #1").service.mean(), 7ms));
  CHECK(is_about(stage(stats, "flat_map #1").service.longest(), 7ms));
}

TEST_CASE("a queue tells how long messages waited in it, and how many it had") {
  virtual_time time;
  auto run = start(
      time, from(numbers(4)) | map(same) | map(sleeps_10ms, {.workers = 1, .capacity = 8}) | collect(), all);
  time.advance(5ms);
  CHECK(stage(run.stats(), "map #2").depth == 3);
  time.advance(1s);
  run.wait();
  const pipeline_stats stats = run.stats();
  CHECK(is_about(stage(stats, "map #2").waiting.longest(), 30ms));
  CHECK(is_about(stage(stats, "map #2").waiting.mean(), 15ms));
  CHECK(stage(stats, "map #2").peak == 3);
  CHECK(stage(stats, "map #2").depth == 0);
}

TEST_CASE("an ordered stage tells its times too") {
  virtual_time time;
  auto run = start(
      time, from(numbers(4)) | map(sleeps_10ms, {.workers = 2, .ordered = true, .capacity = 4}) | collect(),
      all);
  time.advance(1s);
  run.wait();
  const pipeline_stats stats = run.stats();
  CHECK(stage(stats, "map #1").service.count() == 4);
  CHECK(is_about(stage(stats, "map #1").service.mean(), 10ms));
  CHECK(is_about(stage(stats, "map #1").waiting.longest(), 10ms));
  CHECK(stage(stats, "map #1").peak > 0);
  CHECK(stage(stats, "map #1").capacity == 4);
}

TEST_CASE("one in so many is timed, or none, and all are counted") {
  for (const std::size_t every : {0u, 10u}) {
    virtual_time time;
    auto run = start(time, from(numbers(100)) | map(same) | map(same, {.workers = 1}) | collect(),
                     run_options{.sample_every = every});
    time.advance(0s);
    CHECK(run.wait().size() == 100);
    const pipeline_stats stats = run.stats();
    CHECK(stage(stats, "map #1").in == 100);
    CHECK(stage(stats, "map #1").service.count() == every);
    CHECK(stage(stats, "map #2").service.count() == every);
    CHECK(stage(stats, "map #2").waiting.count() == every);
  }
}

TEST_CASE("a trace has the first spans of each worker") {
  virtual_time time;
  auto run = start(time, from(numbers(5)) | map(sleeps_10ms) | map(same, {.workers = 1}) | collect(),
                   run_options{.sample_every = 1, .most_spans = 3});
  time.advance(1s);
  run.wait();
  const std::vector<stage_span> spans = run.trace();
  REQUIRE(spans.size() == 9);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(spans[i].stage == "map #1");
    CHECK(spans[i].worker == 0);
    CHECK(is_about(spans[i].began, i * 10ms));
    CHECK(is_about(spans[i].span, 10ms));
    CHECK(spans[3 + i].stage == "map #2");
    CHECK(spans[3 + i].worker == 1);
    CHECK(spans[6 + i].stage == "collect #3");
  }
  auto untraced = start(time, from(numbers(5)) | map(same) | collect());
  time.advance(0s);
  untraced.wait();
  CHECK(untraced.trace().empty());
}
