// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/operation.hpp>

#include <chrono>
#include <concepts>
#include <future>
#include <new>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/wait/stop_token.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/foreign_task.hpp"
#include "support/gate.hpp"
#include "support/last_words.hpp"
#include "support/manual_executor.hpp"
#include "support/small_stack.hpp"

namespace {

using millrace::executor_ref;
using millrace::operation;
using support::counted;
using support::foreign_task;
using support::gate;
using support::homed_task;
using support::manual_executor;

using pass_operation = decltype(std::declval<gate&>().pass());

/// Opens the gate from within its attempt: whom it wakes is woken in the middle of an operation.
struct open_step {
  using traits = gate::traits;
  using result_type = bool;
  gate& at;
  explicit open_step(gate& g) noexcept : at(g) {}
  bool attempt_fast() noexcept { return false; }
  bool attempt() noexcept {
    at.open();
    return true;
  }
  bool park(gate::waiter&) noexcept { return false; }
  const void* parks_at() const noexcept { return &at; }
  void refuse(millrace::op_status) noexcept {}
  bool withdraw(gate::waiter&) noexcept { return false; }
  bool take_result() noexcept { return true; }
};

operation<open_step> open_inside(gate& at) {
  return operation<open_step>(std::in_place_type<open_step>, at);
}

/// Says that it has to wait, and then need not.
struct late_step {
  using traits = gate::traits;
  using result_type = bool;
  bool attempt_fast() noexcept { return false; }
  int attempts = 0;
  bool attempt() noexcept { return attempts++ > 0; }
  bool park(gate::waiter&) noexcept { return false; }
  const void* parks_at() const noexcept { return this; }
  void refuse(millrace::op_status) noexcept {}
  bool withdraw(gate::waiter&) noexcept { return false; }
  bool take_result() noexcept { return true; }
};

struct throwing_step {
  using traits = gate::traits;
  using result_type = int;
  bool attempt_fast() noexcept { return true; }
  bool attempt() noexcept { return true; }
  bool park(gate::waiter&) noexcept { return false; }
  const void* parks_at() const noexcept { return this; }
  void refuse(millrace::op_status) noexcept {}
  bool withdraw(gate::waiter&) noexcept { return false; }
  int take_result() { throw std::string("result"); }
};

homed_task pass_at_home(executor_ref, gate& at, int& result) {
  result = co_await at.pass();
}

homed_task pass_elsewhere(executor_ref, executor_ref other, gate& at, int& result) {
  result = co_await at.pass().on(other);
}

foreign_task pass_on(executor_ref other, gate& at, int& result) {
  result = co_await at.pass().on(other);
}

foreign_task pass_into(gate& at, int& result) {
  result = co_await at.pass();
}

foreign_task wait_inside(gate& at, int& result) {
  result = at.pass().wait();
  co_return;
}

foreign_task pass_stored(gate& at, std::vector<int>& results) {
  auto op = at.pass();
  const int other = co_await at.pass();
  results.push_back(co_await std::move(op));
  results.push_back(other);
}

foreign_task pass_with_message(gate& at, counted) {
  (void)co_await at.pass();
}

foreign_task pass_often(gate& at, int times, int& passed) {
  for (int i = 0; i < times; ++i) {
    (void)co_await at.pass();
    ++passed;
  }
}

foreign_task write_when_passed(gate& at, std::string& log) {
  (void)co_await at.pass();
  log += 'w';
}

foreign_task open_twice(gate& at, std::string& log) {
  log += '(';
  (void)co_await open_inside(at);
  log += '|';
  (void)co_await open_inside(at);
  log += ')';
}

foreign_task open_and_wait(gate& at, gate& next, std::string& log) {
  (void)co_await open_inside(at);
  log += '|';
  (void)co_await next.pass();
  log += ')';
}

foreign_task answer(gate& in, gate& out, int turns) {
  for (int i = 0; i < turns; ++i) {
    (void)co_await in.pass();
    (void)co_await open_inside(out);
  }
}

foreign_task catch_result(std::string& caught) {
  try {
    (void)co_await operation<throwing_step>(std::in_place_type<throwing_step>);
  } catch (const std::string& what) {
    caught = what;
  }
}

}  // namespace

TEST_CASE("an operation is moved, never copied or assigned") {
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<pass_operation>);
  STATIC_REQUIRE_FALSE(std::copy_constructible<pass_operation>);
  STATIC_REQUIRE_FALSE(std::is_move_assignable_v<pass_operation>);
  using awaiter = decltype(std::declval<pass_operation>().operator co_await());
  STATIC_REQUIRE_FALSE(std::move_constructible<awaiter>);
}

TEST_CASE("an operation that is never run does nothing, and destroys what it holds") {
  gate g;
  g.open();
  {
    auto op = g.pass();
    auto moved = std::move(op);
    CHECK(counted::live() > 0);
  }
  CHECK(counted::live() == 0);
  CHECK(g.passed() == 0);
}

TEST_CASE("an operation that can complete at once does so, run in any way") {
  gate g;
  for (int i = 0; i < 3; ++i) g.open();
  const std::size_t before = support::allocations();
  CHECK(g.pass().wait() == 0);
  int started = -1;
  g.pass().start([&](int n) { started = n; });
  CHECK(support::allocations() == before);
  CHECK(started == 1);
  int awaited = -1;
  const foreign_task f = pass_into(g, awaited);
  f.start();
  CHECK(f.done());
  CHECK(awaited == 2);
}

TEST_CASE("a coroutine that waits is resumed by who ends its wait") {
  gate g;
  int result = -1;
  const foreign_task f = pass_into(g, result);
  f.start();
  CHECK_FALSE(f.done());
  CHECK(g.somebody_waits());
  g.open();
  CHECK(f.done());
  CHECK(result == 0);
}

TEST_CASE("a stored operation runs when it is awaited") {
  gate g;
  std::vector<int> results;
  const foreign_task f = pass_stored(g, results);
  f.start();
  g.open();
  CHECK_FALSE(f.done());
  g.open();
  CHECK(f.done());
  CHECK(results == std::vector<int>{1, 0});
}

TEST_CASE("waiting allocates nothing, but a callback that must wait takes one block") {
  gate g;
  int passed = 0;
  const foreign_task f = pass_often(g, 100, passed);
  std::size_t before = support::allocations();
  f.start();
  for (int i = 0; i < 100; ++i) g.open();
  CHECK(support::allocations() == before);
  CHECK(passed == 100);

  before = support::allocations();
  int result = -1;
  g.pass().start([&](int n) { result = n; });
  g.open();
  CHECK(support::allocations() == before + support::counts_allocations);
  CHECK(result == 100);
  CHECK(counted::live() == 0);
}

TEST_CASE("a callback that cannot wait for want of memory leaves everything as it was") {
  if (!support::counts_allocations) return;
  gate g;
  bool called = false;
  bool thrown = false;
  {
    const support::failing_allocations now(0);
    try {
      g.pass().start([&](int) { called = true; });
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
  }
  CHECK(thrown);
  CHECK_FALSE(g.somebody_waits());
  CHECK_FALSE(called);
  CHECK(counted::live() == 0);
}

TEST_CASE("a thread blocks until another one ends its wait") {
  constexpr int turns = 5000;
  gate there;
  gate back;
  std::vector<int> results;
  std::thread other([&] {
    for (int i = 0; i < turns; ++i) {
      results.push_back(there.pass().wait());
      back.open();
    }
  });
  int wrong = 0;
  for (int i = 0; i < turns; ++i) {
    there.open();
    if (back.pass().wait() != i) ++wrong;
  }
  other.join();
  CHECK(wrong == 0);
  REQUIRE(results.size() == turns);
  CHECK(results.front() == 0);
  CHECK(results.back() == turns - 1);
}

TEST_CASE("an operation completes on the executor of on(), run in any way") {
  gate g;
  manual_executor home;
  int awaited = -1;
  const foreign_task f = pass_on(home, g, awaited);
  f.start();
  int started = -1;
  g.pass().on(home).start([&](int n) { started = n; });
  g.open();
  g.open();
  CHECK(awaited + started == -2);
  CHECK(home.posted() == 2);
  CHECK(home.run_one());
  CHECK(awaited == 0);
  CHECK(home.run_one());
  CHECK(started == 1);
}

TEST_CASE("on() decides before the promise's executor, and that one before the waker's") {
  gate g;
  manual_executor promised;
  manual_executor asked;
  manual_executor current;
  int first = -1;
  int second = -1;
  int third = -1;
  const homed_task a = pass_elsewhere(promised, asked, g, first);
  const homed_task b = pass_at_home(promised, g, second);
  const foreign_task c = pass_into(g, third);
  a.start();
  b.start();
  c.start();
  {
    const millrace::detail::trampoline<gate::traits> loop{executor_ref(current)};
    for (int i = 0; i < 3; ++i) g.open();
  }
  CHECK(first + second + third == -3);
  CHECK(asked.run_one());
  CHECK(first == 0);
  CHECK(promised.run_one());
  CHECK(second == 1);
  CHECK(current.run_one());
  CHECK(third == 2);
}

TEST_CASE("an operation that completes at once stays where it is, whatever on() says") {
  gate g;
  g.open();
  manual_executor home;
  int result = -1;
  const foreign_task f = pass_on(home, g, result);
  f.start();
  CHECK(result == 0);
  CHECK(home.posted() == 0);
}

TEST_CASE("a parked operation is taken back when its coroutine is destroyed") {
  gate g;
  {
    foreign_task f = pass_with_message(g, counted(1));
    f.start();
    REQUIRE(g.somebody_waits());
    CHECK(counted::live() > 0);
    f.destroy();
  }
  CHECK_FALSE(g.somebody_waits());
  CHECK(counted::live() == 0);
  g.open();
  CHECK(g.pass().wait() == 0);  // nobody took it
}

TEST_CASE("whom an operation wakes runs when the coroutine that runs it suspends or ends") {
  gate g;
  gate next;
  std::string log;
  const foreign_task first = write_when_passed(g, log);
  const foreign_task second = write_when_passed(g, log);
  first.start();
  second.start();
  SECTION("at its end") {
    const foreign_task opener = open_twice(g, log);
    opener.start();  // by a thread that runs nothing of millrace
    CHECK(log == "(|)ww");
  }
  SECTION("where it waits") {
    const foreign_task opener = open_and_wait(g, next, log);
    opener.start();
    CHECK(log == "|w");
    next.open();
    CHECK(log == "|w)");
    g.open();
    CHECK(log == "|w)w");
  }
  CHECK(first.done());
  CHECK(second.done());
}

TEST_CASE("coroutines without an executor answer each other in constant stack") {
  constexpr int turns = 100'000;
  bool ended = false;
  support::on_a_small_stack([&] {
    gate there;
    gate back;
    const foreign_task first = answer(there, back, turns);
    const foreign_task second = answer(back, there, turns);
    first.start();
    second.start();
    there.open();
    ended = first.done() && second.done();
  });
  CHECK(ended);
}

TEST_CASE("start() calls back before it returns where what it would wait for comes at the last moment") {
  bool called = false;
  operation<late_step>(std::in_place_type<late_step>).start([&](bool result) { called = result; });
  CHECK(called);
}

TEST_CASE("what the result throws is thrown to who runs the operation") {
  CHECK_THROWS_AS(operation<throwing_step>(std::in_place_type<throwing_step>).wait(), std::string);
  std::string caught;
  const foreign_task f = catch_result(caught);
  f.start();
  CHECK(caught == "result");
}

namespace {

constexpr int cancelled = -static_cast<int>(millrace::op_status::cancelled);
constexpr int timed_out = -static_cast<int>(millrace::op_status::timeout);

template <class Token>
foreign_task pass_unless(gate& at, Token token, int& result) {
  result = co_await at.pass().with(token);
}

foreign_task pass_within(gate& at, std::chrono::hours span, int& result) {
  result = co_await at.pass().within(span);
}

}  // namespace

TEST_CASE("an operation that was stopped before it runs does nothing, run in any way") {
  gate g;
  g.open();
  millrace::stop_source halt;
  halt.request_stop();
  int awaited = 1;
  int started = 1;
  const foreign_task f = pass_unless(g, halt.token(), awaited);
  f.start();
  g.pass().with(halt.token()).start([&](int n) { started = n; });
  CHECK(g.pass().with(halt.token()).wait() == cancelled);
  CHECK(awaited == cancelled);
  CHECK(started == cancelled);
  CHECK(g.pass().wait() == 0);  // nobody has passed
}

TEST_CASE("a stop ends a wait, run in any way") {
  gate g;
  millrace::stop_source halt;
  int awaited = 1;
  int started = 1;
  int waited = 1;
  const foreign_task f = pass_unless(g, halt.token(), awaited);
  f.start();
  g.pass().with(halt.token()).start([&](int n) { started = n; });
  std::thread other([&] { waited = g.pass().with(halt.token()).wait(); });
  CHECK_FALSE(f.done());
  halt.request_stop();
  CHECK(awaited == cancelled);
  CHECK(started == cancelled);
  other.join();
  CHECK(waited == cancelled);
  CHECK_FALSE(g.somebody_waits());
  g.open();
  CHECK(g.pass().wait() == 0);
  CHECK(counted::live() == 0);
}

TEST_CASE("an operation that has completed is not stopped any more") {
  gate g;
  millrace::stop_source halt;
  manual_executor home;
  int result = 1;
  g.pass().with(halt.token()).on(home).start([&](int n) { result = n; });
  g.open();
  halt.request_stop();  // while it is on its way home
  CHECK(result == 1);
  CHECK(home.run_one());
  CHECK(result == 0);
  CHECK_FALSE(home.run_one());
}

TEST_CASE("what ends a wait is forgotten with it") {
  gate g;
  millrace::stop_source halt;
  int result = 1;
  {
    foreign_task f = pass_unless(g, halt.token(), result);
    f.start();
    f.destroy();
  }
  {
    const foreign_task f = pass_unless(g, halt.token(), result);
    f.start();
    g.open();
    CHECK(result == 0);
  }
  halt.request_stop();
  CHECK(result == 0);
  CHECK(counted::live() == 0);
}

namespace {

/// Somebody else's token, of the shape that the standard's has.
struct other_token {
  millrace::stop_token its;

  bool stop_requested() const noexcept { return its.stop_requested(); }
  bool stop_possible() const noexcept { return its.stop_possible(); }
  bool operator==(const other_token&) const noexcept = default;

  template <class F>
  struct callback_type {
    callback_type(const other_token& token, F f) : its(token.its, std::move(f)) {}
    millrace::stop_callback<F> its;
  };
};

}  // namespace

TEST_CASE("stop tokens of others are as good, where they are of no source too") {
  gate g;
  millrace::stop_source halt;
  int stopped = 1;
  const foreign_task f = pass_unless(g, other_token{halt.token()}, stopped);
  f.start();
  int passed = 0;
  g.pass().with(other_token()).within(std::chrono::hours(1)).start([&](int result) { passed = result + 1; });
  CHECK(passed == 0);
  halt.request_stop();
  CHECK(stopped == cancelled);
  g.open();
  CHECK(passed == 1);
}

#if defined(__cpp_lib_jthread)
TEST_CASE("the standard's stop tokens are as good") {
  gate g;
  std::stop_source halt;
  int awaited = 1;
  const foreign_task f = pass_unless(g, halt.get_token(), awaited);
  f.start();
  CHECK_FALSE(f.done());
  halt.request_stop();
  CHECK(awaited == cancelled);
  CHECK(g.pass().with(halt.get_token()).wait() == cancelled);
  CHECK(g.pass().within(std::chrono::hours(1)).with(halt.get_token()).wait() == cancelled);
  gate other;
  int result = 0;
  other.pass().with(std::stop_token()).within(std::chrono::hours(1)).start([&](int passed) {
    result = passed + 1;
  });  // of no source
  other.open();
  CHECK(result == 1);
}
#endif

TEST_CASE("a deadline that has passed leaves one attempt") {
  gate g;
  const auto past = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  g.open();
  g.open();
  CHECK(g.pass().within(std::chrono::seconds(0)).wait() == 0);
  CHECK(g.pass().until(past).wait() == 1);
  CHECK(g.pass().within(std::chrono::seconds(-1)).wait() == timed_out);
  CHECK(g.pass().until(std::chrono::system_clock::now() - std::chrono::hours(1)).wait() == timed_out);
  CHECK(g.pass().until(past).wait() == timed_out);
  CHECK_FALSE(g.somebody_waits());
}

TEST_CASE("a deadline ends a wait, run in any way") {
  gate g;
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
  std::promise<int> started;
  g.pass().until(soon).start([&](int n) { started.set_value(n); });
  CHECK(g.pass().until(soon).wait() == timed_out);
  CHECK(started.get_future().get() == timed_out);
  CHECK_FALSE(g.somebody_waits());
  // The thread that called the callback destroys the operation only then.
  while (counted::live() != 0) std::this_thread::yield();
}

TEST_CASE("a wait that ends before its deadline is over, however long that is") {
  gate g;
  for (const std::chrono::hours span : {std::chrono::hours(1), std::chrono::hours::max()}) {
    int awaited = -1;
    const foreign_task f = pass_within(g, span, awaited);
    f.start();
    int started = -1;
    g.pass().within(span).start([&](int n) { started = n; });
    g.open();
    g.open();
    CHECK(awaited >= 0);
    CHECK(started == awaited + 1);
  }
  CHECK(counted::live() == 0);
}

#ifndef NDEBUG
TEST_CASE("wait() inside a coroutine is refused in debug builds where it would have to wait") {
  using trampoline = millrace::detail::trampoline<gate::traits>;
  const auto ask = [](gate& g) {
    int result = -1;
    const foreign_task f = wait_inside(g, result);
    trampoline{}.run(f.handle());
    return result;
  };
  gate open;
  open.open();
  CHECK(ask(open) == 0);
  const auto said = support::last_words([&] {
    gate shut;
    ask(shut);
  });
  REQUIRE(said);
  CHECK_THAT(*said, Catch::Matchers::Contains("co_await instead"));
}
#endif
