// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/fused_stages.hpp>

#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/function_nodes.hpp>
#include <millrace/pipeline/source.hpp>
#include <millrace/queue/bounded_queue.hpp>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

using namespace millrace;
using namespace millrace::detail;

namespace {

/// A part between two edges whose stage passes on what it is given, but throws at 3.
struct between {
  pipeline_graph graph;
  const stage_info& stage = graph.add_stage("map", {});
  pipeline_edge<int>& in = graph.add_edge<pipeline_edge<int>>(8, overflow_policy::wait, stage);
  pipeline_edge<int>& out = graph.add_edge<pipeline_edge<int>>(8, overflow_policy::wait, stage);
  support::manual_executor home;

  explicit between(std::size_t workers) {
    const auto pass = [](int n) { return n == 3 ? throw std::runtime_error("three") : n; };
    using chain = map_node<chain_start<int>, decltype(pass)>;
    in.add_writer();
    graph.add_part(std::make_unique<fused_stages<edge_input<int>, chain, waits_not, edge_output<int>>>(
        graph, edge_input<int>(in), chain(chain_start<int>(stage), pass, stage), waits_not{},
        edge_output<int>(out), workers));
    for (int n : {1, 2, 3, 4}) REQUIRE(in.push(std::move(n), 0).wait());
    graph.start(home, nullptr);
  }
  void run() {
    while (home.run_one()) {
    }
  }
};

}  // namespace

TEST_CASE("a part passes messages on until its stage throws") {
  between part(2);
  CHECK(part.home.posted() == 2);
  part.run();
  CHECK_THROWS_WITH(part.graph.joined(), "three");
  CHECK(part.out.queue().is_closed());
  CHECK(part.in.queue().is_closed());
  CHECK(part.graph.lost() == 4);  // the one that it threw at; and nobody reads the output
}

TEST_CASE("a part that is stopped before it runs takes nothing") {
  between part(1);
  part.graph.stop();
  part.run();
  part.graph.joined();
  CHECK(part.out.queue().is_closed());
  CHECK(part.graph.lost() == 4);
}
