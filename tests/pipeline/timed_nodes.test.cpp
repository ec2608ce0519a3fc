// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/timed_nodes.hpp>

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>

#include "support/catch.hpp"
#include "support/chains.hpp"

namespace {

using namespace millrace::detail;
using support::all;
using support::left;
using support::stage;

using start_node = chain_start<int>;
start_node start() {
  return support::chain_of_ints();
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
