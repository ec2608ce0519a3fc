// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/flow.hpp>

#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/pipeline/timed_stages.hpp>
#include <millrace/task/task.hpp>

#include "support/catch.hpp"

using namespace millrace;

namespace {

template <class Flow>
constexpr bool is_open = false;
template <class Input, class Chain, class Waiting>
constexpr bool is_open<detail::flow<Input, Chain, Waiting, true>> = true;

}  // namespace

TEST_CASE("a flow knows what it carries, and whether the next stage may join its last part") {
  const auto source = [] { return from(std::vector<int>{1}); };
  auto fused = source() | map([](int n) { return n * 1.5; }) | filter([](double) { return true; });
  CHECK(std::is_same_v<decltype(fused)::value_type, double>);
  CHECK(is_open<decltype(fused)>);
  auto waits = source() | map([](int n) -> task<long> { co_return n; });
  CHECK(std::is_same_v<decltype(waits)::value_type, long>);
  CHECK_FALSE(is_open<decltype(waits)>);
  auto wide = source() | map([](int n) { return n; }, {.workers = 2});
  CHECK_FALSE(is_open<decltype(wide)>);
  auto behind = std::move(wide) | batch(2);
  CHECK(std::is_same_v<decltype(behind)::value_type, std::vector<int>>);
  CHECK(is_open<decltype(behind)>);
}
