// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/timed_nodes.hpp>

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>

#include "support/catch.hpp"

namespace {

using namespace millrace::detail;

const stage_info stage{"here"};

/// What next() gives.
template <class Chain>
auto next(Chain& chain) {
  std::optional<typename Chain::output> message;
  const bool is_filled = chain.next(message);
  CHECK(is_filled == message.has_value());
  return message;
}
template <class Chain>
auto all(Chain& chain) {
  std::vector<typename Chain::output> given;
  while (auto message = next(chain)) given.push_back(*std::move(message));
  return given;
}

/// All that is inside.
template <class T, class Chain>
std::vector<T> left(Chain& chain) {
  std::vector<T> given;
  chain.abandon([&](auto&& message, const stage_info& at) noexcept {
    if (at.name != "here") return;
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(message)>, T>)
      given.push_back(std::move(message));
  });
  return given;
}

using start_node = chain_start<int>;
start_node start() {
  return start_node(stage);
}

}  // namespace

TEST_CASE("batches are full, but for the last one") {
  batch_node<start_node> chain(start(), 2, stage);
  chain.put(1);
  CHECK(all(chain).empty());
  chain.put(2);
  CHECK(all(chain) == std::vector<std::vector<int>>{{1, 2}});
  chain.put(3);
  CHECK(all(chain).empty());
  chain.finish();
  CHECK(all(chain) == std::vector<std::vector<int>>{{3}});
  CHECK(all(chain).empty());

  batch_node<start_node> stopped(start(), 3, stage);
  for (int n : {1, 2}) {
    stopped.put(std::move(n));
    CHECK(all(stopped).empty());
  }
  CHECK(left<int>(stopped) == std::vector<int>{1, 2});
}
