// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/topic.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"

namespace {

using millrace::subscription;
using millrace::topic;

/// Throws when its copies have run out, and counts its objects.
struct costly {
  explicit costly(int n) noexcept : number(n) { ++live; }
  costly(const costly& other) : number(other.number) {
    if (copies_left-- == 0) throw std::runtime_error("no more copies");
    ++live;
  }
  costly& operator=(const costly&) = delete;
  ~costly() { --live; }

  int number;
  inline static int live = 0;
  inline static int copies_left = 1000;
};

}  // namespace

TEST_CASE("a topic calls its callbacks, by whatever handle") {
  topic<int> t("news");
  CHECK(t.name() == "news");
  const topic<int> same = t;
  std::vector<int> seen;
  auto s = t.subscribe([&](const int& n) { seen.push_back(n); });
  same.publish(1);
  t.publish(2);
  {
    const auto first = same.subscribe([&](int n) { seen.push_back(-n); }, {.priority = 1});
    t.publish(3);
  }
  CHECK(s.disconnect_and_wait());
  t.publish(4);
  CHECK(seen == std::vector<int>{1, 2, -3, 3});
}

TEST_CASE("a topic's options are those of a registry") {
  const topic<int> t;
  std::vector<int> seen;
  const auto see = [&](int n) { seen.push_back(n); };
  SECTION("one_shot with a filter") {
    topic<int>::subscribe_options how;
    how.one_shot = true;
    how.filter = [](int n) { return n % 2 == 0; };
    const auto s = t.subscribe(see, std::move(how));
    for (int n = 1; n < 6; ++n) t.publish(n);
    CHECK(seen == std::vector<int>{2});
  }
  SECTION("lifetime") {
    auto alive = std::make_shared<int>();
    topic<int>::subscribe_options how;
    how.lifetime = alive;
    const auto s = t.subscribe(see, std::move(how));
    t.publish(1);
    alive.reset();
    t.publish(2);
    CHECK(seen == std::vector<int>{1});
  }
}

TEST_CASE("a subscription may outlive its topic") {
  std::optional<topic<int>> t(std::in_place, "gone");
  int calls = 0;
  auto s = t->subscribe([&](int) { ++calls; });
  auto kept = t->subscribe([&](int) { ++calls; }, {.owner = &calls});
  t->publish(1);
  t.reset();
  CHECK(s.closed().wait() == millrace::op_status::ok);
  CHECK(kept.closed().wait() == millrace::op_status::ok);
  s.disconnect();
  CHECK(s.disconnect_and_wait());
  CHECK(kept.disconnect_and_wait());
  CHECK(calls == 2);
}

TEST_CASE("a callback may destroy the last handle of the topic that calls it") {
  auto t = std::make_unique<topic<int>>("t", millrace::topic_options{.retain = true});
  int calls = 0;
  const auto s1 = t->subscribe([&](int) {
    ++calls;
    t.reset();
  });
  const auto s2 = t->subscribe([&](int) { ++calls; });
  t->publish(1);
  CHECK(t == nullptr);
  CHECK(calls >= 1);
  t = std::make_unique<topic<int>>("t", millrace::topic_options{.retain = true});
  t->publish(2);
  const auto s3 = t->subscribe([&](int n) {
    calls = n + 100;
    t.reset();
  });
  CHECK(calls == 102);
}

TEST_CASE("publishing through a handle does not allocate") {
  topic<std::array<int, 16>> t("t");
  int sum = 0;
  const auto f = [&](const std::array<int, 16>& m) { sum += m[0]; };
  const auto s1 = t.subscribe(f);
  const auto s2 = t.subscribe(f, {.priority = 3});
  const auto s3 = t.subscribe(f, {.owner = &t});
  const std::array<int, 16> message{1};
  t.publish(message);
  const std::size_t before = support::allocations();
  for (int i = 0; i < 1000; ++i) t.publish(message);
  CHECK(support::allocations() == before);
  CHECK(sum == 3003);
}

TEST_CASE("a topic that retains gives the last message first, once") {
  const topic<int> t("t", {.retain = true});
  std::vector<int> early;
  std::vector<int> late;
  const auto s1 = t.subscribe([&](int n) { early.push_back(n); });
  CHECK(early.empty());
  t.publish(1);
  t.publish(2);
  const auto s2 = t.subscribe([&](int n) { late.push_back(n); });
  CHECK(late == std::vector<int>{2});
  t.publish(3);
  CHECK(early == std::vector<int>{1, 2, 3});
  CHECK(late == std::vector<int>{2, 3});
}

TEST_CASE("a retained message counts for one_shot, filter and lifetime") {
  const topic<int> t("t", {.retain = true});
  t.publish(1);
  int calls = 0;
  topic<int>::subscribe_options how;
  SECTION("one_shot") {
    how.one_shot = true;
    auto s = t.subscribe([&](int) { ++calls; }, std::move(how));
    CHECK(calls == 1);
    t.publish(2);
    CHECK(calls == 1);
    CHECK(s.closed().wait() == millrace::op_status::ok);
  }
  SECTION("filter") {
    how.filter = [](int n) { return n > 1; };
    const auto s = t.subscribe([&](int) { ++calls; }, std::move(how));
    CHECK(calls == 0);
    t.publish(2);
    CHECK(calls == 1);
  }
  SECTION("lifetime") {
    how.lifetime = std::weak_ptr<int>();
    const auto s = t.subscribe([&](int) { ++calls; }, std::move(how));
    CHECK(calls == 0);
    CHECK(s.closed().wait() == millrace::op_status::ok);
  }
}

TEST_CASE("a callback that is disconnected at the retained message is given no more") {
  const topic<int> t("t", {.retain = true});
  t.publish(1);
  const int owner = 0;
  std::vector<int> seen;
  topic<int>::subscribe_options how;
  how.owner = &owner;
  const auto s = t.subscribe(
      [&](int n) {
        seen.push_back(n);
        t.publish(n + 1);
        CHECK_FALSE(t.disconnect_all(&owner));
      },
      std::move(how));
  CHECK(seen == std::vector<int>{1});
}

TEST_CASE("what is published while the retained message is given comes after it") {
  const topic<int> t("t", {.retain = true});
  t.publish(1);
  std::vector<int> seen;
  SECTION("by the callback") {
    const auto s = t.subscribe([&](int n) {
      if (n < 3) t.publish(n + 1);
      seen.push_back(n);
    });
    CHECK(seen == std::vector<int>{1, 2, 3});
    t.publish(4);
  }
  SECTION("by another thread, which does not wait") {
    const auto s = t.subscribe([&](int n) {
      if (n < 3) std::thread([&] { t.publish(n + 1); }).join();
      seen.push_back(n);
    });
    CHECK(seen == std::vector<int>{1, 2, 3});
    t.publish(4);
  }
  CHECK(seen == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("a callback that throws at the retained message is not subscribed") {
  const topic<int> t("t", {.retain = true});
  t.publish(1);
  int calls = 0;
  CHECK_THROWS_AS(t.subscribe([&](int) {
    ++calls;
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  t.publish(2);
  CHECK(calls == 1);
}

TEST_CASE("a message that cannot be copied is not retained, and nobody is called") {
  {
    const topic<costly> t("t", {.retain = true});
    int calls = 0;
    const auto s = t.subscribe([&](const costly&) { ++calls; });
    t.publish(costly(1));
    CHECK(calls == 1);
    costly::copies_left = 0;
    CHECK_THROWS_AS(t.publish(costly(2)), std::runtime_error);
    CHECK(calls == 1);
    costly::copies_left = 1000;
    int last = 0;
    const auto s2 = t.subscribe([&](const costly& m) { last = m.number; });
    CHECK(last == 1);
    CHECK(costly::live == 1);
  }
  CHECK(costly::live == 0);
}

TEST_CASE("where memory runs out, nothing is subscribed or published by half") {
  if (!support::counts_allocations) return;
  const topic<int> t("t", {.retain = true});
  const auto warm = t.subscribe([](int) {});
  t.publish(1);
  int calls = 0;
  auto count = std::make_shared<int>();
  for (std::size_t k = 0;; ++k) {
    bool failed = true;
    calls = 0;
    {
      subscription s;
      try {
        const support::failing_allocations fail(k);
        s = t.subscribe([&calls, count](int) { ++calls; }, {.owner = &t});
        failed = false;
      } catch (const std::bad_alloc&) {
      }
      t.publish(2);
      CHECK(calls == (failed ? 0 : 2));
    }
    CHECK(count.use_count() == 1);
    if (!failed) break;
    REQUIRE(k < 50);
  }
}

TEST_CASE("all of one owner are disconnected from a topic") {
  const topic<int> t("t");
  const topic<int> other("o");
  int mine = 0;
  int others = 0;
  std::vector<subscription> all;
  for (int i = 0; i < 3; ++i) all.push_back(t.subscribe([&](int) { ++mine; }, {.owner = &mine}));
  all.push_back(t.subscribe([&](int) { ++others; }, {.owner = &others}));
  all.push_back(other.subscribe([&](int) { ++others; }, {.owner = &mine}));
  CHECK(t.disconnect_all(&mine));
  t.publish(1);
  other.publish(1);
  CHECK(mine == 0);
  CHECK(others == 2);
}

TEST_CASE(
    "one thread subscribes, others publish: each gets the last message, then all that follow, in order") {
  const std::size_t rounds = support::effort(400, 20);
  std::size_t gaps = 0;
  std::size_t not_last = 0;
  const topic<int> t("t", {.retain = true});
  std::atomic<bool> stop{false};
  std::atomic<int> done{0};  // all up to this were published before
  t.publish(0);
  std::thread publisher([&] {
    for (int n = 1; !stop.load(); ++n) {
      t.publish(n);
      done.store(n);
      if (n % 16 == 0) std::this_thread::yield();
    }
  });
  for (std::size_t r = 0; r < rounds; ++r) {
    std::vector<int> seen;
    const int before = done.load();
    {
      const auto s = t.subscribe([&](int n) { seen.push_back(n); });
      const int target = done.load() + 3;
      while (done.load() < target) std::this_thread::yield();
    }
    not_last += seen.empty() || seen.front() < before;
    for (std::size_t i = 1; i < seen.size(); ++i) gaps += seen[i] != seen[i - 1] + 1;
    not_last += seen.size() < 3;
  }
  stop.store(true);
  publisher.join();
  CHECK(gaps == 0);
  CHECK(not_last == 0);
}

TEST_CASE("several threads publish what is retained: each publisher's messages come once, in its order") {
  const std::size_t rounds = support::effort(200, 20);
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < rounds; ++r) {
    const topic<int> t("t", {.retain = true});
    constexpr int each = 60;
    std::vector<std::atomic<int>> seen(2 * each);
    std::array<std::atomic<int>, 2> done_by{};
    std::atomic<std::size_t> out_of_order{0};
    std::array<std::atomic<int>, 2> last{-1, -1};
    std::vector<std::thread> publishers;
    for (int p = 0; p < 2; ++p) {
      publishers.emplace_back([&, p] {
        const auto index = static_cast<std::size_t>(p);
        for (int n = 0; n < each; ++n) {
          t.publish(p * each + n);
          done_by[index].store(n + 1);
          if (n % 8 == 0) std::this_thread::yield();
        }
      });
    }
    while (done_by[r % 2].load() < static_cast<int>(r % 30)) std::this_thread::yield();
    std::array<int, 2> published_after{};
    {
      const auto s = t.subscribe([&](int m) {
        const auto from = static_cast<std::size_t>(m / each);
        seen[static_cast<std::size_t>(m)].fetch_add(1);
        if (last[from].exchange(m) >= m) out_of_order.fetch_add(1);
      });
      // What they publish after this was not begun when subscribe() returned, but for one each.
      for (std::size_t p = 0; p < 2; ++p) published_after[p] = done_by[p].load() + 1;
      for (auto& p : publishers) p.join();
    }
    for (std::size_t p = 0; p < 2; ++p) {
      for (std::size_t n = 0; n < each; ++n) {
        const int count = seen[p * each + n].load();
        wrong += count > 1;
        wrong += static_cast<int>(n) >= published_after[p] && count != 1;
      }
    }
    wrong += out_of_order.load();
  }
  CHECK(wrong == 0);
}
