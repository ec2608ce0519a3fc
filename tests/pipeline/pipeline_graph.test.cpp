// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/pipeline_graph.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using namespace millrace::detail;
using millrace::op_status;
using millrace::overflow_policy;

/// A part with workers that end when they run, and that says what is asked of it.
class scripted_part final : public pipeline_part {
 public:
  scripted_part(pipeline_graph& graph, std::vector<std::string>& told, bool fails = false)
      : pipeline_part(graph), told_(told), fails_(fails) {}

  void prepare() override {
    for (int i = 0; i < 2; ++i) workers_.push_back(work(*this));
  }
  void close_input() noexcept override { told_.emplace_back("close input"); }
  std::exception_ptr end_reason() const noexcept override { return nullptr; }
  void close_output(const std::exception_ptr& why) noexcept override {
    told_.emplace_back(why ? "fail output" : "close output");
  }
  void abandon() noexcept override { told_.emplace_back("abandon"); }

 private:
  static detached work(scripted_part& self) {
    if (self.fails_) self.graph().fail(self, std::make_exception_ptr(std::runtime_error("failed")));
    co_return;
  }

  std::vector<std::string>& told_;
  const bool fails_;
};

/// A push that somebody seems to wait for; but when it is done, the queue is closed.
struct disappointed_push {
  using traits = millrace::default_traits;
  using result_type = millrace::push_result<int>;
  int in_hand;
  explicit disappointed_push(int n) noexcept : in_hand(n) {}
  bool attempt_fast() noexcept { return false; }
  bool sees_partner() const noexcept { return true; }
  bool attempt() noexcept { return true; }
  bool park(waiter<traits>&) noexcept { return false; }
  bool withdraw(waiter<traits>&) noexcept { return false; }
  void refuse(op_status) noexcept {}
  const void* parks_at() const noexcept { return this; }
  int& message() noexcept { return in_hand; }
  result_type take_result() noexcept { return {op_status::closed, std::move(in_hand)}; }
};

struct disappointing_output {
  int pushed = 0;
  static auto push(int& message, std::size_t, std::uint64_t) noexcept {
    return millrace::operation<disappointed_push>(std::in_place_type<disappointed_push>, message);
  }
  bool has_pushed(pipeline_graph&, millrace::push_result<int>&&, int&, std::uint64_t) noexcept {
    return ++pushed != 0;
  }
};

}  // namespace

TEST_CASE("a message that cannot be handed over is back") {
  pipeline_graph graph;
  disappointing_output to;
  std::optional<int> message = 7;
  CHECK_FALSE(graph.hands_over(to, message, 0));
  CHECK(message == 7);
  CHECK(to.pushed == 0);
}

TEST_CASE("stages have the names that they were given, or their kinds and places") {
  pipeline_graph graph;
  CHECK(graph.add_stage("from", {}).name == "from #0");
  CHECK(graph.add_stage("map", "parse").name == "parse");
  CHECK(graph.add_stage("map", {}).name == "map #2");
}

TEST_CASE("an edge closes with its last writer, or with the first that fails") {
  const stage_info reader{"reader"};
  pipeline_edge<int> edge(1, overflow_policy::wait, reader);
  edge.add_writer();
  edge.add_writer();
  edge.end_writer(nullptr);
  CHECK_FALSE(edge.queue().is_closed());
  edge.end_writer(nullptr);
  CHECK(edge.queue().is_closed());

  pipeline_edge<int> failed(1, overflow_policy::wait, reader);
  failed.add_writer();
  failed.add_writer();
  failed.end_writer(std::make_exception_ptr(1));
  CHECK(failed.queue().is_closed());
  CHECK(failed.queue().close_reason() != nullptr);
}

TEST_CASE("a part that ends closes its output; the last one ends the pipeline") {
  support::manual_executor home;
  pipeline_graph graph;
  std::vector<std::string> first;
  std::vector<std::string> second;
  graph.add_part(std::make_unique<scripted_part>(graph, first));
  graph.add_part(std::make_unique<scripted_part>(graph, second));
  graph.start(home, nullptr);
  home.run_one();
  CHECK(first.empty());
  home.run_one();
  CHECK(first == std::vector<std::string>{"close output"});
  CHECK_FALSE(graph.counter().idle());
  home.run_one();
  home.run_one();
  CHECK(first == std::vector<std::string>{"close output", "abandon"});
  CHECK(second == first);
  CHECK(graph.counter().idle());
  graph.joined();
}

TEST_CASE("a failure goes down as a reason, and up as a stop") {
  support::manual_executor home;
  pipeline_graph graph;
  std::vector<std::string> above;
  std::vector<std::string> told;
  auto source = std::make_unique<scripted_part>(graph, above);
  auto part = std::make_unique<scripted_part>(graph, told, true);
  part->above.push_back(source.get());
  graph.add_part(std::move(part));
  graph.add_part(std::move(source));
  graph.start(home, nullptr);
  home.run_one();
  CHECK(told == std::vector<std::string>{"fail output", "close input"});
  CHECK(above == std::vector<std::string>{"close input"});
  CHECK(graph.intake().stop_requested());
  while (home.run_one()) {
  }
  CHECK_THROWS_WITH(graph.joined(), "failed");
  CHECK(graph.error() != nullptr);
}

TEST_CASE("of two parts that fail, the first one says why") {
  support::manual_executor home;
  pipeline_graph graph;
  std::vector<std::string> told;
  for (int i = 0; i < 2; ++i) graph.add_part(std::make_unique<scripted_part>(graph, told, true));
  graph.start(home, nullptr);
  home.run_one();
  const std::exception_ptr first = graph.error();
  CHECK(first != nullptr);
  while (home.run_one()) {
  }
  CHECK(graph.error() == first);
}

TEST_CASE("a part that fails because it was stopped does not fail the pipeline") {
  support::manual_executor home;
  pipeline_graph graph;
  std::vector<std::string> told;
  graph.add_part(std::make_unique<scripted_part>(graph, told, true));
  graph.start(home, nullptr);
  graph.stop();
  while (home.run_one()) {
  }
  graph.joined();
  CHECK(graph.error() == nullptr);
  CHECK(told == std::vector<std::string>{"close input", "close output", "abandon"});
}
