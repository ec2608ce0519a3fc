// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/stage_info.hpp>

#include <millrace/pipeline/stage_meter.hpp>

#include "support/catch.hpp"

using namespace millrace::detail;

TEST_CASE("the roll gives a meter what it is to have") {
  const stage_info stage{"here"};
  const tally in;
  const worker_meter worker;
  for (const bool is_on : {false, true}) {
    for (const std::size_t most : {0u, 5u}) {
      stage_meter meter;
      meter_roll roll;
      roll.is_on = is_on;
      roll.most_spans = most;
      roll.add_crew(worker);
      roll.add(stage, in, &meter);
      roll.add(stage, in, nullptr);
      CHECK((meter.service != nullptr) == is_on);
      CHECK((meter.log != nullptr) == (is_on && most > 0));
      CHECK(roll.entries.size() == 2);
      CHECK(roll.crews[0].stages.size() == 2);
    }
  }
}
