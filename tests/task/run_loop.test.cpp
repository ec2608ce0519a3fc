// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/run_loop.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/here.hpp"

namespace {

using millrace::run_loop;
using millrace::work_item;

/// A work item that writes its name into a log, and may then post another item.
struct note : work_item {
  std::string& log;
  char name;
  run_loop* loop = nullptr;
  work_item* then = nullptr;
  note(std::string& out, char letter) : log(out), name(letter) {
    run = [](work_item* self) noexcept {
      auto* const me = static_cast<note*>(self);
      me->log += me->name;
      if (me->then != nullptr) me->loop->post(*me->then);
    };
  }
};

struct numbered : work_item {
  std::vector<int>* out = nullptr;
  int n = 0;
  numbered() {
    run = [](work_item* self) noexcept {
      auto* const me = static_cast<numbered*>(self);
      me->out->push_back(me->n);
    };
  }
};

}  // namespace

TEST_CASE("a loop runs items in the order in which they were posted, never inside post") {
  std::string log;
  note a(log, 'a');
  note b(log, 'b');
  note c(log, 'c');
  run_loop loop;
  a.loop = &loop;
  a.then = &c;
  loop.post(a);
  loop.post(b);
  CHECK(log.empty());
  for (const char* expected : {"a", "ab", "abc"}) {
    CHECK(loop.run_one());
    CHECK(log == expected);
  }
}

TEST_CASE("run ends once what was posted before finish has run") {
  std::string log;
  note a(log, 'a');
  note b(log, 'b');
  note late(log, 'l');
  run_loop loop;
  b.loop = &loop;
  b.then = &late;
  loop.post(a);
  loop.post(b);
  loop.finish();
  loop.run();
  CHECK(log == "ab");
  loop.finish();
  loop.run();
  CHECK(log == "abl");
  loop.finish();
  CHECK_FALSE(loop.run_one());
}

TEST_CASE("an item knows which loop runs it") {
  struct spy : work_item {
    millrace::executor_ref seen;
    spy() {
      run = [](work_item* self) noexcept { static_cast<spy*>(self)->seen = support::here(); };
    }
  };
  run_loop loop;
  spy item;
  loop.post(item);
  CHECK(loop.run_one());
  CHECK(item.seen == millrace::executor_ref(loop));
  CHECK_FALSE(support::here());
}

TEST_CASE("each thread's items run once and in its order") {
  constexpr std::size_t threads = 3;
  constexpr int each = 20000;
  std::vector<numbered> items[threads];
  std::vector<int> ran[threads];
  run_loop loop;
  std::vector<std::thread> posters;
  for (std::size_t t = 0; t < threads; ++t) {
    items[t] = std::vector<numbered>(each);
    for (int i = 0; i < each; ++i) {
      items[t][static_cast<std::size_t>(i)].n = i;
      items[t][static_cast<std::size_t>(i)].out = &ran[t];
    }
    posters.emplace_back([&loop, &mine = items[t]] {
      for (auto& item : mine) loop.post(item);
    });
  }
  for (std::size_t i = 0; i < threads * each; ++i) loop.run_one();
  for (auto& p : posters) p.join();
  for (const auto& mine : ran) {
    REQUIRE(mine.size() == each);
    int wrong = 0;
    for (int i = 0; i < each; ++i) wrong += mine[static_cast<std::size_t>(i)] != i;
    CHECK(wrong == 0);
  }
}

TEST_CASE("a sleeping loop is woken by each post, and may go once it has run the item") {
  constexpr int turns = 20000;
  std::atomic<run_loop*> shared{nullptr};
  int written = 0;  // handed over by the loops alone
  std::thread poster([&] {
    for (int i = 0; i < turns; ++i) {
      run_loop* loop = nullptr;
      while ((loop = shared.exchange(nullptr)) == nullptr) std::this_thread::yield();
      written = i + 1;
      loop->finish();
    }
  });
  int wrong = 0;
  for (int i = 0; i < turns; ++i) {
    auto loop = std::make_unique<run_loop>();
    shared.store(loop.get());
    loop->run();
    loop.reset();
    if (written != i + 1) ++wrong;
  }
  poster.join();
  CHECK(wrong == 0);
}
