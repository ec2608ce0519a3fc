// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/chain.hpp>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <millrace/pipeline/pipeline_graph.hpp>

#include "support/catch.hpp"

namespace {

using namespace millrace::detail;

const stage_info stage{"here"};

template <class Chain>
auto next(Chain& chain) {
  std::optional<typename Chain::output> message;
  const bool is_filled = chain.next(message);
  CHECK(is_filled == message.has_value());
  return message;
}

}  // namespace

TEST_CASE("a message that was put in stays at the start until it is asked for, once") {
  chain_start<int> chain(stage);
  chain.put(4);
  std::vector<int> left;
  const auto lose = [&](int message, const stage_info& at) noexcept {
    if (&at == &stage) left.push_back(message);
  };
  chain.abandon(lose);
  CHECK(left == std::vector<int>{4});
  chain.abandon(lose);
  CHECK(left.size() == 1);
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
