// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/stop_token.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"

namespace {

using millrace::basic_stop_callback;
using millrace::default_traits;
using millrace::stop_callback;
using millrace::stop_source;
using millrace::stop_token;
using node = millrace::stop_node<default_traits>;

/// A node that calls a function.
template <class F>
struct calls : node {
  F f;
  explicit calls(F function) : f(std::move(function)) {
    fire = [](node* self) noexcept { static_cast<calls*>(self)->f(); };
  }
};

/// Lets the other threads run, if they can, for a good while.
void linger() {
  for (int i = 0; i < 200; ++i) std::this_thread::yield();
}

struct no_token {
  bool stop_requested() const noexcept { return false; }
  bool operator==(const no_token&) const = default;
};

}  // namespace

TEST_CASE("an empty token is never told to stop") {
  STATIC_REQUIRE(sizeof(stop_token) == sizeof(void*));
  const stop_token token;
  CHECK_FALSE(token.stop_possible());
  CHECK_FALSE(token.stop_requested());
  int called = 0;
  calls listener([&] { ++called; });
  CHECK(token.add(listener));
  token.remove(listener);
  {
    const basic_stop_callback callback(token, [&] { ++called; });
  }
  CHECK(called == 0);
}

TEST_CASE("a stop is requested once, and seen by every token") {
  stop_source source;
  const stop_token token = source.token();
  CHECK(token.stop_possible());
  CHECK(source.stop_possible());
  CHECK_FALSE(token.stop_requested());
  CHECK(source.request_stop());
  CHECK(token.stop_requested());
  CHECK(source.stop_requested());
  CHECK(source.token().stop_requested());
  CHECK_FALSE(source.request_stop());
  CHECK(token.stop_requested());
}

TEST_CASE("tokens are equal where they have the same source") {
  const stop_source a;
  const stop_source b;
  CHECK(a.token() == a.token());
  CHECK(a.token() != b.token());
  CHECK(a.token() != stop_token());
  CHECK(stop_token() == stop_token());
  CHECK(a == a);
  CHECK(a != b);
}

TEST_CASE("callbacks are called in the order in which they came, by who requests the stop") {
  stop_source source;
  std::string log;
  std::vector<std::thread::id> where;
  const auto note = [&](char letter) {
    return [&, letter] {
      log += letter;
      where.push_back(std::this_thread::get_id());
    };
  };
  const basic_stop_callback a(source.token(), note('a'));
  std::optional<stop_callback<decltype(note('b'))>> b(std::in_place, source.token(), note('b'));
  const basic_stop_callback c(source.token(), note('c'));
  const basic_stop_callback d(source.token(), note('d'));
  b.reset();
  CHECK(log.empty());
  std::thread::id requester;
  std::thread([&] {
    requester = std::this_thread::get_id();
    source.request_stop();
  }).join();
  CHECK(log == "acd");
  CHECK(where == std::vector<std::thread::id>(3, requester));
}

TEST_CASE("a callback of a stopped source is called at once") {
  stop_source source;
  source.request_stop();
  int called = 0;
  const basic_stop_callback late(source.token(), [&] { ++called; });
  CHECK(called == 1);
}

TEST_CASE("a stopped source refuses nodes") {
  stop_source source;
  source.request_stop();
  int called = 0;
  calls listener([&] { ++called; });
  CHECK_FALSE(source.token().add(listener));
  source.token().remove(listener);
  CHECK(called == 0);
}

TEST_CASE("a removed node may be added again") {
  stop_source source;
  int called = 0;
  calls listener([&] { ++called; });
  const stop_token token = source.token();
  for (int i = 0; i < 3; ++i) {
    CHECK(token.add(listener));
    token.remove(listener);
    token.remove(listener);
  }
  CHECK(token.add(listener));
  source.request_stop();
  token.remove(listener);
  CHECK(called == 1);
}

TEST_CASE("a callback may do as it likes with the source and with callbacks") {
  stop_source source;
  const stop_token token = source.token();
  std::string log;

  struct other {
    std::string& log;
    void operator()() const { log += "never"; }
  };
  std::optional<stop_callback<other>> victim;

  const basic_stop_callback first(token, [&] {
    log += "1";
    CHECK_FALSE(source.request_stop());
    victim.reset();                                                 // another one, not called yet
    const basic_stop_callback late(token, [&] { log += "late"; });  // called at once
    calls refused([&] { log += "refused"; });
    CHECK_FALSE(token.add(refused));
  });
  victim.emplace(token, other{log});
  const basic_stop_callback last(token, [&] { log += "2"; });
  CHECK(source.request_stop());
  CHECK(log == "1late2");
}

TEST_CASE("a callback may destroy itself") {
  struct suicide {
    std::unique_ptr<stop_callback<suicide>>& mine;
    int& called;
    void operator()() const {
      ++called;
      auto& where = mine;  // *this is gone in a moment
      where.reset();
    }
  };
  stop_source source;
  int called = 0;
  std::unique_ptr<stop_callback<suicide>> a;
  std::unique_ptr<stop_callback<suicide>> b;
  a = std::make_unique<stop_callback<suicide>>(source.token(), suicide{a, called});
  b = std::make_unique<stop_callback<suicide>>(source.token(), suicide{b, called});
  source.request_stop();
  CHECK(called == 2);
  CHECK_FALSE(a);
  CHECK_FALSE(b);
}

TEST_CASE("a fired node may be destroyed without being removed") {
  struct mayfly : node {
    int& fired;
    explicit mayfly(int& n) : fired(n) {
      fire = [](node* self) noexcept {
        ++static_cast<mayfly*>(self)->fired;
        delete static_cast<mayfly*>(self);
      };
    }
  };
  stop_source source;
  int fired = 0;
  for (int i = 0; i < 3; ++i) source.token().add(*new mayfly(fired));
  source.request_stop();
  CHECK(fired == 3);
}

TEST_CASE("a removal waits for the callback that another thread is inside") {
  for (int turn = 0; turn < 20; ++turn) {
    stop_source source;
    std::atomic<bool> inside{false};
    std::atomic<bool> removing{false};
    bool done = false;  // handed over by the removal alone
    auto callback = [&] {
      inside.store(true);
      while (!removing.load()) std::this_thread::yield();
      linger();
      done = true;
    };
    std::optional<stop_callback<decltype(callback)>> mine(std::in_place, source.token(), callback);
    std::thread requester([&] { source.request_stop(); });
    while (!inside.load()) std::this_thread::yield();
    removing.store(true);
    mine.reset();
    const bool was_done = done;
    requester.join();
    CHECK(was_done);
  }
}

TEST_CASE("a removal does not wait for another callback") {
  stop_source source;
  std::atomic<bool> inside{false};
  std::atomic<bool> removed{false};
  const basic_stop_callback slow(source.token(), [&] {
    inside.store(true);
    while (!removed.load()) std::this_thread::yield();
  });
  auto never = [] { std::abort(); };
  std::optional<stop_callback<decltype(never)>> mine(std::in_place, source.token(), never);
  std::thread requester([&] { source.request_stop(); });
  while (!inside.load()) std::this_thread::yield();
  mine.reset();
  removed.store(true);
  requester.join();
  CHECK(source.stop_requested());
}

TEST_CASE("the last callback may destroy the source") {
  struct ends {
    std::unique_ptr<stop_source>& source;
    std::unique_ptr<stop_callback<ends>>& mine;
    void operator()() const {
      auto& s = source;
      mine.reset();
      s.reset();
    }
  };
  auto source = std::make_unique<stop_source>();
  std::unique_ptr<stop_callback<ends>> callback;
  callback = std::make_unique<stop_callback<ends>>(source->token(), ends{source, callback});
  CHECK(source->request_stop());
  CHECK_FALSE(source);
}

TEST_CASE("who removed the last callback may destroy the source while request_stop returns") {
  const std::size_t turns = support::effort(2000, 10);
  std::atomic<stop_source*> shared{nullptr};
  std::thread requester([&] {
    for (std::size_t i = 0; i < turns; ++i) {
      stop_source* source = nullptr;
      while ((source = shared.exchange(nullptr)) == nullptr) std::this_thread::yield();
      source->request_stop();
    }
  });
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < turns; ++i) {
    auto source = std::make_unique<stop_source>();
    std::atomic<int> called{0};
    {
      const basic_stop_callback callback(source->token(), [&] { ++called; });
      shared.store(source.get());
      while (called.load() == 0) std::this_thread::yield();
    }
    source.reset();
    if (called.load() != 1) ++wrong;
  }
  requester.join();
  CHECK(wrong == 0);
}

TEST_CASE("each of many is called once, or removed before, or refused") {
  struct listener : node {
    int fired = 0;  // handed over by the removal alone
    listener() {
      fire = [](node* self) noexcept { ++static_cast<listener*>(self)->fired; };
    }
  };
  const std::size_t rounds = support::effort(200, 10);
  std::size_t wrong = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    stop_source source;
    std::atomic<int> ready{0};
    std::atomic<std::size_t> bad{0};
    std::atomic<int> first{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        const stop_token token = source.token();
        bool refused = false;
        bool told = false;
        for (int i = 0; !refused; ++i) {
          listener few[3];
          bool added[3];
          for (int k = 0; k < 3; ++k) added[k] = token.add(few[k]);
          if (i == 1) ++ready;
          if (i > 1) std::this_thread::yield();  // the requesters want the lock too
          for (int k = 2; k >= 0; --k) {
            token.remove(few[k]);
            if (few[k].fired > (added[k] ? 1 : 0)) ++bad;
            if (told && added[k]) ++bad;
            refused |= !added[k];
          }
          for (const listener& one : few) told |= one.fired != 0;
          if ((told || refused) && !token.stop_requested()) ++bad;
        }
      });
    }
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        while (ready.load() < 2) std::this_thread::yield();
        if (source.request_stop()) ++first;
      });
    }
    for (auto& t : threads) t.join();
    wrong += bad.load();
    if (first.load() != 1) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("what precedes the request is there for who sees it") {
  std::size_t wrong = 0;
  for (int i = 0; i < 500; ++i) {
    stop_source source;
    int written = 0;  // handed over by the request alone
    std::thread requester([&] {
      written = 1;
      source.request_stop();
    });
    while (!source.stop_requested()) std::this_thread::yield();
    if (written != 1) ++wrong;
    requester.join();
  }
  CHECK(wrong == 0);
}

TEST_CASE("stop tokens allocate nothing") {
  const std::size_t before = support::allocations();
  int called = 0;
  {
    stop_source source;
    const basic_stop_callback callback(source.token(), [&] { ++called; });
    source.request_stop();
  }
  CHECK(support::allocations() == before);
  CHECK(called == 1);
}

TEST_CASE("stoppable tokens are millrace's, the standard's, and their like") {
  using f = void (*)();
  STATIC_REQUIRE(millrace::stoppable_token<stop_token>);
  STATIC_REQUIRE_FALSE(millrace::stoppable_token<int>);
  STATIC_REQUIRE_FALSE(millrace::stoppable_token<no_token>);
  STATIC_REQUIRE(std::is_same_v<millrace::stop_callback_for_t<stop_token, f>, stop_callback<f>>);
#if defined(__cpp_lib_jthread)
  STATIC_REQUIRE(millrace::stoppable_token<std::stop_token>);
  std::stop_source source;
  int called = 0;
  auto count = [&] { ++called; };
  const millrace::stop_callback_for_t<std::stop_token, decltype(count)> callback(source.get_token(), count);
  source.request_stop();
  CHECK(called == 1);
#endif
}
