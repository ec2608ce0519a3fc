// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/report.hpp>

#include <chrono>
#include <string>
#include <utility>

#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/task.hpp>

#include "support/catch.hpp"
#include "support/virtual_time.hpp"

using namespace millrace;
using namespace std::chrono_literals;
using support::virtual_time;

namespace {

time_samples samples(std::chrono::nanoseconds a, std::chrono::nanoseconds b) {
  detail::histogram h;
  h.add(a);
  h.add(b);
  time_samples s;
  s.add(h);
  return s;
}

/// from -> parse -> into, where parse is what takes long.
pipeline_stats example() {
  pipeline_stats stats;
  stats.elapsed = 10ms;
  stats.undelivered = 1;
  stage_stats from;
  from.name = "from #0";
  from.workers = 1;
  from.in = from.out = 10;
  stage_stats parse;
  parse.name = "parse";
  parse.from = {0};
  parse.workers = 2;
  parse.in = 9;
  parse.out = 7;
  parse.errors = 3;
  parse.retries = 1;
  parse.has_queue = true;
  parse.depth = 1;
  parse.peak = 4;
  parse.capacity = 64;
  parse.waiting = samples(1us, 3us);
  parse.service = samples(500us, 1500us);
  stage_stats into;
  into.name = "into \"out\"";
  into.from = {1};
  into.workers = 2;
  into.in = into.out = 7;
  stats.stages = {from, parse, into};
  stats.workers = {{{}, 1, 1ms, 0ns, 9ms, 0ns}, {{1, 2}, 2, 16ms, 2ms, 0ns, 2ms}};
  stats.workers[0].stages.push_back(0);
  return stats;
}

}  // namespace

TEST_CASE("the table has a line for each stage and for the workers") {
  CHECK(
      table(example()) ==
      R"(stage       workers  in  out  errors  retries  queue  peak  wait p50      p99      max  work p50      p99      max    total
from #0           1  10   10       0        0                                                                          0 ns
parse             2   9    7       3        1   1/64     4   1.02 us  3.00 us  3.00 us    524 us  1.50 ms  1.50 ms  1.00 ms
into "out"        2   7    7       0        0                                                                       1.00 ms

workers of          workers  busy  starved  blocked  paused
from #0                   1  10 %      0 %     90 %     0 %
parse | into "out"        2  80 %     10 %      0 %    10 %

elapsed 10.0 ms, undelivered 1
)");
}

TEST_CASE("times have three digits and a unit") {
  CHECK(detail::short_time(0ns) == "0 ns");
  CHECK(detail::short_time(999ns) == "999 ns");
  CHECK(detail::short_time(1000ns) == "1.00 us");
  CHECK(detail::short_time(12'345ns) == "12.3 us");
  CHECK(detail::short_time(123'456us) == "123 ms");
  CHECK(detail::short_time(999'600us) == "1.00 s");
  CHECK(detail::short_time(1h) == "3600 s");
}

TEST_CASE("the pictures have the stages, and what went between them") {
  CHECK(mermaid(example()) ==
        "flowchart LR\n"
        "  s0[\"from #0\"]\n"
        "  s1[\"parse x2<br>1.00 ms<br>3 errors\"]\n"
        "  s0 -->|10, 1 of 64 wait| s1\n"
        "  s2[\"into out x2\"]\n"
        "  s1 -->|7| s2\n");
  CHECK(graphviz(example()) ==
        "digraph pipeline {\n"
        "  rankdir=LR;\n"
        "  node [shape=box];\n"
        "  s0 [label=\"from #0\"];\n"
        "  s1 [label=\"parse x2\\n1.00 ms\\n3 errors\"];\n"
        "  s0 -> s1 [label=\"10, 1 of 64 wait\"];\n"
        "  s2 [label=\"into out x2\"];\n"
        "  s1 -> s2 [label=\"7\"];\n"
        "}\n");
}

TEST_CASE("the stage that the others wait for is named") {
  CHECK(bottleneck(example()) ==
        "Most of all waits for parse: its 2 workers are busy 80 % of the time, paused 10 %, 1.00 ms for a "
        "message; 1 "
        "of 64 wait before it.");
  pipeline_stats one = example();
  one.workers.resize(1);
  CHECK(bottleneck(one) == "Most of all waits for from #0: its 1 worker is busy 10 % of the time.");
  CHECK(bottleneck({}) == "Nothing has run yet.");
  one.workers.front().busy = one.workers.front().blocked = 0ns;
  CHECK(bottleneck(one) == "Nothing has run yet.");
  CHECK(table(one).find("from #0           1   0 %      0 %      0 %     0 %") != std::string::npos);
  pipeline_stats two = example();
  std::swap(two.workers[0], two.workers[1]);
  std::swap(two.workers[0].stages[0], two.workers[0].stages[1]);
  CHECK(bottleneck(two) == bottleneck(example()));
}

TEST_CASE("a name may have what a picture's language has a meaning for") {
  pipeline_stats odd = example();
  odd.stages[2].name = "a\\\"b";
  CHECK(graphviz(odd).find("s2 [label=\"ab x2\"]") != std::string::npos);
}

TEST_CASE("the total of a stage is that of all before it, whatever their order") {
  pipeline_stats stats = example();
  stats.stages[0].from = {2};  // now: parse -> into -> from
  stats.stages[1].from = {};
  const auto totals = detail::total_times(stats);
  CHECK(totals[1] == 1'002us);
  CHECK(totals[0] == 1'002us);
}

TEST_CASE("a trace is JSON, with what a name may not have in it escaped") {
  CHECK(chrome_trace({}) == "{\"traceEvents\":[\n]}\n");
  CHECK(chrome_trace({{"parse", 0, 1500ns, 2us}, {"a \"b\"\\\n", 3, 1ms, 4ns}}) ==
        "{\"traceEvents\":[\n"
        "{\"name\":\"parse\",\"ph\":\"X\",\"pid\":1,\"tid\":0,\"ts\":1.500,\"dur\":2.000},\n"
        "{\"name\":\"a \\\"b\\\"\\\\ \",\"ph\":\"X\",\"pid\":1,\"tid\":3,\"ts\":1000.000,\"dur\":0.004}\n"
        "]}\n");
}

TEST_CASE("a pipeline in which nothing moves says what it waits for") {
  virtual_time time;
  bounded_queue<int> in(8);
  bounded_queue<int> gate(1);
  bounded_queue<int> out(1);
  const auto waits = [&](int n) -> task<int> {
    static_cast<void>(co_await gate.pop());
    co_return n;
  };
  const auto fails = [](const int& n) { return n == 3 ? throw 3 : n; };
  const retry rarely{.attempts = 2, .first = 1h, .jitter = 0};
  auto run = start(time, from(in) | map(waits) | map(fails).on_error(rarely, skip()) | into(out),
                   run_options{.sample_every = 1});
  const auto stall = [&] {
    time.advance(0s);
    const pipeline_stats before = run.stats();
    time.advance(10s);
    return stalled(before, run.stats());
  };
  CHECK(stall().empty());  // there is nothing to do
  for (int n = 1; n < 4; ++n) REQUIRE(in.try_push(n) == op_status::ok);
  CHECK(stall() == "Nothing has moved for 10.0 s: map #1 is at work on a message.\n");
  const auto open_gate = [&] { REQUIRE(gate.push(0).wait()); };
  open_gate();
  time.advance(0s);
  open_gate();
  CHECK(stall() == "Nothing has moved for 10.0 s: map #1 is at work on a message.\n");
  open_gate();
  CHECK(stall() == "Nothing has moved for 10.0 s: map #2 | into #3 has a message that nobody takes.\n");
  CHECK(out.try_pop());
  CHECK(stall() ==
        "Nothing has moved for 10.0 s: map #2 | into #3 waits for another attempt, or is throttled.\n");
  time.advance(0s);
  const pipeline_stats before = run.stats();
  in.close();
  time.advance(2h);
  CHECK(out.try_pop());
  time.advance(0s);
  run.wait();
  CHECK(stalled(before, run.stats()).empty());
  CHECK(stalled({}, before).empty());
  pipeline_stats fewer = before;
  fewer.workers.pop_back();
  CHECK(stalled(fewer, before).empty());
}
