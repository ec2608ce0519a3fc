// SPDX-License-Identifier: BSL-1.0
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include <millrace/interop/senders.hpp>
#include <millrace/millrace.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

using millrace::as_sender;
using millrace::op_status;
using millrace::pop_result;
using millrace::push_result;

namespace {

/// A receiver by hand: notes how it was completed.
template <class Result>
struct receiver {
  struct note {
    std::optional<Result> value;
    std::exception_ptr error;
    int completions = 0;
  };

  note* to;
  millrace::environment environment{};

  void set_value(Result result) && noexcept {
    to->value.emplace(std::move(result));
    ++to->completions;
  }
  void set_error(std::exception_ptr error) && noexcept {
    to->error = std::move(error);
    ++to->completions;
  }
  millrace::environment env() const noexcept { return environment; }
};

using popped = receiver<pop_result<int>>;

}  // namespace

TEST_CASE("a sender does nothing before it is started, then sends what the operation yields") {
  millrace::bounded_queue<int> q(1);
  REQUIRE(q.try_push(7) == op_status::ok);
  popped::note got;
  auto state = as_sender(q.pop()).connect(popped{&got});
  CHECK(q.size_approx() == 1);
  state.start();
  CHECK(got.completions == 1);
  CHECK(**got.value == 7);
}

TEST_CASE("a sender that waits completes on the receiver's executor, and allocates nothing") {
  millrace::bounded_queue<int> q(1);
  support::manual_executor home;
  popped::note got;
  const auto before = support::allocations();
  auto state = as_sender(q.pop()).connect(popped{&got, {.executor = home}});
  state.start();
  const auto pushed = q.try_push(7);
  const auto after = support::allocations();
  CHECK(pushed == op_status::ok);
  CHECK(after == before);
  CHECK(got.completions == 0);
  REQUIRE(home.run_one());
  CHECK(got.completions == 1);
  CHECK(**got.value == 7);
}

TEST_CASE("a receiver's token stops its sender, before it starts and while it waits") {
  millrace::bounded_queue<int> q(1);
  millrace::stop_source stop;
  popped::note got;
  auto waits = as_sender(q.pop()).connect(popped{&got, {.token = stop.token()}});
  waits.start();
  CHECK(got.completions == 0);
  stop.request_stop();
  CHECK(got.completions == 1);
  CHECK(got.value->status() == op_status::cancelled);

  REQUIRE(q.try_push(1) == op_status::ok);
  popped::note late;
  auto is_late = as_sender(q.pop()).connect(popped{&late, {.token = stop.token()}});
  is_late.start();
  CHECK(late.completions == 1);
  CHECK(late.value->status() == op_status::cancelled);
  CHECK(q.size_approx() == 1);
}

TEST_CASE("a push that fails sends its message back") {
  using queue = millrace::bounded_queue<std::unique_ptr<int>>;
  using pushed = receiver<push_result<std::unique_ptr<int>>>;
  queue q(1);
  REQUIRE(q.try_push(std::make_unique<int>(1)) == op_status::ok);
  pushed::note got;
  auto state = as_sender(q.push(std::make_unique<int>(2))).connect(pushed{&got});
  state.start();
  q.close();
  CHECK(got.completions == 1);
  CHECK(*got.value->value() == 2);
}

TEST_CASE("a range goes on after each sleep; a select has one winner") {
  millrace::bounded_queue<int> q(1);
  const int numbers[] = {1, 2, 3};
  using range = decltype(q.push_range(numbers, numbers + 3))::result_type;
  receiver<range>::note pushed;
  auto state = as_sender(q.push_range(numbers, numbers + 3)).connect(receiver<range>{&pushed});
  state.start();
  for (int n = 1; n <= 3; ++n) CHECK(*q.try_pop() == n);
  CHECK(pushed.completions == 1);
  CHECK(pushed.value->count == 3);

  millrace::bounded_queue<int> other(1);
  auto either = select(q.pop(), other.pop());
  using selection = decltype(either)::result_type;
  receiver<selection>::note chosen;
  auto choice = as_sender(std::move(either)).connect(receiver<selection>{&chosen});
  choice.start();
  REQUIRE(other.try_push(5) == op_status::ok);
  CHECK(chosen.completions == 1);
  CHECK(chosen.value->index() == 1);
}

TEST_CASE("what an operation throws is sent as an error") {
  millrace::scope work;
  work.spawn([]() -> millrace::task<> {
    throw std::runtime_error("no");
    co_return;
  }());
  receiver<op_status>::note got;
  auto state = as_sender(work.join()).connect(receiver<op_status>{&got});
  state.start();
  CHECK(got.completions == 1);
  CHECK(!got.value);
  CHECK_THROWS_AS(std::rethrow_exception(got.error), std::runtime_error);
}

TEST_CASE("a sender of what is so already completes inside start()") {
  millrace::bounded_queue<int> q(1);
  q.close();
  receiver<op_status>::note got;
  auto state = as_sender(q.drained()).connect(receiver<op_status>{&got});
  state.start();
  CHECK(got.completions == 1);
  CHECK(*got.value == op_status::ok);
}
