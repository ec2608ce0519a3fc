// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/from.hpp>

#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/make_channel.hpp>
#include <millrace/queue/unbounded_queue.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/catch.hpp"

using namespace millrace;

namespace {

/// All that comes from there.
template <class Flow>
auto all(Flow&& flow) {
  thread_pool pool(1);
  return start(pool, std::forward<Flow>(flow) | collect()).wait();
}

}  // namespace

TEST_CASE("a pipeline takes from a queue until that is closed and empty") {
  bounded_queue<int> bounded(4);
  unbounded_queue<int> unbounded;
  for (int n : {1, 2, 3}) {
    REQUIRE(bounded.try_push(n) == op_status::ok);
    REQUIRE(unbounded.try_push(n) == op_status::ok);
  }
  bounded.close();
  unbounded.close();
  CHECK(all(from(bounded)) == std::vector<int>{1, 2, 3});
  CHECK(all(from(unbounded)) == std::vector<int>{1, 2, 3});
}

TEST_CASE("a pipeline keeps its consumer, and lets go of it at its end") {
  auto [in, out] = make_channel<int>(4);
  REQUIRE(in.try_push(1) == op_status::ok);
  thread_pool pool(1);
  {
    auto run = start(pool, from(std::move(out)) | collect());
    CHECK_FALSE(in.is_closed());
    run.stop();
  }
  CHECK(in.is_closed());
}

TEST_CASE("a range that is the caller's is copied from, one that was given away is moved from") {
  std::list<int> numbers{1, 2, 3};
  CHECK(all(from(numbers)) == std::vector<int>{1, 2, 3});
  CHECK(numbers.size() == 3);
  const std::vector<int> none;
  CHECK(all(from(none)).empty());
  std::vector<std::unique_ptr<int>> owners;
  owners.push_back(std::make_unique<int>(5));
  const auto given = all(from(std::move(owners)));
  REQUIRE(given.size() == 1);
  CHECK(*given[0] == 5);
}

TEST_CASE("a function is asked until it gives nothing") {
  const auto count = [n = 0]() mutable { return n < 3 ? std::optional<int>(n++) : std::nullopt; };
  CHECK(all(from(count)) == std::vector<int>{0, 1, 2});
  const auto later = [n = 0]() mutable -> task<std::optional<int>> {
    co_return n < 2 ? std::optional<int>(n++) : std::nullopt;
  };
  CHECK(all(from(later)) == std::vector<int>{0, 1});
}

TEST_CASE("a source that throws fails the pipeline") {
  thread_pool pool(1);
  auto run =
      start(pool, from([]() -> std::optional<int> { throw std::runtime_error("source"); }) | collect());
  CHECK_THROWS_WITH(run.wait(), "source");
  CHECK_THROWS_WITH(run.wait(), "source");
}

TEST_CASE("the reason for which a source was closed goes on to the sink") {
  bounded_queue<int> in(1);
  bounded_queue<int> out(1);
  in.close(std::make_exception_ptr(std::runtime_error("upstream")));
  thread_pool pool(1);
  start(pool, from(in) | into(out)).wait();
  CHECK(out.is_closed());
  CHECK_THROWS_WITH(std::rethrow_exception(out.close_reason()), "upstream");
}
