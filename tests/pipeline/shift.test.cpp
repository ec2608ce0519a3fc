// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/shift.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/detached.hpp>

#include "support/catch.hpp"
#include "support/virtual_time.hpp"

using namespace millrace;
using namespace millrace::detail;
using namespace std::chrono_literals;

namespace {

detached work(shift& s, bounded_queue<int>& q) {
  const on_shift here(s);
  s.expects(wait_kind::starved);
  (void)co_await q.pop();
  s.woke();
  s.expects(wait_kind::blocked);
  (void)co_await q.pop();
  s.woke();
  s.woke();
  s.pauses();
  s.woke();
}

std::uint64_t in(const worker_meter& meter, wait_kind kind) {
  return meter.waits[static_cast<std::size_t>(kind)].get() / 1'000'000;
}

}  // namespace

TEST_CASE("a shift counts how long its worker slept, and what for") {
  for (const bool is_on : {true, false}) {
    support::virtual_time time;
    pipeline_graph graph;
    graph.start(time, nullptr, is_on ? 1 : 0);
    bounded_queue<int> q(1);
    shift s;
    detached worker = work(s, q);
    s.enroll(graph.roll(), worker, graph);
    std::move(worker).post({.executor = time}, [](void*) noexcept {}, nullptr);
    time.advance(1ms);
    CHECK((s.meter().asleep_since.get() != 0) == is_on);
    time.advance(4ms);
    REQUIRE(q.try_push(1) == op_status::ok);
    time.advance(7ms);
    REQUIRE(q.try_push(1) == op_status::ok);
    time.advance(1s);
    CHECK(in(s.meter(), wait_kind::starved) == (is_on ? 5 : 0));
    CHECK(in(s.meter(), wait_kind::blocked) == (is_on ? 7 : 0));
    CHECK(in(s.meter(), wait_kind::paused) == 0);
    CHECK(s.meter().asleep_since.get() == 0);
    CHECK((s.meter().ended.get() / 1'000'000) == (is_on ? 12 : 0));
  }
}
