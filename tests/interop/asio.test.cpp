// SPDX-License-Identifier: BSL-1.0
#if __has_include(<asio.hpp>)

#include <asio.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/interop/asio.hpp>
#include <millrace/millrace.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

using millrace::async_run;
using millrace::asio_executor;
using millrace::op_status;
using millrace::pop_result;
using millrace::push_result;
using queue = millrace::bounded_queue<std::unique_ptr<int>>;

namespace {

/// A handler that notes what came, and that it did not come inside the call.
struct note {
  std::optional<pop_result<int>>& to;
  void operator()(pop_result<int> result) const { to.emplace(result); }
};

}  // namespace

TEST_CASE("an operation that can complete at once calls its handler later, on the handler's executor") {
  asio::io_context loop;
  millrace::bounded_queue<int> q(1);
  REQUIRE(q.try_push(7) == op_status::ok);
  std::optional<pop_result<int>> got;
  async_run(q.pop(), asio::bind_executor(loop, note{got}));
  CHECK(!got);
  CHECK(q.size_approx() == 0);
  CHECK(loop.run() == 1);
  REQUIRE(got);
  CHECK(**got == 7);
}

TEST_CASE("an operation that waits is work for its context, and completes there") {
  asio::io_context loop;
  millrace::bounded_queue<int> q(1);
  std::optional<pop_result<int>> got;
  async_run(q.pop(), asio::bind_executor(loop, note{got}));
  CHECK(loop.poll() == 0);
  CHECK(!loop.stopped());
  REQUIRE(q.try_push(7) == op_status::ok);
  CHECK(!got);
  loop.run();
  REQUIRE(got);
  CHECK(**got == 7);
}

TEST_CASE("a message comes back where its push ends without having been done") {
  asio::io_context loop;
  queue q(1);
  REQUIRE(q.try_push(std::make_unique<int>(1)) == op_status::ok);
  std::unique_ptr<int> back;
  async_run(q.push(std::make_unique<int>(2)),
            asio::bind_executor(loop, [&](push_result<std::unique_ptr<int>> sent) {
              if (!sent && sent.status() == op_status::closed) back = std::move(sent).value();
            }));
  q.close();
  loop.run();
  REQUIRE(back);
  CHECK(*back == 2);
}

TEST_CASE("a cancellation slot stops what waits, and nothing is taken") {
  asio::io_context loop;
  millrace::bounded_queue<int> q(1);
  std::optional<pop_result<int>> got;
  asio::cancellation_signal signal;
  async_run(q.pop(), asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(loop, note{got})));
  signal.emit(asio::cancellation_type::none);
  CHECK(loop.poll() == 0);
  signal.emit(asio::cancellation_type::total);
  loop.run();
  REQUIRE(got);
  CHECK(got->status() == op_status::cancelled);
  signal.emit(asio::cancellation_type::terminal);  // to nobody
  REQUIRE(q.try_push(1) == op_status::ok);
  CHECK(q.size_approx() == 1);
}

TEST_CASE("a cancellation that comes after the message changes nothing") {
  asio::io_context loop;
  millrace::bounded_queue<int> q(1);
  std::optional<pop_result<int>> got;
  asio::cancellation_signal signal;
  async_run(q.pop(), asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(loop, note{got})));
  REQUIRE(q.try_push(7) == op_status::ok);
  signal.emit(asio::cancellation_type::total);
  loop.run();
  REQUIRE(got);
  CHECK(**got == 7);
}

TEST_CASE("a deadline, a range and a select are Asio's operations too") {
  asio::io_context loop;
  millrace::bounded_queue<int> q(2);
  std::optional<pop_result<int>> got;
  async_run(q.pop().within(std::chrono::milliseconds(1)), asio::bind_executor(loop, note{got}));
  loop.run();
  REQUIRE(got);
  CHECK(got->status() == op_status::timeout);

  std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7, 8, 9};
  std::size_t pushed = 0;
  std::vector<int> popped;
  loop.restart();
  async_run(q.push_range(numbers.begin(), numbers.end()),
            asio::bind_executor(loop, [&](auto result) { pushed = result.count; }));
  while (popped.size() < numbers.size()) {
    loop.poll();  // the range goes on, and waits again
    while (auto n = q.try_pop()) popped.push_back(*n);
  }
  loop.run();
  CHECK(pushed == 9);
  CHECK(popped == numbers);

  loop.restart();
  std::size_t index = 7;
  millrace::bounded_queue<int> other(1);
  async_run(select(q.pop(), other.pop()), asio::bind_executor(loop, [&](auto came) { index = came.index(); }));
  REQUIRE(other.try_push(1) == op_status::ok);
  loop.run();
  CHECK(index == 1);
}

TEST_CASE("a future is as good a token as a handler") {
  queue q(1);
  auto later = async_run(q.pop(), asio::use_future);
  REQUIRE(q.try_push(std::make_unique<int>(3)) == op_status::ok);
  CHECK(**later.get() == 3);
}

TEST_CASE("a context that is destroyed destroys its handlers, those of completed operations too") {
  auto alive = std::make_shared<int>(0);
  millrace::bounded_queue<std::shared_ptr<int>> q(2);
  bool is_called = false;
  {
    asio::io_context loop;
    REQUIRE(q.try_push(std::shared_ptr<int>(alive)) == op_status::ok);
    for (int i = 0; i < 2; ++i) {
      async_run(q.pop(), asio::bind_executor(loop, [alive, &is_called](auto) { is_called = true; }));
    }
    REQUIRE(q.try_push(std::shared_ptr<int>(alive)) == op_status::ok);  // to the second, which has waited
    CHECK(alive.use_count() == 5);
  }
  CHECK(!is_called);
  CHECK(alive.use_count() == 1);
}

TEST_CASE("where there is no memory, nothing is done") {
  if (!support::counts_allocations) return;
  auto alive = std::make_shared<int>(0);
  for (const bool waits : {false, true}) {
    for (std::size_t k = 0;; ++k) {
      asio::io_context loop;
      millrace::bounded_queue<int> q(1);
      if (!waits) REQUIRE(q.try_push(7) == op_status::ok);
      bool is_done = false;
      const auto handler = [alive, &is_done](auto) { is_done = true; };
      bool has_failed = false;
      try {
        const support::failing_allocations fail(k);
        async_run(q.pop(), asio::bind_executor(loop, handler));
      } catch (const std::bad_alloc&) {
        has_failed = true;
      }
      if (has_failed) {
        CHECK(alive.use_count() == 2);
        CHECK(q.size_approx() == (waits ? 0 : 1));
        REQUIRE(k < (waits ? 2U : 1U));
        continue;
      }
      q.close();
      loop.run();
      CHECK(is_done);
      break;
    }
  }
}

TEST_CASE("a handler's exception leaves through run(), as Asio's do") {
  asio::io_context loop;
  millrace::bounded_queue<int> q(1);
  async_run(q.pop(), asio::bind_executor(loop, [](auto) { throw 5; }));
  REQUIRE(q.try_push(1) == op_status::ok);
  CHECK_THROWS_AS(loop.run(), int);
  CHECK(loop.run() == 0);
}

TEST_CASE("tasks run on an io_context, in order, and allocate nothing for it") {
  asio::io_context loop;
  asio_executor home(loop);
  millrace::bounded_queue<int> q(1);
  std::vector<int> seen;
  std::thread::id where;
  const auto consume = [](millrace::bounded_queue<int>& from, std::vector<int>& to,
                          std::thread::id& at) -> millrace::task<> {
    while (auto n = co_await from.pop()) to.push_back(*n);
    at = std::this_thread::get_id();
  };
  const auto produce = [](millrace::bounded_queue<int>& to) -> millrace::task<> {
    for (int n = 0; n < 4; ++n) {
      auto sent = co_await to.push(n);
      if (!sent) break;
    }
    to.close();
  };
  millrace::scope work;
  work.spawn(home, consume(q, seen, where));
  work.spawn(home, produce(q));
  CHECK(seen.empty());
  std::thread runner([&] { loop.run(); });
  const auto id = runner.get_id();
  runner.join();
  work.join().wait();
  CHECK(seen == std::vector<int>{0, 1, 2, 3});
  CHECK(where == id);

  struct counting : millrace::work_item {
    int runs = 0;
  } item;
  item.run = [](millrace::work_item* self) noexcept { ++static_cast<counting*>(self)->runs; };
  loop.restart();
  const auto before = support::allocations();
  home.post(item);
  CHECK(support::allocations() == before);
  loop.run();
  CHECK(item.runs == 1);
}

TEST_CASE("tasks run on a strand, which posts more than one function of its own") {
  asio::thread_pool threads(2);
  asio_executor home(asio::make_strand(threads));
  int turns = 0;  // one at a time, so it needs no lock
  const auto count = [](int& n) -> millrace::task<> {
    ++n;
    co_return;
  };
  millrace::scope work;
  for (int i = 0; i < 100; ++i) work.spawn(home, count(turns));
  work.join().wait();
  threads.join();
  CHECK(turns == 100);
}

TEST_CASE("memory of one poster is not given back to another") {
  millrace::detail::asio_poster one;
  millrace::detail::asio_poster two;
  using allocator = millrace::detail::asio_poster::allocator<int>;
  CHECK(allocator(one) == allocator(one));
  CHECK(!(allocator(one) == allocator(two)));

  // What is too large, or comes second, is from elsewhere.
  allocator from(one);
  int* const large = from.allocate(1000);
  int* const first = from.allocate(1);
  int* const second = from.allocate(1);
  CHECK(first != second);
  from.deallocate(second, 1);
  from.deallocate(first, 1);
  from.deallocate(large, 1000);
  int* const again = from.allocate(1);
  CHECK(again == first);
  from.deallocate(again, 1);
}

TEST_CASE("tasks run on several threads of an asio::thread_pool, through any_io_executor too") {
  asio::thread_pool threads(2);
  asio_executor<> home(threads.get_executor());
  millrace::bounded_queue<int> in(4);
  millrace::bounded_queue<int> out(4);
  using numbers = millrace::bounded_queue<int>;
  const auto forward = [](numbers& from, numbers& to) -> millrace::task<> {
    while (auto n = co_await from.pop()) {
      auto sent = co_await to.push(*n);
      if (!sent) break;
    }
  };
  millrace::scope work;
  for (int i = 0; i < 4; ++i) work.spawn(home, forward(in, out));
  std::thread feeder([&] {
    for (int n = 1; n <= 1000; ++n) {
      if (!in.push(n).wait()) break;
    }
    in.close();
    work.join().wait();
    out.close();
  });
  int sum = 0;
  while (auto n = out.pop().wait()) sum += *n;
  feeder.join();
  threads.join();
  CHECK(sum == 500'500);
}

#if defined(ASIO_HAS_CO_AWAIT)

TEST_CASE("an asio::awaitable pops what a millrace task pushes, and the other way round") {
  asio::io_context loop;
  millrace::thread_pool pool(1);
  queue there(1);
  queue back(1);
  const auto echo = [](queue& from, queue& to) -> millrace::task<> {
    while (auto n = co_await from.pop()) {
      auto sent = co_await to.push(std::move(*n));
      if (!sent) break;
    }
    to.close();
  };
  const auto talk = [](queue& to, queue& from) -> asio::awaitable<int> {
    int sum = 0;
    for (int n = 0; n < 100; ++n) {
      auto message = std::make_unique<int>(n);
      auto sent = co_await async_run(to.push(std::move(message)), asio::use_awaitable);
      if (!sent) co_return -1;
      auto answer = co_await async_run(from.pop(), asio::use_awaitable);
      sum += **answer;
    }
    to.close();
    auto none = co_await async_run(from.pop(), asio::use_awaitable);
    co_return none.status() == op_status::closed ? sum : -2;
  };
  millrace::scope work;
  work.spawn(pool, echo(there, back));
  auto sum = asio::co_spawn(loop, talk(there, back), asio::use_future);
  loop.run();
  CHECK(sum.get() == 4950);
  work.join().wait();
}

#endif

#endif
