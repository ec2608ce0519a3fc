// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/stage_meter.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <millrace/pipeline/stage_info.hpp>

#include "support/catch.hpp"

using namespace millrace::detail;
using namespace std::chrono_literals;

TEST_CASE("a tally counts, and a copy of it begins anew") {
  tally t;
  t.add();
  t.add(4);
  CHECK(t.get() == 5);
  t.raise(3);
  CHECK(t.get() == 5);
  t.raise(8);
  CHECK(t.get() == 8);
  CHECK(tally(t).get() == 0);
}

TEST_CASE("the buckets of a histogram follow each other without a gap, each an eighth wide at most") {
  CHECK(histogram::bucket_of(0) == 0);
  for (std::size_t bucket = 0; bucket + 1 < histogram::size; ++bucket) {
    const std::uint64_t last = histogram::last_of(bucket);
    CHECK(histogram::bucket_of(last) == bucket);
    CHECK(histogram::bucket_of(last + 1) == bucket + 1);
    if (bucket > 0) CHECK(last - histogram::last_of(bucket - 1) <= last / 8 + 1);
  }
  CHECK(histogram::last_of(histogram::size - 1) == (std::uint64_t(1) << 40) - 1);
  CHECK(histogram::bucket_of(~std::uint64_t(0)) == histogram::size - 1);
}

TEST_CASE("a histogram knows its sum and the longest time exactly") {
  histogram h;
  h.add(3ns);
  h.add(1h);
  h.add(-1ns);  // a clock that steps back
  CHECK(h.count(3) == 1);
  CHECK(h.count(0) == 1);
  CHECK(h.count(histogram::size - 1) == 1);
  CHECK(h.longest() == 3'600'000'000'000);
  CHECK(h.sum() == 3'600'000'000'003);
}

TEST_CASE("a trace log keeps the first spans") {
  trace_log log(2);
  stage_meter meter;
  meter.service = std::make_unique<histogram>();
  meter.log = &log;
  const stage_info stage{"here"};
  for (std::uint64_t i = 0; i < 3; ++i) meter.record(stage, i, 2 * i + 4);
  REQUIRE(log.spans().size() == 2);
  CHECK(log.spans()[1].began == 1);
  CHECK(log.spans()[1].ended == 6);
  CHECK(meter.service->sum() == 4 + 5 + 6);
}
