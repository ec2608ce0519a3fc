// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/chain.hpp>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <millrace/pipeline/pipeline_graph.hpp>

#include "support/catch.hpp"
#include "support/chains.hpp"

namespace {

using namespace millrace::detail;
using support::left;
using support::next;
using support::stage;

}  // namespace

TEST_CASE("a message that was put in stays at the start until it is asked for, once") {
  chain_start<int> chain(stage);
  chain.put(4);
  CHECK(left<int>(chain) == std::vector<int>{4});
  CHECK(left<int>(chain).empty());
  chain.put(5);
  CHECK(next(chain) == std::optional<int>(5));
  CHECK_FALSE(next(chain));
  CHECK_FALSE(chain.pause());
}

TEST_CASE("a chain can be copied, without its messages, whatever they are") {
  chain_start<std::unique_ptr<int>> chain(stage);
  chain.put(std::make_unique<int>(1));
  auto copy = chain;
  CHECK_FALSE(next(copy));
  CHECK(**next(chain) == 1);
}
