// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/ordered_stage.hpp>

#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include <millrace/pipeline/fused_stages.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

using namespace millrace;
using namespace millrace::detail;

namespace {

/// An ordered stage between its edge and another; the test pushes by hand.
struct between {
  pipeline_graph graph;
  const stage_info& stage = graph.add_stage("map", {});
  ordered_edge<int, int>& in = graph.add_edge<ordered_edge<int, int>>(2, stage);
  ordered_output<int, int> writer{in};
  pipeline_edge<int>& out = graph.add_edge<pipeline_edge<int>>(8, overflow_policy::wait, stage);
  support::manual_executor home;

  between() {
    const auto negate = [](int n) { return -n; };
    graph.add_part(std::make_unique<ordered_stage<int, decltype(negate), fails, edge_output<int>>>(
        graph, in, negate, fails(), edge_output<int>(out), 2));
    graph.start(home, nullptr);
  }
  bool push(int n) {
    auto permit = writer.push(n, 0, 0).wait();
    return writer.has_pushed(graph, std::move(permit), n, 0);
  }
  void run() {
    while (home.run_one()) {
    }
  }
};

}  // namespace

TEST_CASE("an ordered stage lets in what its window holds, and gives permits back") {
  between part;
  CHECK(part.push(1));
  CHECK(part.push(2));
  CHECK_FALSE(part.in.permits().try_pop());
  part.run();
  CHECK(part.out.queue().try_pop()->message == -1);
  CHECK(part.out.queue().try_pop()->message == -2);
  CHECK(part.push(3));
  part.run();
  CHECK(part.out.queue().try_pop()->message == -3);
  part.writer.close(nullptr);
  part.run();
  CHECK(part.out.queue().is_closed());
  part.graph.joined();
  CHECK(part.graph.lost() == 0);
}

TEST_CASE("an ordered stage that is closed hands back what comes, and what waits in it") {
  between part;
  CHECK(part.push(1));
  part.graph.stop();
  CHECK_FALSE(part.push(2));  // another permit is left, or none: it is handed back either way
  part.run();
  CHECK(part.graph.lost() == 2);
  CHECK(part.out.queue().is_closed());
}
