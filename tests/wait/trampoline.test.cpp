// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/trampoline.hpp>

#include <coroutine>
#include <string>
#include <thread>
#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/macros.hpp>

#include "support/catch.hpp"
#include "support/foreign_task.hpp"
#include "support/manual_executor.hpp"
#include "support/small_stack.hpp"

namespace {

using millrace::executor_ref;
using millrace::work_item;
using support::foreign_task;
using support::manual_executor;
using trampoline = millrace::detail::trampoline<millrace::default_traits>;

/// A work item that writes its name into a log.
struct note : work_item {
  std::string& log;
  char name;
  note(std::string& out, char letter) : log(out), name(letter) {
    run = [](work_item* self) noexcept {
      auto* const me = static_cast<note*>(self);
      me->log += me->name;
    };
  }
};

/// A work item that resumes a coroutine as work of `home`.
struct entrance : work_item {
  std::coroutine_handle<> coroutine;
  executor_ref home;
  entrance(const foreign_task& task, executor_ref where) : coroutine(task.handle()), home(where) {
    run = [](work_item* self) noexcept {
      auto* const me = static_cast<entrance*>(self);
      trampoline::enter(me->coroutine, me->home);
    };
  }
};

/// Suspends the coroutine and lets another one go on in its place.
struct hand_over {
  std::coroutine_handle<>& to;
  bool await_ready() const noexcept { return false; }
  MILLRACE_NOINLINE void await_suspend(std::coroutine_handle<>) const noexcept {
    trampoline::transfer(to);  // clang 14 crashes where this is inlined into a loop
  }
  void await_resume() const noexcept {}
};

foreign_task play(std::coroutine_handle<>& other, int& left) {
  while (--left > 0) co_await hand_over{other};
}

foreign_task write(std::string& log, char name) {
  log += name;
  co_return;
}

foreign_task post_two(std::string& log, note& first, note& second) {
  log += '(';
  trampoline::post(first);
  trampoline::dispatch(second, {});
  log += ')';
  co_return;
}

foreign_task run_inside(std::string& log, std::coroutine_handle<> inner, note& late) {
  log += '(';
  trampoline::post(late);
  trampoline{}.run(inner);
  log += ')';
  co_return;
}

foreign_task transfer_without_suspending(std::string& log, std::coroutine_handle<> first,
                                         std::coroutine_handle<> second) {
  log += '(';
  trampoline::transfer(first);   // its turn comes when this coroutine suspends
  trampoline::transfer(second);  // there is one already: runs now
  log += ')';
  co_return;
}

foreign_task run_an_item(std::string& log, work_item& item) {
  log += '(';
  item.run(&item);
  log += ')';
  co_return;
}

foreign_task note_executor(executor_ref& seen) {
  seen = trampoline::current_executor();
  co_return;
}

}  // namespace

TEST_CASE("a million hand-offs need no stack") {
  bool ended = false;
  support::on_a_small_stack([&] {
    int left = 1'000'000;
    std::coroutine_handle<> ping;
    std::coroutine_handle<> pong;
    const foreign_task first = play(pong, left);
    const foreign_task second = play(ping, left);
    ping = first.handle();
    pong = second.handle();
    trampoline{}.run(ping);
    ended = left == 0 && first.done() != second.done();
  });
  CHECK(ended);
}

TEST_CASE("what a coroutine posts runs after it, in order") {
  std::string log;
  note a(log, 'a');
  note b(log, 'b');
  const foreign_task poster = post_two(log, a, b);
  trampoline{}.run(poster.handle());
  CHECK(log == "()ab");
}

TEST_CASE("what is posted where nothing runs, runs at once") {
  std::string log;
  note a(log, 'a');
  trampoline::post(a);
  CHECK(log == "a");
  note b(log, 'b');
  trampoline::dispatch(b, {});
  CHECK(log == "ab");
}

TEST_CASE("a work item's posts run after it") {
  struct chain : work_item {
    std::string& log;
    note& next_one;
    chain(std::string& out, note& n) : log(out), next_one(n) {
      run = [](work_item* self) noexcept {
        auto* const me = static_cast<chain*>(self);
        trampoline::post(me->next_one);
        me->log += 'c';
      };
    }
  };
  std::string log;
  note a(log, 'a');
  chain c(log, a);
  trampoline::post(c);
  CHECK(log == "ca");
}

TEST_CASE("a loop within a coroutine runs its own and leaves the outer loop's for later") {
  std::string log;
  note late(log, 'l');
  note a(log, 'a');
  note b(log, 'b');
  const foreign_task inner = post_two(log, a, b);
  const foreign_task outer = run_inside(log, inner.handle(), late);
  trampoline{}.run(outer.handle());
  CHECK(log == "(()ab)l");
  CHECK_FALSE(trampoline::active());
}

TEST_CASE("a transfer is for when the coroutine suspends; a second one runs at once") {
  std::string log;
  const foreign_task a = write(log, 'a');
  const foreign_task b = write(log, 'b');
  const foreign_task both = transfer_without_suspending(log, a.handle(), b.handle());
  trampoline{}.run(both.handle());
  CHECK(log == "(b)a");
}

TEST_CASE("a transfer where nothing runs, runs at once") {
  std::string log;
  const foreign_task a = write(log, 'a');
  trampoline::transfer(a.handle());
  CHECK(log == "a");
}

TEST_CASE("a transfer to another executor travels there, to the same one it does not") {
  manual_executor here;
  manual_executor there;
  std::string log;
  const foreign_task a = write(log, 'a');
  const foreign_task b = write(log, 'b');
  entrance to_a(a, there);
  entrance to_b(b, here);
  const trampoline loop{executor_ref(here)};
  trampoline::transfer(a.handle(), there, to_a);
  CHECK(log.empty());
  CHECK(there.posted() == 1);
  trampoline::transfer(b.handle(), here, to_b);
  CHECK(log == "b");
  CHECK(here.posted() == 0);
  CHECK(there.run_one());
  CHECK(log == "ba");
}

TEST_CASE("dispatch goes home, else to the current executor, else to this thread") {
  std::string log;
  note item(log, 'i');
  manual_executor home;
  manual_executor current;
  {
    const trampoline loop{executor_ref(current)};
    trampoline::dispatch(item, home);
    CHECK(home.posted() == 1);
    CHECK(current.posted() == 0);
    CHECK(home.run_one());
    trampoline::dispatch(item, {});
    CHECK(current.posted() == 1);
    CHECK(log == "i");
    CHECK(current.run_one());
  }
  CHECK(log == "ii");
  trampoline::dispatch(item, {});
  CHECK(log == "iii");
  CHECK(home.posted() + current.posted() == 2);
}

TEST_CASE("the current executor is that of the innermost loop that has one") {
  manual_executor outer;
  manual_executor inner;
  CHECK_FALSE(trampoline::current_executor());
  {
    const trampoline first{executor_ref(outer)};
    CHECK(trampoline::current_executor() == executor_ref(outer));
    {
      const trampoline second;
      CHECK(trampoline::current_executor() == executor_ref(outer));
      const trampoline third{executor_ref(inner)};
      CHECK(trampoline::current_executor() == executor_ref(inner));
      bool elsewhere = true;
      std::thread([&] {
        elsewhere = trampoline::active() || trampoline::current_executor();
      }).join();
      CHECK_FALSE(elsewhere);
    }
    CHECK(trampoline::current_executor() == executor_ref(outer));
  }
  CHECK_FALSE(trampoline::current_executor());
}

TEST_CASE("a coroutine enters as work of its home, whatever loop the executor runs") {
  manual_executor home;
  manual_executor other;
  executor_ref seen[3];
  const foreign_task alone = note_executor(seen[0]);
  const foreign_task at_home = note_executor(seen[1]);
  const foreign_task elsewhere = note_executor(seen[2]);
  entrance first(alone, home);
  entrance second(at_home, home);
  entrance third(elsewhere, home);
  first.run(&first);
  {
    trampoline loop{executor_ref(home)};
    loop.run(second);
  }
  {
    trampoline loop{executor_ref(other)};
    loop.run(third);
    CHECK(trampoline::current_executor() == executor_ref(other));
  }
  for (const executor_ref& one : seen) CHECK(one == executor_ref(home));
}

TEST_CASE("a coroutine that is entered from within another one runs at once") {
  std::string log;
  const foreign_task inner = write(log, 'i');
  entrance into(inner, {});
  const foreign_task outer = run_an_item(log, into);
  trampoline{}.run(outer.handle());
  CHECK(log == "(i)");
}

TEST_CASE("of two coroutines that one work item enters, the second runs at once") {
  struct two_entrances : work_item {
    std::coroutine_handle<> first;
    std::coroutine_handle<> second;
    two_entrances(const foreign_task& a, const foreign_task& b) : first(a.handle()), second(b.handle()) {
      run = [](work_item* self) noexcept {
        auto* const me = static_cast<two_entrances*>(self);
        trampoline::enter(me->first, {});
        trampoline::enter(me->second, {});
      };
    }
  };
  std::string log;
  const foreign_task a = write(log, 'a');
  const foreign_task b = write(log, 'b');
  two_entrances both(a, b);
  trampoline{}.run(both);
  CHECK(log == "ba");
}
