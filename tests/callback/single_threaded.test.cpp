// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/single_threaded.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"

namespace {

using millrace::op_status;
using millrace::subscription;
using registry = millrace::callback_registry<void(int), millrace::single_threaded>;

}  // namespace

TEST_CASE("single-threaded: in order of priority, as long as the subscriptions live") {
  registry r;
  std::string order;
  std::vector<subscription> all;
  const auto add = [&](char name, int priority) {
    all.push_back(r.subscribe([&order, name](int) { order += name; }, {.priority = priority}));
  };
  for (int i = 0; i < 3; ++i) add("bca"[i], i == 2 ? 1 : 0);
  r.publish(0);
  CHECK(order == "abc");
  all.erase(all.begin());
  r.publish(0);
  CHECK(order == "abcac");
}

TEST_CASE("single-threaded: filters, one-shots, lifetimes, blocks") {
  registry r;
  std::string order;
  auto owner = std::make_shared<int>(0);
  subscription a = r.subscribe([&](int) { order += 'a'; }, {.filter = [](int n) { return n > 1; }});
  subscription b = r.subscribe(
      [&](int n) {
        order += 'b';
        if (n != 0) r.publish(0);
      },
      {.one_shot = true});
  subscription c =
      r.subscribe([&](int) { order += 'c', owner.reset(); }, {.lifetime = std::weak_ptr<int>(owner)});
  subscription d = r.subscribe([&](int) { order += 'd'; });
  CHECK(d.block());
  r.publish(1);
  CHECK(order == "bc");
  CHECK(d.unblock());
  r.publish(2);
  CHECK(order == "bcad");
  CHECK(b.closed().wait() == op_status::ok);
  CHECK(c.closed().wait() == op_status::ok);
  CHECK_FALSE(b.block());
}

TEST_CASE("single-threaded: a callback may subscribe, disconnect itself or others, and publish") {
  registry r;
  std::string order;
  std::optional<subscription> a, b;
  std::vector<subscription> late;
  a.emplace(r.subscribe([&, state = std::make_unique<int>(7)](int) {
    order += 'a';
    b->disconnect();
    b->disconnect();
    CHECK_FALSE(a->disconnect_and_wait());
    a.reset();
    CHECK(*state == 7);
    for (int i = 0; i < 20; ++i) late.push_back(r.subscribe([&](int) { order += 'x'; }, {.priority = 1}));
  }));
  b.emplace(r.subscribe([&](int) { order += 'b'; }));
  subscription c = r.subscribe([&](int) { order += 'c'; });
  r.publish(0);
  CHECK(order == "ac");
  order.clear();
  r.publish(0);
  CHECK(order == std::string(20, 'x') + "c");
  CHECK(b->disconnect_and_wait());
}

TEST_CASE("single-threaded: the registry may go inside its callback, subscriptions later") {
  auto r = std::make_optional<registry>();
  auto witness = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = witness;
  int calls = 0;
  subscription a = r->subscribe([&, kept = std::move(witness)](int) {
    ++calls;
    r.reset();
    CHECK(kept != nullptr);
  });
  subscription b = r->subscribe([&](int) { ++calls; });
  r->publish(0);
  CHECK(calls == 1);
  CHECK(watch.expired());
  CHECK(a.disconnect_and_wait());
  CHECK(b.closed().wait() == op_status::ok);
}

TEST_CASE("single-threaded: the last callback may destroy the registry around a publication inside it") {
  auto r = std::make_optional<registry>();
  std::string order;
  subscription a = r->subscribe([&](int n) {
    order += static_cast<char>('0' + n);
    if (n != 0) return r->publish(n - 1);
    r.reset();
  });
  r->publish(2);
  CHECK(order == "210");
  CHECK(a.closed().wait() == op_status::ok);
}

TEST_CASE("single-threaded: a filter may disconnect, and a callable that goes does not wait for itself") {
  registry r;
  subscription s;
  SECTION("a filter") {
    s = r.subscribe([](int) { FAIL("it was disconnected"); }, {.filter = [&](int) {
                      s.disconnect();
                      return true;
                    }});
    r.publish(0);
    CHECK(s.closed().wait() == op_status::ok);
  }
  SECTION("a callable") {
    struct asks {
      subscription* of;
      bool* waited;
      asks(subscription& s, bool& w) : of(&s), waited(&w) {}
      asks(asks&& other) noexcept : of(std::exchange(other.of, nullptr)), waited(other.waited) {}
      ~asks() {
        if (of != nullptr) *waited = of->disconnect_and_wait();
      }
      void operator()(int) {}
    };
    bool waited = true;
    s = r.subscribe(asks(s, waited));
    s.disconnect();
    CHECK_FALSE(waited);
  }
}

TEST_CASE("single-threaded: subscribe does nothing where memory is short") {
  if (!support::counts_allocations) return;
  registry r;
  int calls = 0;
  std::vector<subscription> all;
  all.reserve(20);
  for (int i = 0; i < 20; ++i) {
    for (std::size_t k = 0;; ++k) {
      try {
        const support::failing_allocations failing(k);
        all.push_back(r.subscribe([&](int) { ++calls; }));
        break;
      } catch (const std::bad_alloc&) {
      }
    }
  }
  r.publish(0);
  CHECK(calls == 20);
}

TEST_CASE("single-threaded: exceptions keep nobody from being called") {
  registry r;
  int calls = 0;
  std::vector<subscription> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(r.subscribe([&calls, i](int) {
      ++calls;
      if (i < 2) throw std::runtime_error(std::to_string(i));
    }));
  }
  CHECK_THROWS_WITH(r.publish(0), "0");
  CHECK(calls == 3);
}

TEST_CASE("single-threaded: what is disconnected does not pile up, and publishing allocates nothing") {
  if (!support::counts_allocations) return;
  registry r;
  int sum = 0;
  subscription s = r.subscribe([&](int n) { sum += n; });
  const std::size_t before = support::allocations();
  for (int i = 0; i < 1000; ++i) r.publish(1);
  CHECK(support::allocations() == before);
  for (int i = 0; i < 1000; ++i) subscription t = r.subscribe([&](int n) { sum += n; });
  CHECK(support::allocations() - before <= 1002);
  CHECK(sum == 1000);
}
